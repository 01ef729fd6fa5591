"""The fast road for what large sets consist of: boxes and polygons that clearly keep all rules.

Many annotations are looked at together, as arrays. What is not clear is left to `entries`, which
says what is wrong; so this road has no sentence to say, and none of its limits is a rule.
"""

from math import isfinite
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Sequence, Tuple

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
from tfmaskrcnn.data.coco.object_table import ObjectTable

_TOGETHER = 1000  # annotations: their numbers stay in the processor's cache
# Square pixels; of less it is asked exactly whether it is more than none.
_CLEAR_AREA = 1e-3


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
    entries, decoded = undecoded(annotations)
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
    outlines = outlines_of(usual)
    with np.errstate(all="ignore"):  # what overflows is not clear
        boxes, clear = _boxes(boxes_of(usual), sizes)
        points = outlines.points.astype(np.float32)
        clear &= _shapes_clear(outlines, points, sizes)
    return ObjectTable(
        positions=_integers(positions),
        image_ids=_integers(one.image_id for one in usual),
        annotation_ids=_integers(one.id for one in usual),
        classes=_integers(known.class_of[one.category_id] for one in usual).astype(np.int32),
        crowd=_integers(one.iscrowd for one in usual).astype(bool),
        boxes=boxes,
        parts=outlines.parts,
        lengths=2 * outlines.counts,
        points=points.reshape(-1),
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
