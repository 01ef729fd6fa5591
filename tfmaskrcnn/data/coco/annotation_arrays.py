"""Annotations of usual types, many of them as arrays; and arithmetic with their polygons."""

import functools
import itertools
from array import array
from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

import msgspec
import numpy as np

from tfmaskrcnn.data.coco.lazy_entries import LazyEntries

Polygon = List[float]


class Annotation(msgspec.Struct, gc=False):
    """What is read of an annotation; of other types than these it is not usual."""

    id: int
    image_id: int
    category_id: int
    bbox: Tuple[float, float, float, float]
    segmentation: Optional[List[Polygon]] = None
    iscrowd: int = 0
    area: Optional[float] = None


class Outlines(NamedTuple):
    """All polygons of n annotations: P polygons of V points."""

    points: np.ndarray  # [V, 2] float64 xy
    counts: np.ndarray  # [P] int64, points of each polygon
    parts: np.ndarray  # [n] int64, polygons of each annotation

    @property
    def ends(self) -> np.ndarray:
        """[P] int64, where each polygon ends among the points."""
        return np.cumsum(self.counts)


_OF_BYTES = msgspec.json.Decoder(Annotation).decode
_OF_VALUES = functools.partial(msgspec.convert, type=Annotation)


def undecoded(annotations: Sequence[Any]) -> Tuple[Sequence[Any], Callable[[Any], Annotation]]:
    """The entries of a file, and what makes an `Annotation` of one.

    It raises a `ValueError` or a `RecursionError` if the entry is not usual.
    """
    if isinstance(annotations, LazyEntries):
        return annotations.raws, _OF_BYTES
    return annotations, _OF_VALUES


def outlines_of(annotations: Sequence[Annotation]) -> Outlines:
    """The polygons of annotations, each of which has an even number of coordinates."""
    shapes = [one.segmentation or () for one in annotations]
    polygons = list(itertools.chain.from_iterable(shapes))
    numbers = array("d")
    for polygon in polygons:
        numbers.fromlist(polygon)  # faster than NumPy's own ways to take lists
    counts = np.fromiter(map(len, polygons), np.int64) // 2
    return Outlines(
        np.array(numbers).reshape(-1, 2), counts, np.fromiter(map(len, shapes), np.int64)
    )


def boxes_of(annotations: Sequence[Annotation]) -> np.ndarray:
    """[n, 4] float64 x, y, width, height, as they are given."""
    flat = itertools.chain.from_iterable([one.bbox for one in annotations])
    return np.fromiter(flat, np.float64).reshape(-1, 4)


def spans(points: np.ndarray, starts: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """The least and the greatest xy [P, 2] of polygons, which begin at `starts` of [V, 2] xy."""
    columns = np.ascontiguousarray(points.T)
    least = [np.minimum.reduceat(column, starts) for column in columns]
    greatest = [np.maximum.reduceat(column, starts) for column in columns]
    return np.stack(least, axis=1), np.stack(greatest, axis=1)


def after(column: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Of each of the points of closed polygons, which are `starts` to `ends`, that of the next."""
    found = np.roll(column, -1)
    found[ends - 1] = column[starts]
    return found


def outline_areas(points: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Areas of polygons, the points `starts` to `ends` of [V, 2], by the shoelace formula."""
    x, y = (
        column - np.repeat(column[starts], ends - starts)  # near zero, where floats are fine
        for column in np.ascontiguousarray(points.T)
    )
    turns = x * after(y, starts, ends) - y * after(x, starts, ends)
    return 0.5 * np.abs(np.add.reduceat(turns, starts))
