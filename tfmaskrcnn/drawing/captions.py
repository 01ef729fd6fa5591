"""Texts at the objects of a picture: in boxes beside them, or small ones inside them."""

import functools
import os
from typing import Optional, Sequence, Tuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfmaskrcnn.drawing.coloring import Color

MAX_LABELS = 40  # with more objects labels hide more than they tell
MAX_SHARE = 0.12  # of the picture, that texts nobody asked for may take
TOLERATED_HIDING = 0.15  # share of an object that a label may cover without looking elsewhere
LONGEST_NAME = 30  # characters of a class
MAX_HIDING = 0.6  # a label that would cover more of an object is put inside it or left out
SMALLEST_TYPE, LARGEST_TYPE = 9, 110  # pixels
_DARK, _LIGHT = (15, 15, 15), (255, 255, 255)


def has_room(count: int, letters: float, size: Tuple[int, int]) -> bool:
    """Whether `count` texts of so many letters would leave enough to see of a picture's `size`."""
    type_size = _type_size(size)
    area = count * 1.4 * type_size * (0.62 * letters + 0.4) * type_size
    return count <= MAX_LABELS and area <= MAX_SHARE * size[0] * size[1]


def write_labels(
    picture: np.ndarray,
    boxes: np.ndarray,
    texts: Sequence[str],
    colors: Sequence[Color],
    every: bool = False,
) -> None:
    """Labels in boxes of their object's colour, each where it hides no earlier one.

    Args:
        picture: [H, W, 3] uint8, changed.
        boxes: [D, 4] yxyx pixels of all objects; the first get their place first.
        texts: D, empty for none.
        colors: D.
        every: write those that find no place inside their object, and all of them there if there
            are more than 40; else these are left out.
    """
    size = picture.shape[:2]
    inside = every and sum(map(bool, texts)) > MAX_LABELS
    font, placed = label_font(_type_size(size)), np.zeros((0, 4))
    pad = max(2, font.size // 5)
    for box, text, color in zip(boxes, texts, colors):
        if not text:
            continue
        width = font.getlength(text) + 2 * pad
        wanted = (font.size + 2 * pad, width)
        place = None if inside else _label_place(box, wanted, size, placed, boxes)
        if place is not None:
            placed = np.concatenate([placed, place[None]])
            _write_beside(picture, place, text, color, font, pad)
        elif every:
            _write_inside(picture, box, text, font.size)


def short_name(class_name: str) -> str:
    """A class as labels call it: in one line, and no longer than can be read at an object."""
    name = " ".join(class_name.split())
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}\u2026"


@functools.cache
def label_font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans of a size in pixels: the system's, or the one that matplotlib brings."""
    try:
        return ImageFont.truetype("DejaVuSans.ttf", size)
    except OSError:
        import matplotlib

        path = os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
        return ImageFont.truetype(path, size)


def _type_size(size: Tuple[int, int]) -> int:
    """Of labels in a picture of `size`; both in pixels."""
    return int(np.clip(min(max(size) / 72, min(size) / 8), SMALLEST_TYPE, LARGEST_TYPE))


def _write_beside(picture: np.ndarray, place, text: str, color: Color, font, pad: int) -> None:
    (y1, x1), (y2, x2) = np.floor(place[:2]).astype(int), np.ceil(place[2:]).astype(int)
    part, pen = _pen(picture, y1, x1, y2, x2)
    pen.rounded_rectangle([0, 0, x2 - x1 - 1, y2 - y1 - 1], radius=pad, fill=color)
    dark = np.dot(color, (0.299, 0.587, 0.114)) > 110
    ink = _DARK if dark else _LIGHT
    pen.text((pad, (y2 - y1) / 2), text, fill=ink, font=font, anchor="lm")
    _put(picture, part, y1, x1)


def _write_inside(picture: np.ndarray, box: np.ndarray, text: str, largest: int) -> None:
    """White letters with a dark rim in the middle of a box, as large as fit it.

    They stay in the picture; where it is too small for them, they are left out.
    """
    size = picture.shape[:2]
    height, width = np.minimum(box[2:] - box[:2], size)
    fitting = min(0.7 * height, 0.95 * width / (0.62 * len(text)))
    font = label_font(int(np.clip(fitting, min(SMALLEST_TYPE, largest), largest)))
    rim = max(1, font.size // 8)
    reach = np.array([0.7 * font.size + rim, font.getlength(text) / 2 + 2 * rim])
    if np.any(2 * reach > size):
        return
    middle = np.clip((box[:2] + box[2:]) / 2, reach, size - reach)
    low, high = np.floor(middle - reach).astype(int), np.ceil(middle + reach).astype(int)
    part, pen = _pen(picture, *low, *high)
    at = tuple((middle - np.maximum(low, 0))[::-1])
    options = {"anchor": "mm", "stroke_width": rim, "stroke_fill": _DARK}
    pen.text(at, text, fill=_LIGHT, font=font, **options)
    _put(picture, part, *low)


def _pen(picture: np.ndarray, y1, x1, y2, x2) -> Tuple[Image.Image, ImageDraw.ImageDraw]:
    """A copy of a part of the picture, and what draws on it: no copy of the whole is made."""
    part = Image.fromarray(picture[max(y1, 0) : y2, max(x1, 0) : x2])
    return part, ImageDraw.Draw(part)


def _put(picture: np.ndarray, part: Image.Image, y1: int, x1: int) -> None:
    y1, x1 = max(y1, 0), max(x1, 0)
    picture[y1 : y1 + part.height, x1 : x1 + part.width] = np.asarray(part)


def _label_place(box, wanted, size, placed: np.ndarray, boxes) -> Optional[np.ndarray]:
    """Place [4] yxyx of a label: clear of earlier labels, hiding little of small objects.

    Args:
        box: [4] yxyx, as all boxes here.
        wanted: (height, width) of the label.
        size: (height, width) of the picture.
        placed: [n, 4] labels written before.
        boxes: [D, 4], all objects.
    """
    if np.any(np.greater(wanted, size)):
        return None
    (y1, x1, y2, x2), (height, width) = box, wanted
    corners = [
        (y1 - height, x1),
        (y1, x1),
        (y1 - height, x2 - width),
        (y2, x1),
        (y1, x2 - width),
        (y2 - height, x1),
        (y1, x2),
        (y1, x1 - width),
    ]
    low = np.clip(corners, 0, np.maximum(np.subtract(size, wanted), 0))
    places = np.concatenate([low, low + wanted], axis=1)  # [8, 4]
    free = places[~_overlaps(places, placed).any(axis=1)]
    if not len(free):
        return None
    areas = np.maximum(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), 1)
    hidden = (_overlaps(free, boxes) / areas).max(axis=1)  # largest share of an object
    hidden[hidden < TOLERATED_HIDING] = 0
    best = np.argmin(hidden)  # the first of equals
    return free[best] if hidden[best] < MAX_HIDING else None


def _overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[n, m] areas that boxes [n, 4] and [m, 4] share."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.prod(np.maximum(high - low, 0), axis=-1)
