"""Masks as polygons of few points, with their holes."""

from typing import List, NamedTuple, Sequence, Tuple

import numpy as np
from pycocotools import mask as coco_mask

from tfmaskrcnn.ops.paste import Window
from tfmaskrcnn.results.pixel_outlines import pixel_outlines

# What an object's polygons may lose of their overlap (IoU) with its mask for each pixel of the
# tolerance; an object that would lose more gets a smaller tolerance, a tiny one none at all.
LOSS_PER_PIXEL = 0.05
LEAST_OVERLAP = 0.5
_SHARES = (1.0, 0.75, 0.5, 0.25, 0.1)  # of the tolerance, which are tried
_MOST_PARTS = 1000  # of one mask, which is noise: its parts are taken to the pixel
_MOST_DRAWN = 1 << 26  # pixels: rings by the bitmap's, up to which COCO's rasteriser is asked too
_AT_ONCE = 256  # sides that are compared with others at once


class MaskPolygon(NamedTuple):
    """One connected part of an object; pixel i covers [i, i + 1) on both axes."""

    outer: np.ndarray  # [n, 2] float64 xy pixels of the image, clockwise on the screen
    holes: List[np.ndarray]  # the same, counter-clockwise


def polygons_of(window: Window, tolerance: float) -> List[MaskPolygon]:
    """The parts of a mask as polygons, each with its holes, the largest first.

    Pixels that touch at a corner alone are of two parts.

    Args:
        window: the mask, as of `Instances.windows`.
        tolerance: pixels by which a polygon may leave the border of the mask's pixels; 0 follows
            it exactly. A smaller one is taken where the polygons would cross each other or lose
            more of the mask than `LOSS_PER_PIXEL`, so that small objects do not vanish.

    Returns:
        Nothing where the mask has no pixel.
    """
    parts = pixel_outlines(window.bitmap)
    if 0 < len(parts) <= _MOST_PARTS and tolerance > 0:
        parts = _fewer_points(parts, window.bitmap, tolerance) or parts
    corner = np.array([window.left, window.top], np.float64)
    found = [MaskPolygon(rings[0] + corner, [r + corner for r in rings[1:]]) for rings in parts]
    return sorted(found, key=lambda part: -ring_area(part.outer))


def ring_area(ring: np.ndarray) -> float:
    """Square pixels inside [n, 2] xy points; negative where they go counter-clockwise on screen."""
    x, y = (ring - ring[0]).T
    return 0.5 * float(np.dot(x, np.roll(y, -1)) - np.dot(np.roll(x, -1), y))


def _fewer_points(parts: List[List[np.ndarray]], bitmap: np.ndarray, tolerance: float):
    """Rings of fewer points that still are the bitmap's; None if there are no such rings."""
    least = max(LEAST_OVERLAP, 1 - LOSS_PER_PIXEL * tolerance)
    smooth = [[without_stairs(ring) for ring in rings] for rings in parts]
    for share in _SHARES:
        fewer = [[simplified(ring, share * tolerance) for ring in rings] for rings in smooth]
        if _drawn_alike(fewer, bitmap, least) and not _crossing(fewer):
            return fewer
    return None


def simplified(ring: np.ndarray, tolerance: float) -> np.ndarray:
    """Some of the [n, 2] points of a ring, at least 3, by the rule of Douglas and Peucker.

    No point that is left out is further than `tolerance` from the sides of what remains, unless
    less than a triangle would remain: then all of them stay.
    """
    if len(ring) <= 4:  # few points already; a mask may have thousands of such parts
        return ring
    middle = ring.mean(axis=0)
    first = int(np.argmax(((ring - middle) ** 2).sum(axis=1)))
    ring = np.roll(ring, -first, axis=0)
    second = int(np.argmax(((ring - ring[0]) ** 2).sum(axis=1)))
    closed = np.concatenate([ring, ring[:1]])
    kept = np.array([0, second, len(ring)])
    while True:
        # All stretches between kept points at once: the furthest point of each is kept too.
        stretch = np.repeat(np.arange(len(kept) - 1), np.diff(kept))
        distance = _distance(ring, closed[kept[:-1]], closed[kept[1:]], stretch)
        furthest = np.maximum.reduceat(distance, kept[:-1])
        wanted = (furthest > tolerance)[stretch] & (distance == furthest[stretch])
        if not wanted.any():
            break
        _, first = np.unique(stretch[wanted], return_index=True)
        kept = np.union1d(kept, np.flatnonzero(wanted)[first])
    chosen = ring[kept[:-1]]
    return chosen if len(chosen) > 2 else ring


def _distance(
    points: np.ndarray, start: np.ndarray, stop: np.ndarray, which: np.ndarray
) -> np.ndarray:
    """[n] pixels from [n, 2] points to the sides start-stop [m, 2], each to the one of `which`."""
    along = stop - start
    length = np.maximum((along**2).sum(axis=1), 1e-12)
    along, length, away = along[which], length[which], points - start[which]
    share = np.clip((away * along).sum(axis=1) / length, 0, 1)
    return np.sqrt(((away - share[:, None] * along) ** 2).sum(axis=1))


def without_stairs(ring: np.ndarray) -> np.ndarray:
    """[n, 2] corners of pixels -> [m, 2] points, on slopes the middles of their steps.

    The corners of a slope are a staircase to both sides of it. Its middles lie on it, so that few
    points of them neither grow nor shrink the object. A side is a step if the outline turns one
    way before it and the other way after it. A corner beside a step goes, unless more than half a
    pixel would be cut off; where its other side is no step, it moves along that one.
    """
    before, after = np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0)
    into, out = ring - before, after - ring  # sides, each along an axis
    turn = np.sign(into[:, 0] * out[:, 1] - into[:, 1] * out[:, 0])
    step = turn != np.roll(turn, -1)  # of the side that goes out
    step_in = np.roll(step, 1)
    length_in, length = (np.abs(side).sum(axis=1) for side in (into, out))
    stays = ~(step | step_in) | (length * length_in / (2 * np.hypot(length, length_in)) > 0.5)
    moved_back = ring - into * np.minimum(0.5, 0.5 / length_in)[:, None]
    moved_on = ring + out * np.minimum(0.5, 0.5 / length)[:, None]
    places = np.stack([moved_back, ring, moved_on, ring + out / 2], axis=1).reshape(-1, 2)
    taken = [~stays & ~step_in, stays, ~stays & ~step, step]
    points = places[np.stack(taken, axis=1).reshape(-1)]
    return points[np.any(points != np.roll(points, 1, axis=0), axis=1)]


def _drawn_alike(parts: Sequence[Sequence[np.ndarray]], bitmap: np.ndarray, least: float) -> bool:
    """Whether the polygons are drawn with an IoU of `least` with the bitmap.

    Most tools turn the pixels on whose centres lie inside; COCO's rule is another at the border,
    which matters for objects of a few pixels.
    """
    rings = [ring for rings in parts for ring in rings]
    if _overlap(_drawn(rings, bitmap.shape), bitmap) < least:
        return False
    if len(rings) > 1 and len(rings) * bitmap.size > _MOST_DRAWN:
        return True
    drawn = np.zeros(bitmap.shape, bool)
    for code in coco_mask.frPyObjects([r.reshape(-1).tolist() for r in rings], *bitmap.shape):
        drawn ^= coco_mask.decode(code).astype(bool)
    return _overlap(drawn, bitmap) >= least


def _overlap(drawn: np.ndarray, bitmap: np.ndarray) -> float:
    return np.count_nonzero(drawn & bitmap) / max(np.count_nonzero(drawn | bitmap), 1)


def _drawn(rings: Sequence[np.ndarray], shape: Tuple[int, int]) -> np.ndarray:
    """[h, w] bool, the pixels whose centres an odd number of rings enclose."""
    (x1, y1), (x2, y2) = (points.T for points in _sides_of(rings))
    # Pixels are to the right of a side in the rows whose middles it passes.
    first = np.ceil(np.minimum(y1, y2) - 0.5).clip(0, shape[0]).astype(int)
    count = np.ceil(np.maximum(y1, y2) - 0.5).clip(0, shape[0]).astype(int) - first
    side = np.repeat(np.arange(len(count)), count)
    row = np.arange(len(side)) + np.repeat(first - (np.cumsum(count) - count), count)
    share = (row + 0.5 - y1[side]) / (y2 - y1)[side]
    x = x1[side] + share * (x2 - x1)[side]
    column = np.ceil(x - 0.5).clip(0, shape[1]).astype(int)
    place = row * (shape[1] + 1) + column
    toggles = np.bincount(place, minlength=shape[0] * (shape[1] + 1)) % 2 == 1
    return np.logical_xor.accumulate(toggles.reshape(shape[0], -1), axis=1)[:, :-1]


def _crossing(parts: Sequence[Sequence[np.ndarray]]) -> bool:
    """Whether sides of rings cross; those that only touch do not."""
    start, stop = _sides_of([ring for rings in parts for ring in rings])
    low, high = np.minimum(start[:, 1], stop[:, 1]), np.maximum(start[:, 1], stop[:, 1])
    order = np.argsort(low)  # a few neighbours are compared with all at their height
    start, stop, low, high = start[order], stop[order], low[order], high[order]
    for i in range(0, len(start), _AT_ONCE):
        block = slice(i, i + _AT_ONCE)
        near = (low <= high[block].max()) & (high >= low[i])
        if _any_crosses(start[block], stop[block], start[near], stop[near]):
            return True
    return False


def _sides_of(rings: Sequence[np.ndarray]) -> Tuple[np.ndarray, np.ndarray]:
    """[n, 2] xy where the sides of all rings start, and where they stop."""
    return np.concatenate(rings), np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])


def _any_crosses(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> bool:
    """Whether a side a-b [n, 2] crosses a side c-d [m, 2]."""
    one = _side_of(a, b, c) * _side_of(a, b, d)
    other = _side_of(c, d, a) * _side_of(c, d, b)
    return bool(np.any((one < 0) & (other.T < 0)))


def _side_of(a: np.ndarray, b: np.ndarray, points: np.ndarray) -> np.ndarray:
    """[n, m] on which side of the line through a and b [n, 2] the points [m, 2] lie: 1, 0, -1."""
    along, away = (b - a)[:, None], points[None] - a[:, None]
    return np.sign(along[..., 0] * away[..., 1] - along[..., 1] * away[..., 0])
