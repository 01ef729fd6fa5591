"""What importers read from files: image sizes from their headers, names of images."""

import os
import zipfile
from collections import Counter
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np
import PIL
from PIL import Image

from tfmaskrcnn.data.coco.foreign import foreign_format
from tfmaskrcnn.data.coco.image_files import PILLOW_FORMATS
from tfmaskrcnn.data.coco.orientation import orientation_of, seen_size, stored_size
from tfmaskrcnn.data.importers.fields import shown
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.files import open_regular

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".npy")
_MOST_OTHERS = 50_000  # files that are looked at in vain: a folder such as "/" is a mistake
_SHOWN_KINDS = 4
_MOST_FOLDERS = 32  # of a name that are tried


class ImageSize(NamedTuple):
    """Pixels of the view that was asked for."""

    height: int
    width: int
    orientation: int  # EXIF's, 1 to 8

    @property
    def other_view(self) -> Tuple[int, int]:
        """(height, width) of the stored pixels, if these are of the turned view, or the reverse."""
        return seen_size(self[:2], self.orientation)


def image_size(path: str, exif: str = "apply") -> ImageSize:
    """The size of an image file, from its header alone.

    Args:
        path: of the file.
        exif: "apply" is the view that its EXIF orientation gives, "ignore" the stored pixels.

    Raises:
        InputError: it is no image.
    """
    try:
        if path.endswith(".npy"):
            height, width = np.load(path, mmap_mode="r").shape[:2]
            return ImageSize(height, width, 1)
        with open_regular(path) as file, Image.open(file, formats=PILLOW_FORMATS) as image:
            size, orientation = stored_size(image), orientation_of(image)
    except PIL.UnidentifiedImageError:
        empty = os.path.getsize(path) == 0
        reason = "is empty (0 bytes)" if empty else "is not an image that Pillow can read"
        raise InputError(f"{shown(path, 200)} {reason}.") from None
    except Exception as error:  # damaged files make Pillow raise nearly anything
        raise InputError(
            f"The header of {shown(path, 200)} cannot be read: {shown(str(error))}."
        ) from None
    return ImageSize(*(seen_size(size, orientation) if exif == "apply" else size), orientation)


def existing_folder(path: str, what: str = "folder") -> str:
    """`path` as text, which must be a folder."""
    path = os.fspath(path)
    if os.path.isfile(path):
        raise InputError(f"The {what} {shown(path, 200)} is a file; wanted a folder.")
    if not os.path.isdir(path):
        raise InputError(f"The {what} {shown(path, 200)} does not exist.")
    return path


def existing_file(path: str, wanted: str) -> str:
    """`path` as text, which must not be a folder; `wanted` says what it should be."""
    path = os.fspath(path)
    if os.path.isdir(path):
        raise InputError(
            f"{shown(path, 200)} is a folder; wanted {wanted}. It holds {contents(path)}."
        )
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"{shown(path, 200)} is no regular file; wanted {wanted}.")
    if zipfile.is_zipfile(path):
        raise InputError(f"{shown(path, 200)} is a ZIP archive; unpack it, wanted {wanted}.")
    return path


def other_format(raw: Any, path: str) -> Optional[str]:
    """What a JSON is that is not of the source asked for, in one sentence; None if unknown."""
    lists = ("images", "annotations", "categories")
    if isinstance(raw, dict) and all(isinstance(raw.get(key), list) for key in lists):
        return f"{path} is COCO already, which needs no importer."
    return foreign_format(raw, path)


def contents(folder: str) -> str:
    """What lies in a folder and below, in some words, for a message."""
    kinds: Counter = Counter()
    for _, folders, names in os.walk(folder):
        kinds.update(os.path.splitext(name)[1].lower() or "without ending" for name in names)
        if sum(kinds.values()) > _MOST_OTHERS or len(folders) > _MOST_OTHERS:
            break
    common = sorted(kinds.items(), key=lambda pair: (-pair[1], pair[0]))[:_SHOWN_KINDS]
    found = [f"{count} {shown(kind, 20)}" for kind, count in common]
    found += ["others"] if len(kinds) > _SHOWN_KINDS else []
    return ", ".join(found) or "no file"


def files_below(folder: str, suffixes) -> List[str]:
    """Paths from `folder` of all files in it and below, of such names, sorted; "/" between.

    Raises:
        InputError: it holds far more of other files.
    """
    found, others = [], 0
    for root, folders, names in os.walk(folder):
        folders.sort()
        below = os.path.relpath(root, folder)
        wanted = [n for n in names if n.lower().endswith(suffixes) and not n.startswith(".")]
        others += len(names) + len(folders) + 1 - len(wanted)
        if others > _MOST_OTHERS + 10 * len(found):
            raise InputError(
                f"{shown(folder, 200)} holds {others} files and folders of other kinds than "
                f"{', '.join(suffixes[:3])}; name the folder of the data set itself."
            )
        found += [os.path.normpath(os.path.join(below, n)).replace(os.sep, "/") for n in wanted]
    return sorted(found)


def by_stem(names: List[str], folder: str) -> Dict[str, str]:
    """File names without their ending -> file names; two of the same are refused."""
    found: Dict[str, str] = {}
    for name in names:
        stem = os.path.splitext(os.path.basename(name))[0]
        if stem in found:
            raise InputError(
                f"{folder} holds both {shown(found[stem])} and {shown(name)}; "
                f"wanted one of {shown(stem)}."
            )
        found[stem] = name
    return found


def located(image_dir: str, name: str) -> str:
    """`name` as it is found from `image_dir`: itself, or else without its first folders."""
    name = name.replace("\\", "/")
    if os.path.isfile(os.path.join(image_dir, name)):
        if not name.startswith("../"):
            return name
        # "../photos/a.png" of the folder "photos".
        return os.path.relpath(os.path.join(image_dir, name), image_dir).replace(os.sep, "/")
    parts = [part for part in name.split("/") if part not in ("", ".", "..")][-_MOST_FOLDERS:]
    for first in range(len(parts)):
        rest = "/".join(parts[first:])
        if os.path.isfile(os.path.join(image_dir, rest)):
            return rest
    return name
