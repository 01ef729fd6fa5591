"""Pixels of RLEs, decoded on the window that a mask covers, and sets of masks without overlaps."""

from typing import Dict, NamedTuple, Sequence, Tuple

import numpy as np

from tfmaskrcnn.ops.paste import Window, run_lengths


class Painted(NamedTuple):
    """Masks of one image, best first, after each pixel went to the best mask that covers it."""

    labels: np.ndarray  # [H, W] int32, 1..D the mask that a pixel belongs to, 0 none
    sizes: np.ndarray  # [D] int, pixels that are left of each

    def iou(self, rles: Sequence[Dict]) -> np.ndarray:
        """[D, G] float64 IoU of what is left of each mask with each of `rles`, taken whole."""
        iou = np.zeros((len(self.sizes), len(rles)))
        for g, window in enumerate(map(rle_window, rles)):
            shared = self._count(_part(self.labels, window)[window.bitmap])
            union = self.sizes + np.count_nonzero(window.bitmap) - shared
            iou[:, g] = shared / np.maximum(union, 1)
        return iou

    def inside(self, rles: Sequence[Dict]) -> np.ndarray:
        """[D] int: how many pixels of each painted mask lie in any of `rles`."""
        union = np.zeros(self.labels.shape, bool)
        for window in map(rle_window, rles):
            part = _part(union, window)
            part |= window.bitmap
        return self._count(self.labels[union])

    def _count(self, labels: np.ndarray) -> np.ndarray:
        return np.bincount(labels, minlength=len(self.sizes) + 1)[1:]


def paint(rles: Sequence[Dict], size: Tuple[int, int]) -> Painted:
    """The masks `rles`, best first, without overlaps on an image of `size` (height, width)."""
    labels = np.zeros(size, np.int32)
    for number in range(len(rles), 0, -1):  # the best one last, over the others
        window = rle_window(rles[number - 1])
        _part(labels, window)[window.bitmap] = number
    return Painted(labels, np.bincount(labels.ravel(), minlength=len(rles) + 1)[1:])


def rle_window(rle: Dict) -> Window:
    """The smallest window that holds all of a COCO compressed RLE; 0 x 0 if that is empty.

    The inverse of `ops.paste.window_rle`, many times faster than decoding the whole image.
    """
    height = rle["size"][0]
    edges = np.cumsum(run_lengths(rle["counts"]))  # off until edges[0], on until edges[1], ...
    stops = edges[1::2]
    starts = edges[0::2][: len(stops)]
    starts, stops = starts[starts < stops], stops[starts < stops]
    if not len(starts):
        return Window(0, 0, np.zeros((0, 0), bool))
    left, right = starts[0] // height, (stops[-1] - 1) // height + 1
    change = np.zeros((right - left) * height + 1, np.int8)
    change[starts - left * height] += 1
    change[stops - left * height] -= 1
    on = np.cumsum(change[:-1], dtype=np.int8).view(bool).reshape(-1, height)  # [w, H]
    rows = np.flatnonzero(on.any(axis=0))
    return Window(int(rows[0]), int(left), on[:, rows[0] : rows[-1] + 1].T)


def _part(canvas: np.ndarray, window: Window) -> np.ndarray:
    """The view of [H, W] `canvas` that `window` covers."""
    (height, width), top, left = window.bitmap.shape, window.top, window.left
    return canvas[top : top + height, left : left + width]
