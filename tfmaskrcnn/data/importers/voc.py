"""Pascal VOC: PNGs of objects (`SegmentationObject`) and of classes (`SegmentationClass`)."""

import os
from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from tfmaskrcnn.data.importers.building import CocoBuilder, Imported
from tfmaskrcnn.data.importers.fields import shown
from tfmaskrcnn.data.importers.mask_images import mask_pixels, mask_size
from tfmaskrcnn.data.importers.numbered import objects_of
from tfmaskrcnn.data.importers.source_files import (
    by_stem,
    contents,
    existing_folder,
    files_below,
)
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support.files import read_text
from tfmaskrcnn.support.progress_bar import Progress, counted

NAMES = "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike"
NAMES = (*NAMES.split(), "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor")
VOID = 255


class _Labels(NamedTuple):
    names: Sequence[str]  # of the classes 1, 2, ...
    colours: Optional[Dict[int, int]]  # 0xRRGGBB -> class, 0 is background; None: VOC's palette


def from_voc(
    folder: str,
    images: Optional[str] = None,
    classes: Optional[Sequence[str]] = None,
    skip_invalid: bool = False,
    progress: Optional[Progress] = None,
    split: Optional[str] = None,
) -> Imported:
    """Objects of `SegmentationObject`, each of the class that most of its pixels have.

    Background (0) and void (255) belong to no object. Class numbers are VOC's 20, or the lines of
    `labelmap.txt` (as CVAT exports it) in `folder`.

    Args:
        folder: holds the two folders, and usually `JPEGImages` and `ImageSets/Segmentation`.
        images: the folder of the images; None for `JPEGImages`.
        classes: these only, in this order; None for all, in the order of their numbers.
        skip_invalid: leave wrong objects out and count them, instead of stopping.
        progress: called with (images done, images in all).
        split: the list `ImageSets/Segmentation/SPLIT.txt`; None for all PNGs.

    Raises:
        InputError: names the file and the object.
    """
    folder = existing_folder(folder)
    masks = os.path.join(folder, "SegmentationObject")
    if not os.path.isdir(masks):
        raise InputError(
            f"{folder} has no folder SegmentationObject, whose PNGs hold the objects (Annotations "
            f"have boxes alone); it holds {contents(folder)}."
        )
    images = existing_folder(images or os.path.join(folder, "JPEGImages"), "image folder")
    labels = _labels(os.path.join(folder, "labelmap.txt"))
    pictures = by_stem(files_below(images, (".jpg", ".jpeg", ".png", ".bmp")), images)
    stems = _stems(folder, masks, split)
    builder = CocoBuilder(images, classes, skip_invalid, labels.names)
    for stem in counted(stems, progress):
        path = os.path.join(masks, stem + ".png")
        if stem not in pictures:
            there = f"it holds {contents(images)}"
            raise InputError(f"{images} holds no image for {shown(path, 200)}; {there}.")
        size = builder.image(pictures[stem], shown(path, 200), drawn=mask_size(path))
        objects, void = _objects(path, size)
        kinds = _kinds(os.path.join(folder, "SegmentationClass", stem + ".png"), size, labels)
        objects = np.where(void | (objects < 0), 0, objects)
        for found in objects_of(objects, shown(path, 200)):
            where = f"{shown(path, 200)}: object {found.number}"
            _add_object(builder, found, kinds, labels.names, where)
    return builder.result(folder)


def _add_object(builder: CocoBuilder, found, kinds: np.ndarray, names, where: str) -> None:
    """Add an object of the class that most of its pixels have; `kinds` are [H, W]."""
    numbers, counts = np.unique(kinds.T.reshape(-1)[found.places], return_counts=True)
    counts[(numbers == 0) | (numbers == VOID)] = 0
    kind = int(numbers[counts.argmax()])
    if not counts.max():
        builder.wrong(f"{where} has no class in SegmentationClass.")
    elif not 0 < kind <= len(names):
        builder.wrong(f"{where} is of class {kind}; name it in a labelmap.txt.")
    else:
        builder.add(names[kind - 1], found.rle, where)


def _stems(folder: str, masks: str, split: Optional[str]) -> List[str]:
    if split is None:
        found = sorted(by_stem(files_below(masks, (".png",)), masks))
        if not found:
            raise InputError(f"{masks} holds no PNG, but {contents(masks)}.")
        return found
    path = os.path.join(folder, "ImageSets", "Segmentation", split + ".txt")
    return sorted(line.split()[0] for line in read_text(path).splitlines() if line.strip())


def _labels(path: str) -> _Labels:
    """Names and colours of `labelmap.txt`: lines "name:r,g,b:parts:actions", background first."""
    if not os.path.isfile(path):
        return _Labels(NAMES, None)
    names, colours = [], {}
    lines = [line.strip() for line in read_text(path).splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    for line in lines:
        name, _, rest = line.partition(":")
        try:
            red, green, blue = (int(v) for v in rest.split(":")[0].split(","))
            if not name.strip() or not 0 <= min(red, green, blue) <= max(red, green, blue) <= VOID:
                raise ValueError
        except ValueError:
            raise InputError(f"{path}: the line {quoted(line)} is not name:r,g,b::.") from None
        if name != "background":
            names.append(name)
        colours[red << 16 | green << 8 | blue] = 0 if name == "background" else len(names)
    return _Labels(names, colours)


def palette() -> np.ndarray:
    """[256] int: VOC's colours as 0xRRGGBB, the bits of the number dealt to red, green, blue."""
    numbers, colours = np.arange(256), np.zeros((256, 3), int)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= (numbers >> (3 * (bit // 1)) + channel & 1) << (7 - bit)
    return colours @ (1 << 16, 1 << 8, 1)


def _objects(path: str, size):
    """(numbers [H, W], void [H, W] bool) of a PNG of objects."""
    colours, coloured = mask_pixels(path, size)
    if not coloured:
        return colours, colours == VOID
    numbers = np.searchsorted(np.unique(np.append(colours, 0)), colours)
    return numbers, colours == palette()[VOID]


def _kinds(path: str, size, labels: _Labels) -> np.ndarray:
    """[H, W] classes of a PNG of classes; 255 is void."""
    colours, coloured = mask_pixels(path, size, in_colour=labels.colours is not None)
    if not coloured:
        return colours
    known = labels.colours or {int(c): k for k, c in reversed(list(enumerate(palette())))}
    found, inverse = np.unique(colours, return_inverse=True)
    kinds = np.array([known.get(int(c), VOID) for c in found])
    return kinds[inverse].reshape(colours.shape)
