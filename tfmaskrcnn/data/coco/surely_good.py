"""The fast road for what large sets consist of: boxes and polygons that clearly keep all rules.

Many annotations are looked at together, as arrays. What is not clear is left to `entries`, which
says what is wrong; so this road has no sentence to say, and none of its limits is a rule.
"""

import copy
import itertools
from math import isfinite
from typing import Any, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

from tfmaskrcnn.data.coco.annotation_arrays import (
    Annotation,
    Outlines,
    boxes_of,
    outline_areas,
    outlines_of,
    spans,
    undecoded,
)
from tfmaskrcnn.data.coco.annotations import FAR, MAX_OUTLINE
from tfmaskrcnn.data.coco.file import INT64_MAX
from tfmaskrcnn.data.coco.lazy_entries import LazyEntries
from tfmaskrcnn.data.coco.object_table import ObjectTable

Sizes = Mapping[int, Tuple[int, int]]  # image id -> (height, width), pixels
_TOGETHER = 1000  # annotations: their numbers stay in the processor's cache
# Square pixels; of less it is asked exactly whether it is more than none.
_CLEAR_AREA = 1e-3


class Clear(NamedTuple):
    """Of annotations that are looked at together those that are clear, n of them."""

    looked_at: int  # how many
    table: ObjectTable  # whose classes are the file's category ids, any integers
    given: np.ndarray  # [n, 4] float64 x, y, width, height, as the file has them
    areas: np.ndarray  # [n] float64, likewise; NaN where it has none

    def only(self, kept: np.ndarray) -> "Clear":
        """Those where `kept` [n] bool holds."""
        table = self.table.only(kept)
        return Clear(self.looked_at, table, self.given[kept], self.areas[kept])


class LookedThrough(LazyEntries):
    """Lazy entries of which it is kept which are clear, for those who ask again."""

    def __init__(self, entries: LazyEntries, sizes: Sizes):
        """`sizes` are those by which it is judged, see `clear_annotations`."""
        super().__init__(entries.raws, entries.path, entries.changed)
        self._sizes, self._clear = sizes, list(clear_annotations(entries, sizes))

    def with_changes(self, changed: Dict[int, Any]) -> "LookedThrough":
        """The list with other entries at the places `changed`, which count as not clear."""
        found, new = copy.copy(self), super().with_changes(changed)
        found.raws, found.changed = new.raws, new.changed
        same = np.ones(len(self), bool)
        same[list(changed)] = False
        found._clear = [one.only(same[one.table.positions]) for one in self._clear]
        return found

    def clear(self, sizes: Sizes) -> Iterator[Clear]:
        """What `clear_annotations` gives."""
        same = {i for i, size in self._sizes.items() if sizes.get(i) == size}
        for one in self._clear:
            if len(same) < len(self._sizes):
                one = one.only(np.array([i in same for i in one.table.image_ids.tolist()], bool))
            yield one


def clear_annotations(annotations: Sequence[Any], sizes: Sizes) -> Iterator[Clear]:
    """Those annotations that are clear, a number of them at a time.

    Their categories are not looked at, and some may have no segmentation.

    Args:
        annotations: of the file.
        sizes: image id -> (height, width) of the images that there are.
    """
    if isinstance(annotations, LookedThrough):
        yield from annotations.clear(sizes)
        return
    entries, decoded = undecoded(annotations)
    for start in range(0, len(annotations), _TOGETHER):
        some = entries[start : start + _TOGETHER]
        positions, usual = [], []
        for position, entry in enumerate(some, start):
            try:
                one = decoded(entry)
            except (ValueError, RecursionError):
                continue
            if one.image_id in sizes and _regular(one):
                positions.append(position)
                usual.append(one)
        yield _clear(len(some), positions, usual, sizes)


def _regular(one: Annotation) -> bool:
    """Whether ids, crowd and the lengths of polygons are as usual."""
    for polygon in one.segmentation or ():
        if len(polygon) < 6 or len(polygon) % 2:
            return False
    ids_fit = abs(one.id) <= INT64_MAX and abs(one.category_id) <= INT64_MAX
    return ids_fit and one.iscrowd in (0, 1) and isfinite(one.area or 0)


def _clear(looked_at: int, positions: List[int], usual: List[Annotation], sizes: Sizes) -> Clear:
    """Those of usual annotations that are clear."""
    flat = itertools.chain.from_iterable([sizes[one.image_id] for one in usual])
    image_sizes = np.fromiter(flat, np.float64).reshape(-1, 2)
    given, outlines = boxes_of(usual), outlines_of(usual)
    with np.errstate(all="ignore"):  # what overflows is not clear
        boxes, clear = _boxes(given, image_sizes)
        points = outlines.points.astype(np.float32)
        clear &= _shapes_clear(outlines, points, image_sizes)
    table = ObjectTable(
        positions=_integers(positions),
        image_ids=_integers(one.image_id for one in usual),
        annotation_ids=_integers(one.id for one in usual),
        classes=_integers(one.category_id for one in usual),
        crowd=_integers(one.iscrowd for one in usual).astype(bool),
        boxes=boxes,
        parts=outlines.parts,
        lengths=2 * outlines.counts,
        points=points.reshape(-1),
        rles=[],
    )
    areas = [np.nan if one.area is None else one.area for one in usual]
    return Clear(looked_at, table, given, np.array(areas, np.float64)).only(clear)


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


def _shapes_clear(outlines: Outlines, points: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """[n] bool: which objects have polygons that are clear, or none.

    Args:
        outlines: of n objects.
        points: [V, 2] float32, their points as they are kept.
        sizes: [n, 2] (height, width) of their images.
    """
    counts, parts, ends = outlines.counts, outlines.parts, outlines.ends
    good, some = np.ones(len(parts), bool), parts > 0
    if not len(counts):
        return good
    starts = ends - counts
    low, high = spans(outlines.points[:, ::-1], starts)  # yx
    first = (np.cumsum(parts) - parts)[some]
    short = counts * np.max(high - low, axis=1) <= MAX_OUTLINE
    near = _near(low, high, np.repeat(sizes, parts, axis=0))
    good[some] = np.logical_and.reduceat(short & near, first)
    # As a whole they reach into the image and enclose something.
    low, high = np.minimum.reduceat(low, first), np.maximum.reduceat(high, first)
    area = np.maximum.reduceat(outline_areas(points.astype(np.float64), starts, ends), first)
    seen = np.all((low < sizes[some]) & (high > 0), axis=1) & (area > _CLEAR_AREA)
    good[some] &= seen
    return good
