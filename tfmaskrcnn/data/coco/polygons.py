"""Polygons as arrays of points: area, outline, and what of one lies inside a window."""

import itertools
from typing import Tuple

import numpy as np

# How far inside the window, in pixels, it is asked whether a polygon covers a corner.
NUDGE = 1e-4


def polygon_area(polygon: np.ndarray) -> float:
    """Area inside a flat array of coordinates, by the shoelace formula; square pixels."""
    # About the first point: float32 products of large coordinates would cancel badly.
    a, b = polygon.astype(np.float64).reshape(-1, 2).T
    a, b = a - a[0], b - b[0]
    return 0.5 * abs(float(np.dot(a, np.roll(b, -1)) - np.dot(b, np.roll(a, -1))))


def outline_length(polygon: np.ndarray) -> float:
    """Pixels along a flat closed polygon as a rasteriser walks: of each edge the longer side."""
    points = np.asarray(polygon, np.float64).reshape(-1, 2)
    return float(np.abs(points - np.roll(points, -1, axis=0)).max(axis=1).sum())


def clip_polygon(points: np.ndarray, window: Tuple[int, int]) -> np.ndarray:
    """The polygon [n, 2] yx inside (0, 0)..window, by Sutherland and Hodgman; [m, 2], m may be 0.

    Parts of a concave polygon stay joined by edges along the window's border, which have no area.
    """
    for axis in (0, 1):
        for sign, limit in ((1.0, 0.0), (-1.0, float(window[axis]))):
            if not len(points):
                return points
            points = _clipped_at(points, axis, sign, limit)
    return points


def bounding_points(clipped: np.ndarray, whole: np.ndarray, window: Tuple[int, int]) -> np.ndarray:
    """[n, 2] points whose extremes bound the visible area of a clipped polygon.

    Clipping leaves edges along the window's border where there is no area, up to a corner that the
    polygon passes by. So: the edges inside the window, and the corners that it really covers.
    """
    after = np.roll(clipped, -1, axis=0)
    on_border = np.zeros(len(clipped), bool)
    for limit in (np.zeros(2), np.float64(window)):
        on_border |= np.any((clipped == limit) & (after == limit), axis=1)
    corners = np.array(list(itertools.product((0, window[0]), (0, window[1]))), np.float64)
    inwards = corners + np.where(corners > 0, -NUDGE, NUDGE)
    covered = [_covers(whole, point) for point in inwards]
    return np.concatenate([clipped[~on_border], after[~on_border], corners[covered]])


def _clipped_at(points: np.ndarray, axis: int, sign: float, limit: float) -> np.ndarray:
    """The part of a polygon where `sign * (coordinate - limit) >= 0`."""
    distance = sign * (points[:, axis] - limit)
    inside = distance >= 0
    if inside.all():
        return points
    after, distance_after = np.roll(points, -1, axis=0), np.roll(distance, -1)
    crosses = inside != (distance_after >= 0)
    share = distance / np.where(crosses, distance - distance_after, 1.0)
    crossing = points + share[:, None] * (after - points)
    crossing[:, axis] = limit  # free of rounding: compared with the limit later
    # Each vertex is followed by where its edge crosses the limit; either may be absent.
    both = np.stack([points, crossing], axis=1).reshape(-1, 2)
    return both[np.stack([inside, crosses], axis=1).reshape(-1)]


def _covers(polygon: np.ndarray, point: np.ndarray) -> bool:
    """Whether `point` [2] lies in `polygon` [n, 2], by the even-odd rule."""
    before, after = polygon - point, np.roll(polygon, -1, axis=0) - point
    spans = (before[:, 0] > 0) != (after[:, 0] > 0)
    # The edge passes the point's height at a positive x: compared without a division.
    cross = before[:, 1] * after[:, 0] - after[:, 1] * before[:, 0]
    beyond = (cross > 0) == (after[:, 0] > before[:, 0])
    return bool(np.count_nonzero(spans & beyond) % 2)
