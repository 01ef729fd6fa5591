"""Checks of single COCO annotations; each failure says the value found and the value wanted."""

import math
from numbers import Real
from typing import Any, Dict, List, Union

import numpy as np

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.ops.paste import run_lengths

# One polygon is a flat float32 array x1, y1, x2, y2, ...; an RLE is a dict with "size", "counts".
Segmentation = Union[List[np.ndarray], Dict[str, Any]]


class Fault(InputError):
    """One entry of a data set breaks a rule."""

    def __init__(self, rule: str, message: str):
        """`rule` is a key of `checking.rules.RULES`."""
        super().__init__(message)
        self.rule = rule


def checked_box(bbox: Any, height: int, width: int) -> List[float]:
    """COCO's [x, y, width, height] as [y1, x1, y2, x2], clipped to the image.

    Raises:
        Fault: no four finite numbers, no area, or no part inside the image.
    """
    wanted = "wanted [x, y, width, height] of four finite numbers"
    if not isinstance(bbox, (list, tuple)) or len(bbox) != 4:
        raise Fault("box", f"its bbox is {_short(bbox)}; {wanted}.")
    if not all(isinstance(v, Real) and not isinstance(v, bool) and math.isfinite(v) for v in bbox):
        raise Fault("box", f"its bbox is {_short(bbox)}; {wanted}.")
    x, y, box_width, box_height = bbox
    if box_width <= 0 or box_height <= 0:
        raise Fault(
            "box-area", f"its bbox {_short(bbox)} has no area; wanted width and height above 0."
        )
    y1, x1 = max(float(y), 0.0), max(float(x), 0.0)
    y2, x2 = min(float(y + box_height), float(height)), min(float(x + box_width), float(width))
    if y2 <= y1 or x2 <= x1:
        raise Fault(
            "box-outside",
            f"its bbox {_short(bbox)} lies outside the image of {height} x {width} pixels "
            "(height x width).",
        )
    return [y1, x1, y2, x2]


def checked_segmentation(segmentation: Any, height: int, width: int) -> Segmentation:
    """Polygons as flat float32 arrays, or the RLE dict as it is.

    Raises:
        Fault: neither of the two, nothing in it, a polygon of less than three points, without
            area or outside the image, or an RLE that does not fit the image.
    """
    if segmentation is None or (isinstance(segmentation, (list, dict)) and not segmentation):
        raise Fault(
            "segmentation",
            f"its segmentation is {_short(segmentation)}; wanted polygons or an RLE, "
            "because a mask is trained for every box.",
        )
    if isinstance(segmentation, dict):
        return _checked_rle(segmentation, height, width)
    if not isinstance(segmentation, list):
        raise Fault(
            "segmentation",
            f"its segmentation is a {type(segmentation).__name__}; wanted a list of polygons "
            "or an RLE with 'size' and 'counts'.",
        )
    polygons = [_checked_polygon(polygon) for polygon in segmentation]
    if not any(polygon_area(p) > 0 for p in polygons):
        raise Fault("mask-area", "its polygons enclose no area.")
    low = np.min([p.reshape(-1, 2).min(axis=0) for p in polygons], axis=0)
    high = np.max([p.reshape(-1, 2).max(axis=0) for p in polygons], axis=0)
    if low[0] >= width or low[1] >= height or high[0] <= 0 or high[1] <= 0:
        raise Fault(
            "polygon-outside",
            f"its polygons span x {low[0]:g}..{high[0]:g}, y {low[1]:g}..{high[1]:g}, outside the "
            f"image of {height} x {width} pixels (height x width).",
        )
    return polygons


def polygon_area(polygon: np.ndarray) -> float:
    """Area inside a flat array of coordinates, by the shoelace formula; square pixels."""
    # About the first point: float32 products of large coordinates would cancel badly.
    a, b = polygon.astype(np.float64).reshape(-1, 2).T
    a, b = a - a[0], b - b[0]
    return 0.5 * abs(float(np.dot(a, np.roll(b, -1)) - np.dot(b, np.roll(a, -1))))


def _checked_polygon(polygon: Any) -> np.ndarray:
    if not isinstance(polygon, (list, tuple)):
        raise Fault(
            "polygon",
            f"its segmentation holds {_short(polygon)}; wanted a list of polygons, "
            "each a list [x1, y1, x2, y2, ...].",
        )
    if len(polygon) < 6 or len(polygon) % 2:
        raise Fault(
            "polygon",
            f"a polygon has {len(polygon)} coordinates; wanted x, y pairs of at least 3 points.",
        )
    try:
        flat = np.array(polygon, np.float32)
    except (TypeError, ValueError, OverflowError):
        flat = np.empty(0, np.float32)
    if flat.ndim != 1 or not flat.size or not np.isfinite(flat).all():
        raise Fault("polygon", f"a polygon holds {_short(polygon)}; wanted finite numbers only.")
    return flat


def _checked_rle(rle: Dict[str, Any], height: int, width: int) -> Dict[str, Any]:
    counts, size = rle.get("counts"), rle.get("size")
    if not isinstance(counts, (list, str, bytes)) or not counts:
        raise Fault(
            "rle", f"the 'counts' of its RLE are {_short(counts)}; wanted a list or a string."
        )
    if not isinstance(size, (list, tuple)) or list(size) != [height, width]:
        raise Fault(
            "rle-size",
            f"the 'size' of its RLE is {_short(size)}; wanted the image's [{height}, {width}] "
            "(height, width).",
        )
    if isinstance(counts, list) and not all(isinstance(c, int) for c in counts):
        raise Fault("rle", "the run lengths of its RLE must be integers.")
    runs = np.array(counts) if isinstance(counts, list) else _unpacked(counts)
    if runs.min() < 0 or runs.sum() != height * width:
        raise Fault(
            "rle",
            f"the run lengths of its RLE add up to {runs.sum()}, the least is {runs.min()}; wanted "
            f"{height} * {width} = {height * width}, none negative.",
        )
    if not runs[1::2].any():
        raise Fault("mask-area", "its RLE covers no pixel.")
    return rle


def _unpacked(counts: Union[str, bytes]) -> np.ndarray:
    """Run lengths of a compressed RLE: pycocotools takes one that ends early without a word."""
    text = counts.encode() if isinstance(counts, str) else counts
    chars = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    last = (chars & 32) == 0
    if chars.min() < 0 or chars.max() > 63 or not last[-1]:
        raise Fault(
            "rle", f"the 'counts' of its RLE are no compressed run lengths: {_short(counts)}."
        )
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    if (ends - starts).max() > 6:  # more than the 32 bits of a run length
        raise Fault(
            "rle", f"the 'counts' of its RLE are no compressed run lengths: {_short(counts)}."
        )
    return run_lengths(counts)


def _short(value: Any, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
