"""The fast road for what large sets consist of: boxes and polygons that clearly keep all rules.

Many annotations are looked at together, as arrays. What is not clear is left to `entries`, which
says what is wrong; so this road has no sentence to say, and none of its limits is a rule.
"""

import functools
import itertools
from array import array
from math import isfinite
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import msgspec
import numpy as np

from tfmaskrcnn.data.coco.annotations import FAR, MAX_OUTLINE
from tfmaskrcnn.data.coco.file import INT64_MAX
from tfmaskrcnn.data.coco.lazy_entries import LazyEntries
from tfmaskrcnn.data.coco.object_table import ObjectTable

_TOGETHER = 1000  # annotations: their numbers stay in the processor's cache
# Square pixels; of less it is asked exactly whether it is more than none.
_CLEAR_AREA = 1e-3
_Polygon = List[float]


class Annotation(msgspec.Struct, gc=False):
    """What is read of an annotation; of other types than these it is not clear."""

    id: int
    image_id: int
    category_id: int
    bbox: Tuple[float, float, float, float]
    segmentation: Optional[List[_Polygon]] = None
    iscrowd: int = 0
    area: Optional[float] = None


_OF_BYTES = msgspec.json.Decoder(Annotation).decode
_OF_VALUES = functools.partial(msgspec.convert, type=Annotation)


class _Known(NamedTuple):
    """What annotations may refer to."""

    rows: Dict[int, int]  # image id -> row of `sizes`
    sizes: np.ndarray  # [N, 2] float64 (height, width), pixels
    class_of: Dict[int, int]  # category id -> class; 0 of one that is left out


def clear_annotations(
    annotations: Sequence[Any],
    images: Dict[int, Dict[str, Any]],
    class_of: Dict[int, int],
    masks: bool,
) -> Iterator[Tuple[int, ObjectTable]]:
    """How many annotations are looked at together, again and again; and those that are clear.

    Args:
        annotations: of the file.
        images: id -> entry of images with proper sizes.
        class_of: category id -> class; 0 of one that is left out.
        masks: every annotation must have a segmentation.
    """
    lazy = isinstance(annotations, LazyEntries)
    entries, decoded = (annotations.raws, _OF_BYTES) if lazy else (annotations, _OF_VALUES)
    sizes = [(image["height"], image["width"]) for image in images.values()]
    rows = {image_id: row for row, image_id in enumerate(images)}
    known = _Known(rows, np.array(sizes, np.float64).reshape(-1, 2), class_of)
    for start in range(0, len(annotations), _TOGETHER):
        some = entries[start : start + _TOGETHER]
        positions, usual = [], []
        for position, entry in enumerate(some, start):
            try:
                one = decoded(entry)
            except (ValueError, RecursionError):
                continue
            if one.image_id in known.rows and one.category_id in class_of and _regular(one, masks):
                positions.append(position)
                usual.append(one)
        yield len(some), _clear(positions, usual, known)


def _regular(one: Annotation, masks: bool) -> bool:
    """Whether ids, crowd and the lengths of polygons are as usual."""
    if one.iscrowd not in (0, 1) or abs(one.id) > INT64_MAX or not isfinite(one.area or 0):
        return False
    for polygon in one.segmentation or ():
        if len(polygon) < 6 or len(polygon) % 2:
            return False
    return bool(one.segmentation) or not masks


def _clear(positions: List[int], usual: List[Annotation], known: _Known) -> ObjectTable:
    """Those of usual annotations that are clear."""
    sizes = known.sizes[_integers(known.rows[one.image_id] for one in usual)]
    given = np.fromiter(itertools.chain.from_iterable([one.bbox for one in usual]), np.float64)
    shapes = [one.segmentation or () for one in usual]
    polygons = list(itertools.chain.from_iterable(shapes))
    lengths, parts = _integers(map(len, polygons)), _integers(map(len, shapes))
    numbers = array("d")
    for polygon in polygons:
        numbers.fromlist(polygon)  # faster than NumPy's own ways to take lists
    points = np.array(numbers)
    with np.errstate(all="ignore"):  # what overflows is not clear
        boxes, clear = _boxes(given.reshape(-1, 4), sizes)
        clear &= _shapes_clear(points.reshape(-1, 2), lengths // 2, parts, sizes)
        single = points.astype(np.float32)
    return ObjectTable(
        positions=_integers(positions),
        image_ids=_integers(one.image_id for one in usual),
        annotation_ids=_integers(one.id for one in usual),
        classes=_integers(known.class_of[one.category_id] for one in usual).astype(np.int32),
        crowd=_integers(one.iscrowd for one in usual).astype(bool),
        boxes=boxes,
        parts=parts,
        lengths=lengths,
        points=single,
        rles=[],
    ).only(clear)


def _integers(values: Iterable[int]) -> np.ndarray:
    return np.fromiter(values, np.int64)


def _boxes(given: np.ndarray, sizes: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Boxes [n, 4] yxyx of [n, 4] x, y, width, height, and [n] bool which are clear."""
    x, y, width, height = given.T
    corners = np.stack([y, x, y + height, x + width], axis=1)
    boxes = np.clip(corners, 0.0, np.tile(sizes, 2))
    single = boxes.astype(np.float32)
    there = np.all(single[:, 2:] > single[:, :2], axis=1)
    near = _near(corners[:, :2], corners[:, 2:], sizes)
    return boxes, (width > 0) & (height > 0) & there & near


def _near(low: np.ndarray, high: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """[n] bool: what spans `low` to `high` [n, 2] yx lies not far outside its image."""
    return np.all((low >= -FAR * sizes) & (high <= (FAR + 1) * sizes), axis=1)


def _shapes_clear(
    points: np.ndarray, counts: np.ndarray, parts: np.ndarray, sizes: np.ndarray
) -> np.ndarray:
    """[n] bool: which objects have polygons that are clear, or none.

    Args:
        points: [V, 2] float64 xy, of all polygons.
        counts: [P] points of each polygon.
        parts: [n] polygons of each object.
        sizes: [n, 2] (height, width) of their images.
    """
    good, some = np.ones(len(parts), bool), parts > 0
    if not len(counts):
        return good
    ends = np.cumsum(counts)
    starts = ends - counts
    low, high = spans(points, starts)
    first = (np.cumsum(parts) - parts)[some]
    short = counts * np.max(high - low, axis=1) <= MAX_OUTLINE
    near = _near(low, high, np.repeat(sizes, parts, axis=0))
    good[some] = np.logical_and.reduceat(short & near, first)
    # As a whole they reach into the image and enclose something.
    low, high = np.minimum.reduceat(low, first), np.maximum.reduceat(high, first)
    single = points.astype(np.float32).astype(np.float64)
    area = np.maximum.reduceat(outline_areas(single, starts, ends), first)
    seen = np.all((low < sizes[some]) & (high > 0), axis=1) & (area > _CLEAR_AREA)
    good[some] &= seen
    return good


def spans(points: np.ndarray, starts: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """The least and the greatest yx [P, 2] of polygons, which begin at `starts` of [V, 2] xy."""
    columns = [np.ascontiguousarray(points[:, axis]) for axis in (1, 0)]
    least = [np.minimum.reduceat(column, starts) for column in columns]
    greatest = [np.maximum.reduceat(column, starts) for column in columns]
    return np.stack(least, axis=1), np.stack(greatest, axis=1)


def outline_areas(points: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Areas of polygons, the points `starts` to `ends` of [P, 2], by the shoelace formula."""
    x, y = (
        column - np.repeat(column[starts], ends - starts)  # near zero, where floats are fine
        for column in np.ascontiguousarray(points.T)
    )
    after_x, after_y = np.roll(x, -1), np.roll(y, -1)
    after_x[ends - 1], after_y[ends - 1] = 0.0, 0.0  # the first point again
    return 0.5 * np.abs(np.add.reduceat(x * after_y - y * after_x, starts))
