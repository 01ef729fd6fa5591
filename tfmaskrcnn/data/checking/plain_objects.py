"""Which objects of a large set have clearly nothing odd about them, many looked at together.

A plain object is a polygon, or some beside each other, inside the image, in COCO's own form, with
the box that they give; none crosses itself. All others, and what is not clear, are left to
`clear_objects` and `object_checks`, which say what is odd; so this has no sentence to say, and its
limits are no rules.
"""

from collections import defaultdict
from typing import Any, Dict, FrozenSet, Iterator, List, NamedTuple, Sequence, Tuple

import msgspec
import numpy as np

from tfmaskrcnn.data.checking.notes import is_plain_id
from tfmaskrcnn.data.coco.surely_good import Annotation, outline_areas

_TOGETHER = 4096  # objects
_MOST_PARTS = 16  # polygons of an object
_MOST_POINTS = 128  # of a polygon whose edges are compared here
_SAME_LENGTH = 8  # points that polygons which are compared together may differ by, padded
_LEAST_SIDE = 4.0  # pixels; smaller boxes may be shares of the image
_OVERLAP = 0.9  # IoU of the box and the polygon's own
_OVER_EDGE = 0.5  # pixels that a box may reach over the edge
_AREA_TOLERANCE, _AREA_SHARE = 9.0, 0.09  # square pixels and of the area, as `object_checks` + 10 %


class PlainObjects(NamedTuple):
    """Annotation ids."""

    shapes: FrozenSet[int] = frozenset()  # of plain objects
    areas: FrozenSet[int] = frozenset()  # those of them whose area is clearly right, or not said


NOTHING_KNOWN = PlainObjects()


def plain_objects(annotations: Sequence[Any], images: Sequence[Any]) -> PlainObjects:
    """The plain ones among the annotations of a set, whose ids are cleared.

    Args:
        annotations: entries of the JSON, anything.
        images: likewise.
    """
    sizes = {
        e["id"]: (e["height"], e["width"])
        for e in images
        if isinstance(e, dict) and all(_is_side(e.get(k)) for k in ("height", "width"))
        if is_plain_id(e.get("id"))
    }
    shapes: List[int] = []
    areas: List[int] = []
    for start in range(0, len(annotations), _TOGETHER):
        usual = list(_usual(annotations[start : start + _TOGETHER], sizes))
        if not usual:
            continue
        with np.errstate(all="ignore"):  # what overflows is not plain
            plain, right = _looked_at([one for one, _ in usual], [size for _, size in usual])
        ids = np.array([one.id for one, _ in usual])
        shapes += ids[plain].tolist()
        areas += ids[plain & right].tolist()
    return PlainObjects(frozenset(shapes), frozenset(areas))


def _is_side(value: Any) -> bool:
    return is_plain_id(value) and 1 < value < 2**31


def _usual(
    entries: Sequence[Any], sizes: Dict[int, Tuple[int, int]]
) -> Iterator[Tuple[Annotation, Tuple[int, int]]]:
    """Objects of a few polygons, and the sizes of their images."""
    for entry in entries:
        try:
            one = msgspec.convert(entry, Annotation)
        except (ValueError, TypeError):
            continue
        size, shape = sizes.get(one.image_id), one.segmentation
        if not size or one.iscrowd or abs(one.id) >= 2**63:
            continue
        if not shape or len(shape) > _MOST_PARTS or len(shape) == size[0]:  # as a mask has rows
            continue
        if all(6 <= len(part) <= 2 * _MOST_POINTS and len(part) % 2 == 0 for part in shape):
            yield one, size


def _looked_at(
    objects: List[Annotation], sizes: List[Tuple[int, int]]
) -> Tuple[np.ndarray, np.ndarray]:
    """[n] bool, which are plain, and [n] bool, the area of which is clearly right."""
    size = np.array(sizes, np.float64)[:, ::-1]  # [n, 2] (width, height)
    parts = np.array([len(one.segmentation) for one in objects])
    first = np.cumsum(parts) - parts
    outlines = [np.array(p, np.float32) for one in objects for p in one.segmentation]
    counts = np.array([len(outline) // 2 for outline in outlines])
    points = np.concatenate(outlines).reshape(-1, 2).astype(np.float64)  # [P, 2] xy
    starts = np.cumsum(counts) - counts
    lows, highs = (f.reduceat(points, starts, axis=0) for f in (np.minimum, np.maximum))
    low, high = np.minimum.reduceat(lows, first), np.maximum.reduceat(highs, first)
    given = np.array([one.bbox for one in objects])  # [n, 4]
    plain = _boxes_fit(given, low, high, size) & np.all((low >= 0) & (high <= size), axis=1)
    for i in np.flatnonzero(plain & (parts > 1)):
        part = slice(first[i], first[i] + parts[i])
        plain[i] = not _nested(lows[part], highs[part])
    which = np.flatnonzero(np.repeat(plain, parts))
    crossing = np.zeros(len(outlines), bool)
    crossing[which] = _cross([outlines[i].reshape(-1, 2) for i in which])
    plain &= ~np.logical_or.reduceat(crossing, first)
    unsaid = np.array([one.area is None for one in objects])
    told = np.array([np.nan if one.area is None else one.area for one in objects])
    fit = _areas_fit(np.repeat(told, parts), points, starts, starts + counts)[first]
    return plain, unsaid | (fit & (parts == 1))


def _nested(low: np.ndarray, high: np.ndarray) -> bool:
    """Whether of boxes from `low` to `high` [n, 2] any lies within another, as a hole's may."""
    return bool(np.all((low[:, None] > low) & (high[:, None] < high), axis=2).any())


def _boxes_fit(
    given: np.ndarray, low: np.ndarray, high: np.ndarray, size: np.ndarray
) -> np.ndarray:
    """[n] bool: whether boxes [n, 4] x, y, width, height are those of outlines from low to high."""
    corner, side = given[:, :2], given[:, 2:]
    end = corner + side
    shared = np.maximum(np.minimum(end, high) - np.maximum(corner, low), 0).prod(axis=1)
    union = side.prod(axis=1) + (high - low).prod(axis=1) - shared
    near = np.maximum(np.abs(corner - low), np.abs(end - high))
    fit = np.all(near <= np.maximum(1.9, 0.045 * (high - low)), axis=1)
    inside = np.all((corner >= -_OVER_EDGE) & (end <= size + _OVER_EDGE), axis=1)
    return fit & inside & np.all(side >= _LEAST_SIDE, axis=1) & (shared >= _OVERLAP * union)


def _areas_fit(
    told: np.ndarray, points: np.ndarray, starts: np.ndarray, ends: np.ndarray
) -> np.ndarray:
    """[n] bool: whether areas [n] are surely those of the pixels within outlines.

    The rasteriser rounds an outline by at most half a pixel where it passes a column's centre, and
    by a fifth of one elsewhere.
    """
    after = np.arange(1, len(points) + 1)
    after[ends - 1] = starts
    x, y = np.add.reduceat(np.abs(points[after] - points), starts, axis=0).T
    rounding = 0.7 * x + 0.2 * y + 4.0
    area = outline_areas(points, starts, ends)
    allowed = np.maximum(_AREA_TOLERANCE, _AREA_SHARE * (area - rounding))
    return np.abs(told - area) + rounding <= allowed  # False of NaN


def _cross(outlines: List[np.ndarray]) -> np.ndarray:
    """[n] bool: which outlines [*, 2] xy cross themselves; those of like lengths together."""
    groups = defaultdict(list)
    for i, outline in enumerate(outlines):
        groups[-(-len(outline) // _SAME_LENGTH) * _SAME_LENGTH].append(i)
    found = np.zeros(len(outlines), bool)
    for length, members in groups.items():
        most = max(1, 2**18 // length**2)  # at a time, so that they stay in the cache
        for start in range(0, len(members), most):
            some = members[start : start + most]
            padded = np.stack([_padded(outlines[i], length) for i in some])
            found[some] = _crossing_edges(padded).any(axis=(1, 2))
    return found


def _padded(outline: np.ndarray, length: int) -> np.ndarray:
    """With its last point repeated: edges without a length cross nothing."""
    return np.concatenate([outline, np.repeat(outline[-1:], length - len(outline), axis=0)])


def _crossing_edges(points: np.ndarray) -> np.ndarray:
    """[..., n, n] bool: which edges of closed outlines [..., n, 2] cross; touching is none."""
    points = np.float64(points)
    x, y = points[..., 0], points[..., 1]
    dx, dy = (np.roll(side, -1, axis=-1) - side for side in (x, y))
    # On which side of edge i point j lies; edges cross if each has its ends on both of the other's.
    turn = dx[..., :, None] * (y[..., None, :] - y[..., :, None])
    turn -= dy[..., :, None] * (x[..., None, :] - x[..., :, None])
    apart = turn * np.roll(turn, -1, axis=-1) < 0
    return apart & np.swapaxes(apart, -1, -2)
