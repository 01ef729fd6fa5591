"""Rectangles, circles and ellipses as flat polygons x1, y1, x2, y2, ..."""

import math
from typing import List

import numpy as np

# How far, in pixels, the sides of a polygon may leave the curve that they stand for.
TOLERANCE = 0.05
# Enough for that up to a radius of 170,000 pixels.
MAX_CORNERS = 4096


def rectangle(x1: float, y1: float, x2: float, y2: float, degrees: float = 0.0) -> List[float]:
    """An upright rectangle, turned clockwise about its middle; corners in any order."""
    (x1, x2), (y1, y2) = sorted((x1, x2)), sorted((y1, y2))
    corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float64)
    return turned(corners, corners.mean(axis=0), degrees).reshape(-1).tolist()


def turned(points: np.ndarray, middle: np.ndarray, degrees: float) -> np.ndarray:
    """[n, 2] xy `points`, turned clockwise about `middle` [2]."""
    if not degrees % 360:
        return points
    return middle + (points - middle) @ _turn(math.radians(degrees % 360))


def ellipse(cx: float, cy: float, rx: float, ry: float, radians: float = 0.0) -> List[float]:
    """An ellipse about (cx, cy), turned clockwise; of equal radii a circle.

    Its corners lie as far outside as the middles of its sides lie inside, at most `TOLERANCE`, but
    there are no more than `MAX_CORNERS`.
    """
    if not all(math.isfinite(v) for v in (cx, cy, rx, ry, radians)) or rx <= 0 or ry <= 0:
        return []  # no shape: whoever checks it says so
    # A side's middle lies r (1 - cos(pi / n)) inside the circle through the corners.
    share = max(2 * TOLERANCE / max(rx, ry), (math.pi / MAX_CORNERS) ** 2 / 2)
    count = math.ceil(math.pi / math.acos(max(1 - share, 0.0)))
    count = min(max(count, 12), MAX_CORNERS)
    angles = np.arange(count) * (2 * np.pi / count)
    grow = 2 / (1 + math.cos(math.pi / count))
    points = np.stack([rx * np.cos(angles), ry * np.sin(angles)], axis=1) * grow
    points = points @ _turn(radians) + (cx, cy)
    return np.round(points, 3).reshape(-1).tolist()


def _turn(radians: float) -> np.ndarray:
    """[2, 2] that turns row vectors (x, y) clockwise, y running down."""
    cos, sin = math.cos(radians), math.sin(radians)
    return np.array([[cos, sin], [-sin, cos]])
