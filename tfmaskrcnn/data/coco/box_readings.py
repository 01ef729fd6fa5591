"""Outlines whose numbers mean something else than COCO's x1, y1, x2, y2, ..., known by their box.

Pure functions: nothing is guessed without a box that the outline misses as it is and gives as read.
"""

from typing import Any, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

_CLOSE = 2.0  # pixels on each side, or this share of the box's longer side:
_CLOSE_SHARE = 0.02
_MISSED = 0.8  # IoU of the box with the outline as it is; above it, it is what it is


class Reading(NamedTuple):
    """What an outline is, and in COCO's form."""

    what: str
    mended: Any


def bitmap_runs(rows: Any, height: int, width: int) -> Optional[List[int]]:
    """Run lengths of a mask that is written as a row of zeros and ones for each row of pixels."""
    if not isinstance(rows, (list, tuple)) or len(rows) != height or height * width > 2**26:
        return None
    if not all(isinstance(row, (list, tuple)) and len(row) == width for row in rows):
        return None
    if not all(set(map(type, row)) <= {int, float, bool} and set(row) <= {0, 1} for row in rows):
        return None
    flat = np.array(rows, np.uint8).T.reshape(-1)
    edges = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff(np.concatenate([[0], edges, [len(flat)]])).tolist()
    return [0, *lengths] if flat[0] else lengths


def reading_by_box(
    parts: Any, box: Optional[Sequence[float]], height: int, width: int
) -> Optional[Reading]:
    """Another reading of lists of numbers that gives the box, which they do not give as they are.

    Args:
        parts: the segmentation, lists of numbers; anything else is no reading.
        box: [x, y, width, height] of finite numbers.
        height, width: of the image, pixels.
    """
    arrays = _arrays(parts)
    if arrays is None or box is None or min(box[2:]) <= 0:
        return None
    corners = np.array([box[0], box[1], box[0] + box[2], box[1] + box[3]], float)
    pairs = all(len(a) >= 6 and len(a) % 2 == 0 for a in arrays)
    if pairs and _iou(_bounds(arrays), corners) >= _MISSED:
        return None
    close = max(_CLOSE, _CLOSE_SHARE * max(box[2:]))
    found = [
        Reading(what, [flat.tolist() for flat in read])
        for what, read in _readings(arrays, pairs, height, width)
        if np.abs(_bounds(read) - corners).max() <= close
    ]
    return found[0] if len(found) == 1 else None


def _arrays(parts: Any) -> Optional[List[np.ndarray]]:
    if not isinstance(parts, (list, tuple)) or not parts:
        return None
    for part in parts:
        if not isinstance(part, (list, tuple)) or not part:
            return None
        if not set(map(type, part)) <= {int, float}:
            return None
    try:
        arrays = [np.array(part, np.float64) for part in parts]
    except OverflowError:
        return None
    return arrays if all(np.isfinite(a).all() for a in arrays) else None


def _readings(
    arrays: List[np.ndarray], pairs: bool, height: int, width: int
) -> Iterator[Tuple[str, List[np.ndarray]]]:
    """(what it is, flat polygons) of each way to read them that their form allows."""
    if len(arrays) == 2 and len(arrays[0]) == len(arrays[1]) >= 3:
        yield "a list of x and one of y", [np.stack(arrays, axis=1).reshape(-1)]
    if len(arrays) >= 3 and all(len(a) == 3 for a in arrays):
        yield "a list of points of three numbers", [np.stack(arrays)[:, :2].reshape(-1)]
    if not pairs:
        return
    yield "polygons of y, x", [a.reshape(-1, 2)[:, ::-1].reshape(-1) for a in arrays]
    low, high = min(a.min() for a in arrays), max(a.max() for a in arrays)
    sides = np.array([width, height], float)
    for most, what in ((1.0, "shares of the image"), (100.0, "percents of the image")):
        if low >= 0 and high <= most:
            scaled = [(a.reshape(-1, 2) * (sides / most)).reshape(-1) for a in arrays]
            yield f"polygons in {what}", scaled


def _bounds(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """[x1, y1, x2, y2] of all."""
    points = np.concatenate([a.reshape(-1, 2) for a in arrays])
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    """IoU of two boxes of corners."""
    shared = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0).prod()
    total = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared
    return float(shared / total) if total > 0 else 0.0
