"""Polygons that lie inside another of the same object: holes, which COCO's polygons cannot say."""

from typing import List, Optional, Tuple

import numpy as np

_MOST, _MOST_POINTS = 200, 5000  # of an object whose polygons are compared with each other


def first_hole(polygons: List[np.ndarray]) -> Optional[Tuple[int, int]]:
    """(i, j) of a flat xy polygon i that lies wholly inside polygon j; None if none does."""
    if not 2 <= len(polygons) <= _MOST or sum(map(len, polygons)) > 2 * _MOST_POINTS:
        return None
    points = [np.float64(p).reshape(-1, 2) for p in polygons]
    low = np.array([p.min(axis=0) for p in points])
    high = np.array([p.max(axis=0) for p in points])
    for i in range(len(points)):
        around = np.all(low < low[i], axis=1) & np.all(high > high[i], axis=1)
        for j in np.flatnonzero(around):
            if _inside(points[i], points[j]).all():
                return i, int(j)
    return None


def _inside(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """[n] bool: which `points` [n, 2] lie in `polygon` [m, 2], by the even-odd rule."""
    x, y = points.T[..., None]  # [n, 1] each
    (ax, ay), (bx, by) = polygon.T, np.roll(polygon, -1, axis=0).T  # [m] each
    spans = (ay > y) != (by > y)
    rise = np.where(ay == by, 1.0, by - ay)  # a level edge spans no height
    beyond = x < (bx - ax) * (y - ay) / rise + ax
    return np.count_nonzero(spans & beyond, axis=1) % 2 == 1
