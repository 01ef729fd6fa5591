"""Folders of PNG masks: one of object numbers for each image, or one for each object."""

import os
from typing import Dict, List, Optional, Sequence, Tuple

from tfmaskrcnn.data.importers.building import CocoBuilder, Imported
from tfmaskrcnn.data.importers.fields import shown
from tfmaskrcnn.data.importers.mask_images import mask_pixels, mask_size
from tfmaskrcnn.data.importers.numbered import objects_of
from tfmaskrcnn.data.importers.source_files import (
    IMAGE_SUFFIXES,
    by_stem,
    contents,
    existing_folder,
    files_below,
)
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.progress_bar import Progress, counted

_MASKS = (".png", ".tif", ".tiff", ".bmp", ".gif")


def from_png_masks(
    folder: str,
    images: Optional[str] = None,
    classes: Optional[Sequence[str]] = None,
    skip_invalid: bool = False,
    progress: Optional[Progress] = None,
) -> Imported:
    """Objects of a single class, in one of three layouts; `NAME` may have folders, as the image.

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
        where = shown(os.path.join(folder, of_image[0]), 200) if of_image else folder
        drawn = mask_size(os.path.join(folder, of_image[0])) if of_image else None
        size = builder.image(image, where, drawn=drawn)
        for mask in of_image:
            path = os.path.join(folder, mask)
            values, where = mask_pixels(path, size).values, shown(path, 200)
            if masks:
                builder.add(name, values != 0, where)
                continue
            for found in objects_of(values, where):
                builder.add(name, found.rle, f"{where}: object {found.number}")
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
    names = files_below(existing_folder(images, "image folder"), IMAGE_SUFFIXES)
    nested = _nested(files_below(folder, _MASKS), names) if below else None
    if nested:
        return nested
    pictures = by_stem(names, images)
    if below:
        masks = {
            name: [f"{name}/{mask}" for mask in files_below(os.path.join(folder, name), _MASKS)]
            for name in below
        }
    else:
        masks = {stem: [m] for stem, m in by_stem(files_below(folder, _MASKS), folder).items()}
    if not any(masks.values()):
        raise InputError(
            f"{folder} holds no mask ({', '.join(_MASKS)}), but {contents(folder)}; wanted a file "
            "or a folder of masks for each image."
        )
    return bool(below), _matched(masks, pictures, folder, images)


def _nested(masks: List[str], images: List[str]):
    """As `_pairs`, where masks lie in the same folders as their images; None where they do not."""
    pictures = {os.path.splitext(name)[0]: name for name in images}
    if len(pictures) < len(images):
        return None
    for single, named in ((False, os.path.splitext), (True, os.path.split)):
        stems = [named(mask)[0] for mask in masks]
        if masks and pictures.keys() >= set(stems):
            of_image: Dict[str, List[str]] = {stem: [] for stem in sorted(pictures)}
            for stem, mask in zip(stems, masks):
                of_image[stem].append(mask)
            return single, [(pictures[stem], found) for stem, found in of_image.items()]
    return None


def _matched(masks: Dict[str, List[str]], pictures: Dict[str, str], folder: str, images: str):
    """Every image with its masks; an image of none has no objects."""
    alone = sorted(set(masks) - set(pictures))
    if alone:
        there = f"it holds {contents(images)}"
        mask = shown(os.path.join(folder, alone[0]), 200)
        raise InputError(f"{images} holds no image for the masks {mask}; {there}.")
    return [(pictures[stem], masks.get(stem, [])) for stem in sorted(pictures)]


def _bowl(folder: str, name: str) -> Tuple[str, List[str]]:
    found = files_below(os.path.join(folder, name, "images"), IMAGE_SUFFIXES)
    if len(found) != 1:
        raise InputError(f"{folder}/{name}/images holds {len(found)} images, wanted one.")
    masks = files_below(os.path.join(folder, name, "masks"), _MASKS)
    return f"{name}/images/{found[0]}", [f"{name}/masks/{mask}" for mask in masks]
