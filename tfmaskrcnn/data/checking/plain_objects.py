"""Which objects of a large set have clearly nothing odd about them, many looked at together.

A plain object is a polygon, or some beside each other, inside the image, in COCO's own form, with
the box that they give; none crosses itself. All others, and what is not clear, are left to
`clear_objects` and `object_checks`, which say what is odd; so this has no sentence to say, and its
limits are no rules.
"""

from typing import Any, Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from tfmaskrcnn.data.checking.notes import is_plain_id
from tfmaskrcnn.data.checking.polygon_tests import Polygons, crossing, within
from tfmaskrcnn.data.coco.annotation_arrays import (
    Annotation,
    after,
    boxes_of,
    outline_areas,
    outlines_of,
    spans,
    undecoded,
)

_TOGETHER = 1000  # objects
_MOST_PARTS = 16  # polygons of an object
_MOST_POINTS = 128  # of a polygon whose edges are compared here
_LEAST_SIDE = 4.0  # pixels; smaller boxes may be shares of the image
_OVERLAP = 0.9  # IoU of the box and the polygon's own
_OVER_EDGE = 0.5  # pixels that a box may reach over the edge
_AREA_TOLERANCE, _AREA_SHARE = 9.0, 0.09  # square pixels and of the area, as `object_checks` + 10 %


class PlainObjects(NamedTuple):
    """Annotation ids, and what is not among them."""

    shapes: FrozenSet[int] = frozenset()  # of plain objects
    areas: FrozenSet[int] = frozenset()  # those of them whose area is clearly right, or not said
    told: Mapping[int, float] = {}  # id -> area, of the other ones of them
    others: Sequence[int] = ()  # places of all other annotations in their list, ascending


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
    is_plain = np.zeros(len(annotations), bool)
    shapes: List[int] = []
    areas: List[int] = []
    told: Dict[int, float] = {}
    entries, decoded = undecoded(annotations)
    for start in range(0, len(entries), _TOGETHER):
        places, usual = [], []
        for place, entry in enumerate(entries[start : start + _TOGETHER], start):
            try:
                one = decoded(entry)
            except (ValueError, RecursionError):
                continue
            if _is_usual(one, sizes.get(one.image_id)):
                places.append(place)
                usual.append(one)
        if usual:
            with np.errstate(all="ignore"):  # what overflows is not plain
                plain, right = _looked_at(usual, sizes)
            ids = np.array([one.id for one in usual])
            shapes += ids[plain].tolist()
            areas += ids[plain & right].tolist()
            told.update((usual[i].id, usual[i].area) for i in np.flatnonzero(plain & ~right))
            is_plain[np.array(places)[plain]] = True
    others = np.flatnonzero(~is_plain).tolist()
    return PlainObjects(frozenset(shapes), frozenset(areas), told, others)


def _is_side(value: Any) -> bool:
    return is_plain_id(value) and 1 < value < 2**31


def _is_usual(one: Annotation, size: Optional[Tuple[int, int]]) -> bool:
    """Whether it is an object of a few polygons, in an image of this size."""
    shape = one.segmentation
    if not size or one.iscrowd or abs(one.id) >= 2**63 or not shape:
        return False
    if len(shape) > _MOST_PARTS or len(shape) == size[0]:  # as a mask has rows
        return False
    for polygon in shape:
        if not 6 <= len(polygon) <= 2 * _MOST_POINTS or len(polygon) % 2:
            return False
    return True


def _looked_at(
    objects: List[Annotation], sizes: Dict[int, Tuple[int, int]]
) -> Tuple[np.ndarray, np.ndarray]:
    """[n] bool, which are plain, and [n] bool, the area of which is clearly right."""
    size = np.array([sizes[one.image_id] for one in objects], np.float64)[:, ::-1]
    outlines = outlines_of(objects)
    points = outlines.points.astype(np.float32).astype(np.float64)  # as training has them
    outlines, parts, ends = outlines._replace(points=points), outlines.parts, outlines.ends
    polygons = Polygons(points, ends - outlines.counts, ends)
    first = np.cumsum(parts) - parts
    lows, highs = spans(points, polygons.starts)
    low, high = np.minimum.reduceat(lows, first), np.maximum.reduceat(highs, first)
    plain = _boxes_fit(boxes_of(objects), low, high, size)
    plain &= np.all((low >= 0) & (high <= size), axis=1)
    owners = np.repeat(np.arange(len(parts)), parts)
    inner, outer = _nested(lows, highs, owners)
    plain[owners[inner[within(polygons, inner, outer)]]] = False  # a hole
    plain[owners[crossing(polygons)]] = False
    unsaid = np.array([one.area is None for one in objects])
    told = np.array([np.nan if one.area is None else one.area for one in objects])
    fit = _areas_fit(np.repeat(told, parts), polygons)[first]
    return plain, unsaid | (fit & (parts == 1))


def _nested(low: np.ndarray, high: np.ndarray, owners: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Of polygons of the same objects, the pairs of which one spans places within the other's.

    Args:
        low, high: [P, 2], what the polygons span.
        owners: [P], whose they are, ascending.

    Returns:
        [n] and [n] int: the inner and the outer ones.
    """
    pairs, first, step = [np.zeros((2, 0), int)], np.arange(len(owners)), 0
    while len(first):  # neighbours, then those two places apart, and so on
        step += 1
        first = first[: np.searchsorted(first, len(owners) - step)]
        first = first[owners[first] == owners[first + step]]
        for inner, outer in ((first, first + step), (first + step, first)):
            inside = np.all((low[inner] > low[outer]) & (high[inner] < high[outer]), axis=1)
            pairs.append(np.stack([inner[inside], outer[inside]]))
    inner, outer = np.concatenate(pairs, axis=1)
    return inner, outer


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


def _areas_fit(told: np.ndarray, polygons: Polygons) -> np.ndarray:
    """[n] bool: whether areas [n] are surely those of the pixels within outlines.

    The rasteriser rounds an outline by at most half a pixel where it passes a column's centre, and
    by a fifth of one elsewhere.
    """
    points, starts, ends = polygons
    x, y = (
        np.add.reduceat(np.abs(after(column, starts, ends) - column), starts)
        for column in np.ascontiguousarray(points.T)
    )
    rounding = 0.7 * x + 0.2 * y + 4.0
    area = outline_areas(points, starts, ends)
    allowed = np.maximum(_AREA_TOLERANCE, _AREA_SHARE * (area - rounding))
    return np.abs(told - area) + rounding <= allowed  # False of NaN
