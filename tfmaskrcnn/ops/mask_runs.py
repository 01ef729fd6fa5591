"""Masks as their runs: sums, intersections and RLE without bitmaps of the image's size (NumPy).

A mask is [n, 2] int64 (start, stop), ascending, counted down the columns of the image:
pixel (y, x) of one that is `height` pixels high is number x * height + y. No run goes on from one
column into the next; runs may touch. It takes memory by the width of the object, however large the
image is.
"""

from typing import Dict, Tuple

import numpy as np

from tfmaskrcnn.ops.paste import Window, edges_rle, run_edges

EMPTY = np.zeros((0, 2), np.int64)


def window_runs(window: Window, height: int) -> np.ndarray:
    """[n, 2] runs of a mask of an image `height` pixels high."""
    return np.asarray(run_edges(window, height), np.int64).reshape(-1, 2)


def box_runs(box: Tuple[float, float, float, float], size: Tuple[int, int]) -> np.ndarray:
    """[n, 2] runs of all pixels that a yxyx box has a half of, of an image of `size` (h, w)."""
    low = np.clip(np.round(np.asarray(box[:2], np.float64)), 0, size).astype(np.int64)
    high = np.clip(np.round(np.asarray(box[2:], np.float64)), 0, size).astype(np.int64)
    if np.any(high <= low):
        return EMPTY
    columns = np.arange(low[1], high[1]) * size[0]
    return np.stack([columns + low[0], columns + high[0]], axis=1)


def area(runs: np.ndarray) -> int:
    """Pixels of a mask."""
    return int(np.sum(runs[:, 1] - runs[:, 0]))


def intersection(a: np.ndarray, b: np.ndarray) -> int:
    """Pixels that two masks have in common."""
    if not len(a) or not len(b) or a[0, 0] >= b[-1, 1] or b[0, 0] >= a[-1, 1]:
        return 0
    few, many = (a, b) if len(a) <= len(b) else (b, a)
    before = np.concatenate([[0], np.cumsum(many[:, 1] - many[:, 0])])

    def pixels_below(place):
        run = np.searchsorted(many[:, 0], place, "right")  # runs that start at or before it
        last = np.maximum(run - 1, 0)
        part = np.minimum(place, many[last, 1]) - many[last, 0]
        return np.where(run > 0, before[last] + part, 0)

    return int(np.sum(pixels_below(few[:, 1]) - pixels_below(few[:, 0])))


def union(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[n, 2] runs of the pixels that are in one of two masks, or in both."""
    runs = np.concatenate([a, b])
    runs = runs[np.argsort(runs[:, 0], kind="stable")]
    if not len(runs):
        return EMPTY
    reached = np.maximum.accumulate(runs[:, 1])
    first = np.concatenate([[True], runs[1:, 0] >= reached[:-1]])
    starts = np.flatnonzero(first)
    stops = np.append(starts[1:], len(runs)) - 1
    return np.stack([runs[starts, 0], reached[stops]], axis=1)


def clipped(runs: np.ndarray, box: Tuple[int, int, int, int], height: int) -> np.ndarray:
    """[n, 2] runs of the pixels of a mask that are inside a yxyx box of whole pixels."""
    y1, x1, y2, x2 = box
    columns = runs[:, 0] // height
    runs = runs[(columns >= x1) & (columns < x2)]
    columns = runs[:, 0] // height * height
    starts = np.maximum(runs[:, 0], columns + y1)
    stops = np.minimum(runs[:, 1], columns + y2)
    return np.stack([starts, stops], axis=1)[stops > starts]


def runs_rle(runs: np.ndarray, height: int, width: int) -> Dict:
    """COCO compressed RLE of a mask, JSON-ready."""
    return edges_rle(runs.reshape(-1), height, width)
