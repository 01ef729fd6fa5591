"""Folders of PNG masks: one of object numbers for each image, or one for each object."""

import os
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from tfmaskrcnn.data.importers.building import CocoBuilder, Imported
from tfmaskrcnn.data.importers.source_files import (
    IMAGE_SUFFIXES,
    by_stem,
    existing_folder,
    files_below,
)
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.progress_bar import Progress, counted

_MASKS = (".png", ".tif", ".tiff", ".bmp", ".gif")
_NUMBERED = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L", "I;16N")


def from_png_masks(
    folder: str,
    images: Optional[str] = None,
    classes: Optional[Sequence[str]] = None,
    skip_invalid: bool = False,
    progress: Optional[Progress] = None,
) -> Imported:
    """Objects of a single class, in one of three layouts.

    `NAME.png` of 8 or 16 bits, or in colour, in which each value but 0 is one object; a folder
    `NAME` of masks, in each of which all that is not 0 is one object; or, as in the Data Science
    Bowl of 2018, folders that each hold `images` and `masks`.

    Args:
        folder: the masks.
        images: the folder of the images `NAME.*`; None only in the third layout.
        classes: the name of the class; None for "object".
        skip_invalid: leave wrong masks out and count them, instead of stopping.
        progress: called with (images done, images in all).

    Raises:
        InputError: names the file and the object.
    """
    folder = existing_folder(folder)
    if classes is not None and len(classes) != 1:
        raise InputError(f"PNG masks are of one class, but --classes names {len(classes)}.")
    masks, pairs = _pairs(folder, images)
    builder = CocoBuilder(images or folder, classes, skip_invalid)
    name = builder.only_class or "object"
    for image, of_image in counted(pairs, progress):
        where = os.path.join(folder, of_image[0]) if of_image else folder
        size = builder.image(image, where)
        for mask in of_image:
            path = os.path.join(folder, mask)
            values = _values(path, size)
            if masks:
                builder.add(name, values != 0, path)
                continue
            for number in np.unique(values[values != 0]).tolist():
                builder.add(name, values == number, f"{path}: object {number}")
    return builder.result(folder)


def _pairs(folder: str, images: Optional[str]) -> Tuple[bool, List[Tuple[str, List[str]]]]:
    """Whether each mask is a file, and (image, its masks) in order."""
    names = sorted(os.listdir(folder))
    below = [name for name in names if os.path.isdir(os.path.join(folder, name))]
    bowl = [name for name in below if os.path.isdir(os.path.join(folder, name, "images"))]
    if bowl:
        return True, [_bowl(folder, name) for name in bowl]
    if images is None:
        raise InputError(f"{folder} holds masks; give the folder of their images with --images.")
    pictures = by_stem(files_below(existing_folder(images, "image folder"), IMAGE_SUFFIXES), images)
    if below:
        masks = {
            name: [f"{name}/{mask}" for mask in files_below(os.path.join(folder, name), _MASKS)]
            for name in below
        }
    else:
        masks = {stem: [m] for stem, m in by_stem(files_below(folder, _MASKS), folder).items()}
    return bool(below), _matched(masks, pictures, folder, images)


def _matched(masks: Dict[str, List[str]], pictures: Dict[str, str], folder: str, images: str):
    """Every image with its masks; an image of none has no objects."""
    alone = sorted(set(masks) - set(pictures))
    if alone:
        raise InputError(f"{images} holds no image for the masks {os.path.join(folder, alone[0])}.")
    return [(pictures[stem], masks.get(stem, [])) for stem in sorted(pictures)]


def _bowl(folder: str, name: str) -> Tuple[str, List[str]]:
    found = files_below(os.path.join(folder, name, "images"), IMAGE_SUFFIXES)
    if len(found) != 1:
        raise InputError(f"{folder}/{name}/images holds {len(found)} images, wanted one.")
    masks = files_below(os.path.join(folder, name, "masks"), _MASKS)
    return f"{name}/images/{found[0]}", [f"{name}/masks/{mask}" for mask in masks]


def _values(path: str, size) -> np.ndarray:
    """[H, W] numbers; of a mask in colour 0xRRGGBB."""
    try:
        with Image.open(path) as image:
            numbered = image.mode in _NUMBERED
            pixels = np.asarray(image if numbered else image.convert("RGB")).astype(np.int64)
    except Exception as error:
        raise InputError(f"{path} cannot be read: {error}.") from None
    if pixels.shape[:2] != tuple(size):
        raise InputError(f"{path} is {pixels.shape[:2]} pixels, its image {tuple(size)}.")
    return pixels if numbered else pixels @ (1 << 16, 1 << 8, 1)
