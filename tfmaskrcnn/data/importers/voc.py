"""Pascal VOC: PNGs of objects (`SegmentationObject`) and of classes (`SegmentationClass`)."""

import os
from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy as np
from PIL import Image

from tfmaskrcnn.data.importers.building import CocoBuilder, Imported
from tfmaskrcnn.data.importers.source_files import by_stem, existing_folder, files_below
from tfmaskrcnn.errors import InputError
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
    masks = existing_folder(os.path.join(folder, "SegmentationObject"))
    images = existing_folder(images or os.path.join(folder, "JPEGImages"), "image folder")
    labels = _labels(os.path.join(folder, "labelmap.txt"))
    pictures = by_stem(files_below(images, (".jpg", ".jpeg", ".png", ".bmp")), images)
    stems = _stems(folder, masks, split)
    builder = CocoBuilder(images, classes, skip_invalid, labels.names)
    for stem in counted(stems, progress):
        path = os.path.join(masks, stem + ".png")
        if stem not in pictures:
            raise InputError(f"{images} holds no image for {path}.")
        size = builder.image(pictures[stem], path)
        objects, void = _objects(path, size)
        kinds = _kinds(os.path.join(folder, "SegmentationClass", stem + ".png"), size, labels)
        for number in np.unique(objects[~void & (objects > 0)]).tolist():
            mask = (objects == number) & ~void
            where = f"{path}: object {number}"
            counts = np.bincount(kinds[mask], minlength=VOID + 1)
            counts[[0, VOID]] = 0
            kind = int(counts.argmax())
            if not counts[kind]:
                builder.wrong(f"{where} has no class in SegmentationClass.")
            elif kind > len(labels.names):
                builder.wrong(f"{where} is of class {kind}; name it in a labelmap.txt.")
            else:
                builder.add(labels.names[kind - 1], mask, where)
    return builder.result(folder)


def _stems(folder: str, masks: str, split: Optional[str]) -> List[str]:
    if split is None:
        return sorted(by_stem(files_below(masks, (".png",)), masks))
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
        except ValueError:
            raise InputError(f"{path}: the line {line!r:.80} is not name:r,g,b::.") from None
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
    values, colours = _pixels(path, size)
    if values is not None:
        return values, values == VOID
    numbers = np.searchsorted(np.unique(np.append(colours, 0)), colours)
    return numbers, colours == palette()[VOID]


def _kinds(path: str, size, labels: _Labels) -> np.ndarray:
    """[H, W] classes of a PNG of classes; 255 is void."""
    values, colours = _pixels(path, size, in_colour=labels.colours is not None)
    if values is not None:
        return values
    known = labels.colours or {int(c): k for k, c in reversed(list(enumerate(palette())))}
    found, inverse = np.unique(colours, return_inverse=True)
    kinds = np.array([known.get(int(c), VOID) for c in found])
    return kinds[inverse].reshape(colours.shape)


def _pixels(path: str, size, in_colour: bool = False):
    """(numbers, None) of a PNG with a palette or in grey, (None, 0xRRGGBB) of one in colour."""
    try:
        with Image.open(path) as image:
            numbered = image.mode in ("P", "L", "1") and not (in_colour and image.mode == "P")
            pixels = np.asarray(image if numbered else image.convert("RGB")).astype(np.int64)
    except FileNotFoundError:
        raise InputError(f"There is no {path}.") from None
    except Exception as error:
        raise InputError(f"{path} cannot be read: {error}.") from None
    if pixels.shape[:2] != tuple(size):
        raise InputError(f"{path} is {pixels.shape[:2]} pixels, its image {tuple(size)}.")
    return (pixels, None) if numbered else (None, pixels @ (1 << 16, 1 << 8, 1))
