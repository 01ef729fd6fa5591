"""EXIF's orientation of an image file: how a viewer turns the stored pixels.

`ops.exif` reads it in a graph by the same rules.
"""

import struct
from typing import Callable, Dict, Tuple

import numpy as np
from PIL import Image

EXIF_TAG = 0x0112
_PREFIX = b"Exif\0\0"
_VALUES = {1: "B", 3: "H", 4: "L"}  # TIFF's whole numbers, by their type
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257
# What leads from the stored pixels [H, W, ...] to what a viewer shows (EXIF 2.32, tag 274).
_TURNS: Dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels[::-1].swapaxes(0, 1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels[:, ::-1].swapaxes(0, 1),
}
_INVERSE = {6: 8, 8: 6}  # all others are their own


def orientation_of(image: Image.Image) -> int:
    """EXIF's orientation of an image that was opened and not yet loaded, 1 to 8.

    It is what browsers read, and so do annotation tools: of a JPEG the first APP1 of EXIF, of a PNG
    the chunk eXIf (before the pixels, or else behind them), of a WebP the chunk EXIF. XMP and texts
    are not asked. 1 if there is none or a damaged one.
    """
    if image.format in ("JPEG", "MPO"):
        parts = (content for name, content in image.applist if name == "APP1")
        return _orientation_in(next((p for p in parts if p.startswith(_PREFIX)), b""))
    if image.format == "WEBP":
        return _orientation_in(image.info.get("exif", b""))
    try:
        if image.format == "PNG":
            if "exif" not in image.info:
                image.load()  # it may stand behind the pixels
            return _orientation_in(image.info.get("exif", b""))
        found = int(image.getexif().get(EXIF_TAG, 1))
    except Exception:  # damaged EXIF makes Pillow raise nearly anything; reading does not need it
        return 1
    return found if found in _TURNS else 1


def _orientation_in(block: bytes) -> int:
    """The orientation in EXIF, which is a TIFF file without pixels."""
    for _ in range(2):  # some programs write it twice
        block = block[len(_PREFIX) :] if block.startswith(_PREFIX) else block
    order = {b"MM\0*": ">", b"II*\0": "<"}.get(block[:4])
    if order is None or len(block) < 8:
        return 1
    (start,) = struct.unpack_from(f"{order}L", block, 4)  # of the list of entries
    if start + 2 > len(block):
        return 1
    (count,) = struct.unpack_from(f"{order}H", block, start)
    count = min(count, (len(block) - start - 2) // 12)
    for place in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from(f"{order}HHL", block, place)
        if tag == EXIF_TAG:
            if kind not in _VALUES or values != 1:
                return 1
            (found,) = struct.unpack_from(f"{order}{_VALUES[kind]}", block, place + 8)
            return found if found in _TURNS else 1
    return 1


def stored_size(image: Image.Image) -> Tuple[int, int]:
    """(height, width) of the stored pixels of an image that was opened and not yet loaded.

    Pillow gives a TIFF's size as viewers see it, from some version on.
    """
    width, height = image.size
    if image.format == "TIFF":
        width, height = (
            int(image.tag_v2.get(tag, side)) for tag, side in ((256, width), (257, height))
        )
    return height, width


def seen_size(size: Tuple[int, int], orientation: int) -> Tuple[int, int]:
    """(height, width) of the view that stored pixels of `size` are turned to."""
    return (size[1], size[0]) if orientation >= 5 else tuple(size)


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Stored pixels [H, W, ...] as a viewer shows them."""
    return np.ascontiguousarray(_TURNS[orientation](pixels)) if orientation != 1 else pixels


def turned_back(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """What a viewer shows, [H, W, ...], as it is stored; the inverse of `turned`."""
    return turned(pixels, _INVERSE.get(orientation, orientation))
