"""Which objects of a large set have clearly nothing odd about them, many looked at together.

A plain object is a polygon, or some beside each other, inside the image, in COCO's own form, with
the box that they give; none crosses itself. All others, and what is not clear, are left to
`clear_objects` and `object_checks`, which say what is odd; so this has no sentence to say, and its
limits are no rules.
"""

from typing import Any, Dict, FrozenSet, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

from tfmaskrcnn.data.checking.grouped_pairs import pairs_within
from tfmaskrcnn.data.checking.notes import is_plain_id
from tfmaskrcnn.data.checking.polygon_tests import Polygons, crossing, within
from tfmaskrcnn.data.coco.annotation_arrays import after, outline_areas, spans
from tfmaskrcnn.data.coco.object_table import ObjectTable
from tfmaskrcnn.data.coco.surely_good import Clear, clear_annotations

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
    sizes, is_plain = sizes_of(images), np.zeros(len(annotations), bool)
    shapes: List[int] = []
    areas: List[int] = []
    told: Dict[int, float] = {}
    for clear in clear_annotations(annotations, sizes):
        size = [sizes[i] for i in clear.table.image_ids.tolist()]
        size = np.array(size, np.float64).reshape(-1, 2)  # [n, 2] (height, width)
        usual = _usual(clear.table, size)
        clear, size = clear.only(usual), size[usual]
        if len(size):
            with np.errstate(all="ignore"):  # what overflows is not plain
                plain, right = _looked_at(clear, size)
            ids, odd = clear.table.annotation_ids, plain & ~right
            shapes += ids[plain].tolist()
            areas += ids[plain & right].tolist()
            told.update(zip(ids[odd].tolist(), clear.areas[odd].tolist()))
            is_plain[clear.table.positions[plain]] = True
    others = np.flatnonzero(~is_plain).tolist()
    return PlainObjects(frozenset(shapes), frozenset(areas), told, others)


def sizes_of(images: Sequence[Any]) -> Dict[int, Tuple[int, int]]:
    """Image id -> (height, width) of the entries of a JSON that say so; of several the first."""
    sizes: Dict[int, Tuple[int, int]] = {}
    for entry in images:
        if isinstance(entry, dict) and is_plain_id(entry.get("id")):
            size = entry.get("height"), entry.get("width")
            if all(map(_is_side, size)):
                sizes.setdefault(entry["id"], size)
    return sizes


def _is_side(value: Any) -> bool:
    return is_plain_id(value) and 1 < value < 2**31


def _usual(table: ObjectTable, size: np.ndarray) -> np.ndarray:
    """[n] bool: which are objects of a few polygons, in images of `size` [n, 2]."""
    parts = table.parts
    usual = ~table.crowd & (parts > 0) & (parts <= _MOST_PARTS)
    usual &= parts != size[:, 0]  # as a mask has rows
    owners = np.repeat(np.arange(len(parts)), parts)
    usual[owners[table.lengths > 2 * _MOST_POINTS]] = False
    return usual


def _looked_at(clear: Clear, size: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """[n] bool, which are plain, and [n] bool, the area of which is clearly right."""
    table, size, ends = clear.table, size[:, ::-1], np.cumsum(clear.table.lengths // 2)
    points, parts = table.points.reshape(-1, 2).astype(np.float64), table.parts
    polygons = Polygons(points, ends - table.lengths // 2, ends)
    first = np.cumsum(parts) - parts
    lows, highs = spans(points, polygons.starts)
    low, high = np.minimum.reduceat(lows, first), np.maximum.reduceat(highs, first)
    plain = _boxes_fit(clear.given, low, high, size)
    plain &= np.all((low >= 0) & (high <= size), axis=1)
    owners = np.repeat(np.arange(len(parts)), parts)
    inner, outer = _nested(lows, highs, owners)
    plain[owners[inner[within(polygons, inner, outer)]]] = False  # a hole
    plain[owners[crossing(polygons)]] = False
    fit = _areas_fit(np.repeat(clear.areas, parts), polygons)[first]
    return plain, np.isnan(clear.areas) | (fit & (parts == 1))


def _nested(low: np.ndarray, high: np.ndarray, owners: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Of polygons of the same objects, the pairs of which one spans places within the other's.

    Args:
        low, high: [P, 2], what the polygons span.
        owners: [P], whose they are, ascending.

    Returns:
        [n] and [n] int: the inner and the outer ones.
    """
    pairs = [np.zeros((2, 0), int)]
    for first, second in pairs_within(owners):
        for inner, outer in ((first, second), (second, first)):
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
