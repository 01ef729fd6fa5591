"""The outlines of a bitmap along the borders of its pixels, exactly."""

from typing import List, Tuple

import numpy as np


def pixel_outlines(bitmap: np.ndarray) -> List[List[np.ndarray]]:
    """The connected parts of a [h, w] bool bitmap, each as its outer ring and those of its holes.

    Pixels that share a side are connected. No ring comes by a point twice: one that would is two,
    which touch there.

    Returns:
        For each part a list of rings [n, 2] float64 xy: the corners alone, which alternate between
        horizontal and vertical sides. Pixel i covers [i, i + 1). The outer ring is first and goes
        clockwise on the screen, holes the other way.
    """
    rings = [part for ring in _rings(bitmap) for part in _split(ring)]
    outer, holes = [], []
    for ring in rings:
        (outer if _clockwise(ring) else holes).append(ring)
    parts = [[np.array(ring, np.float64)] for ring in outer]
    ends = np.array([[*ring.min(axis=0), *ring.max(axis=0)] for (ring,) in parts]).reshape(-1, 4)
    ends = np.ascontiguousarray(ends.T)
    for hole in holes:
        _owner(hole, parts, ends).append(np.array(hole, np.float64))
    return parts


def _rings(bitmap: np.ndarray) -> List[List[Tuple[int, int]]]:
    """Closed walks along the sides of pixels, those that are on to the right."""
    padded = np.pad(bitmap.astype(np.int8), 1)
    # Sides above pixels go right, below them left; left of pixels up, right of them down.
    starts_h, stops_h, rightwards = _sides(np.diff(padded, axis=0)[:, 1:-1])
    starts_v, stops_v, upwards = _sides(np.diff(padded, axis=1)[1:-1].T)
    h_from = np.where(rightwards, starts_h, stops_h)[:, ::-1]  # xy, as below
    h_to = np.where(rightwards, stops_h, starts_h)[:, ::-1]
    v_from, v_to = np.where(upwards, stops_v, starts_v), np.where(upwards, starts_v, stops_v)
    # Where four sides meet, the walk turns right, so that it stays at its pixel.
    to_v = _next(h_to, rightwards[:, 0], v_from, ~upwards[:, 0])
    to_h = _next(v_to, upwards[:, 0], h_from, rightwards[:, 0])
    following = to_h[to_v].tolist()
    begin, end = [list(map(tuple, points.tolist())) for points in (h_from, h_to)]
    rings, seen = [], [False] * len(begin)
    for first in range(len(begin)):
        ring, side = [], first
        while not seen[side]:
            seen[side] = True
            ring += [begin[side], end[side]]
            side = following[side]
        if ring:
            rings.append(ring)
    return rings


def _sides(steps: np.ndarray) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The longest stretches of equal -1 or 1 along the rows of [n, m] int8.

    Returns:
        [s, 2] int (row, column) of their starts and of their ends, [s, 1] bool whether they are 1.
    """
    bordered = np.pad(steps, [(0, 0), (1, 1)])
    changes = bordered[:, 1:] != bordered[:, :-1]  # [n, m + 1]
    starts = np.argwhere(changes & (bordered[:, 1:] != 0))
    stops = np.argwhere(changes & (bordered[:, :-1] != 0))
    return starts, stops, (steps[tuple(starts.T)] == 1)[:, None]


def _next(ends: np.ndarray, wanted: np.ndarray, starts: np.ndarray, kind: np.ndarray):
    """[n] int, for each of [n, 2] ends which of the [m, 2] starts is there.

    Where there are two, it is the one whose `kind` is as `wanted`, both bool.
    """
    if not len(ends):
        return np.zeros(0, int)
    width = 2 * (int(max(ends.max(), starts.max())) + 1)
    keys = starts[:, 1] * width + 2 * starts[:, 0] + kind
    order = np.argsort(keys)
    keys = keys[order]
    asked = ends[:, 1] * width + 2 * ends[:, 0] + wanted
    place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    other = np.searchsorted(keys, asked ^ 1)
    return order[np.where(keys[place] == asked, place, np.minimum(other, len(keys) - 1))]


def _split(ring: List[Tuple[int, int]]) -> List[List[Tuple[int, int]]]:
    """Rings that come by no point twice."""
    if len(set(ring)) == len(ring):
        return [ring]
    found, path, place = [], [], {}
    for point in ring:
        if point in place:
            loop = path[place[point] :]
            found.append(loop)
            for passed in loop:
                del place[passed]
            del path[-len(loop) :]
        place[point] = len(path)
        path.append(point)
    return [*found, path]


def _clockwise(ring: List[Tuple[int, int]]) -> bool:
    # The highest side goes right above a pixel that is on, left above a hole.
    top = min(range(len(ring)), key=lambda i: (ring[i][1], ring[i][0]))
    after = ring[(top + 1) % len(ring)]
    return after[1] == ring[top][1] and after[0] > ring[top][0]


def _owner(
    hole: List[Tuple[int, int]], parts: List[List[np.ndarray]], ends: np.ndarray
) -> List[np.ndarray]:
    """The part that a hole is of; `ends` [4, n] are the parts' bounds, xyxy."""
    # The pixel above the hole's highest side is on, and of the part.
    x, y = min(hole, key=lambda point: (point[1], point[0]))
    x, y = x + 0.5, y - 0.5
    around = (ends[0] < x) & (ends[1] < y) & (ends[2] > x) & (ends[3] > y)
    inside = []
    for i in np.flatnonzero(around):
        xs, ys = parts[i][0].T
        vertical = (ys > y) != (np.roll(ys, -1) > y)  # sides that pass the pixel's height
        if np.count_nonzero(vertical & (xs > x)) % 2:
            inside.append(parts[i])
    # An island in a hole of another part lies in both; its own ring is the innermost.
    return min(inside, key=lambda part: np.ptp(part[0][:, 0]))
