"""What importers read from files: image sizes from their headers, names of images."""

import os
from typing import Dict, List, NamedTuple

import numpy as np
import PIL
from PIL import Image

from tfmaskrcnn.data.coco.image_files import EXIF_ORIENTATION
from tfmaskrcnn.errors import InputError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".npy")


class ImageSize(NamedTuple):
    """Of the stored pixels."""

    height: int
    width: int
    turned: bool  # an EXIF orientation asks viewers to turn or mirror it


def image_size(path: str) -> ImageSize:
    """The size of an image file, from its header alone.

    Raises:
        InputError: it is no image.
    """
    try:
        if path.endswith(".npy"):
            height, width = np.load(path, mmap_mode="r").shape[:2]
            return ImageSize(height, width, False)
        with Image.open(path) as image:
            turned = image.getexif().get(EXIF_ORIENTATION, 1) not in (0, 1)
            return ImageSize(image.height, image.width, turned)
    except PIL.UnidentifiedImageError:
        empty = os.path.getsize(path) == 0
        reason = "is empty (0 bytes)" if empty else "is not an image that Pillow can read"
        raise InputError(f"{path} {reason}.") from None
    except Exception as error:  # damaged files make Pillow raise nearly anything
        raise InputError(f"The header of {path} cannot be read: {error}.") from None


def existing_folder(path: str, what: str = "folder") -> str:
    """`path` as text, which must be a folder."""
    path = os.fspath(path)
    if not os.path.isdir(path):
        raise InputError(f"The {what} {path} does not exist.")
    return path


def files_below(folder: str, suffixes) -> List[str]:
    """Paths from `folder` of all files in it and below, of such names, sorted; "/" between."""
    found = []
    for root, folders, names in os.walk(folder):
        folders.sort()
        below = os.path.relpath(root, folder)
        found += [
            os.path.normpath(os.path.join(below, name)).replace(os.sep, "/")
            for name in names
            if name.lower().endswith(suffixes) and not name.startswith(".")
        ]
    return sorted(found)


def by_stem(names: List[str], folder: str) -> Dict[str, str]:
    """File names without their ending -> file names; two of the same are refused."""
    found: Dict[str, str] = {}
    for name in names:
        stem = os.path.splitext(os.path.basename(name))[0]
        if stem in found:
            raise InputError(f"{folder} holds both {found[stem]} and {name}; wanted one of {stem}.")
        found[stem] = name
    return found


def located(image_dir: str, name: str) -> str:
    """`name` as it is found from `image_dir`: itself, or else its last part alone."""
    name = name.replace("\\", "/")
    if os.path.isfile(os.path.join(image_dir, name)):
        return name
    last = name.rsplit("/", 1)[-1]
    return last if os.path.isfile(os.path.join(image_dir, last)) else name
