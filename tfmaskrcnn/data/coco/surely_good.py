"""The fast road for what large sets consist of: boxes and polygons that clearly keep all rules.

Many annotations are looked at together, as arrays. What is not clear is left to `entries`, which
says what is wrong; so this road has no sentence to say, and none of its limits is a rule.
"""

import functools
import itertools
from math import isfinite
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import msgspec
import numpy as np

from tfmaskrcnn.data.coco.annotations import FAR, MAX_OUTLINE, Checked
from tfmaskrcnn.data.coco.file import INT64_MAX
from tfmaskrcnn.data.coco.lazy_entries import LazyEntries

_TOGETHER = 10_000  # annotations
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


def clear_annotations(
    annotations: Sequence[Any],
    images: Dict[int, Dict[str, Any]],
    class_of: Dict[int, int],
    masks: bool,
) -> Iterator[Optional[Checked]]:
    """What each annotation is, in their order; None of one that has to be looked at.

    Args:
        annotations: of the file.
        images: id -> entry of images with proper sizes.
        class_of: category id -> class; 0 of one that is left out.
        masks: every annotation must have a segmentation.
    """
    lazy = isinstance(annotations, LazyEntries)
    entries, decoded = (annotations.raws, _OF_BYTES) if lazy else (annotations, _OF_VALUES)
    sizes = {i: (image["height"], image["width"]) for i, image in images.items()}
    for start in range(0, len(annotations), _TOGETHER):
        some = entries[start : start + _TOGETHER]
        found: List[Optional[Checked]] = [None] * len(some)
        usual = _usual(some, decoded, sizes, masks)
        for row, clear in _checked(usual, start, class_of) if usual else ():
            found[row] = clear
        yield from found


def _usual(
    entries: Sequence[Any], decoded: Callable, sizes: Dict[int, Tuple[int, int]], masks: bool
) -> List[Tuple[int, Annotation, Tuple[int, int]]]:
    """The annotations of usual types and lengths: place among them, what it says, image's size."""
    usual = []
    for row, entry in enumerate(entries):
        try:
            one = decoded(entry)
        except (ValueError, RecursionError):
            continue
        size = sizes.get(one.image_id)
        if size and _regular(one, masks):
            usual.append((row, one, size))
    return usual


def _checked(
    usual: List[Tuple[int, Annotation, Tuple[int, int]]], start: int, class_of: Dict[int, int]
) -> Iterator[Tuple[int, Checked]]:
    """Those that are clear, with their places in the list, which begins at `start` of the file."""
    sizes = np.array([size for _, _, size in usual], np.float64)
    with np.errstate(all="ignore"):  # what overflows is not clear
        boxes, good = _boxes(np.array([one.bbox for _, one, _ in usual]), sizes)
        shapes, inside = _shapes([one.segmentation or () for _, one, _ in usual], sizes)
    together = zip(usual, boxes.tolist(), shapes, (good & inside).tolist())
    for (row, one, _), box, polygons, clear in together:
        number = class_of.get(one.category_id) if clear else None
        if number is not None:
            ids = start + row, one.image_id, one.id
            yield row, Checked(*ids, number, one.iscrowd == 1, box, polygons or None, None)


def _regular(one: Annotation, masks: bool) -> bool:
    """Whether ids, crowd and the lengths of polygons are as usual."""
    if one.iscrowd not in (0, 1) or abs(one.id) > INT64_MAX or not isfinite(one.area or 0):
        return False
    for polygon in one.segmentation or ():
        if len(polygon) < 6 or len(polygon) % 2:
            return False
    return bool(one.segmentation) or not masks


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


def _shapes(
    shapes: List[Sequence[_Polygon]], sizes: np.ndarray
) -> Tuple[List[List[np.ndarray]], np.ndarray]:
    """The polygons of n annotations as flat float32 arrays, and [n] bool which are clear."""
    counts = np.array([len(shape) for shape in shapes])
    polygons = list(itertools.chain.from_iterable(shapes))
    owners = np.repeat(np.arange(len(shapes)), counts)
    good = np.ones(len(shapes), bool)
    if not polygons:
        return [[] for _ in shapes], good
    lengths = np.array([len(polygon) for polygon in polygons])
    flat = np.fromiter(itertools.chain.from_iterable(polygons), np.float64, int(lengths.sum()))
    points = flat.reshape(-1, 2)[:, ::-1]  # [P, 2] yx
    ends = np.cumsum(lengths // 2)
    starts = ends - lengths // 2
    low = np.minimum.reduceat(points, starts, axis=0)
    high = np.maximum.reduceat(points, starts, axis=0)
    short = (lengths // 2) * np.max(high - low, axis=1) <= MAX_OUTLINE
    good[owners[~(short & _near(low, high, sizes[owners]))]] = False
    # As a whole they reach into the image and enclose something.
    whole_low, whole_high = np.full((len(shapes), 2), np.inf), np.full((len(shapes), 2), -np.inf)
    np.minimum.at(whole_low, owners, low)
    np.maximum.at(whole_high, owners, high)
    single = flat.astype(np.float32)
    area = np.zeros(len(shapes))
    np.maximum.at(
        area, owners, outline_areas(single.reshape(-1, 2).astype(np.float64), starts, ends)
    )
    seen = np.all((whole_low < sizes) & (whole_high > 0), axis=1) & (area > _CLEAR_AREA)
    good &= seen | (counts == 0)
    views = iter(
        [single[start:end] for start, end in zip((2 * starts).tolist(), (2 * ends).tolist())]
    )
    return [list(itertools.islice(views, count)) for count in counts.tolist()], good


def outline_areas(points: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Areas of polygons, the points `starts` to `ends` of [P, 2], by the shoelace formula."""
    after = np.arange(1, len(points) + 1)
    after[ends - 1] = starts
    a, b = (points - np.repeat(points[starts], ends - starts, axis=0)).T
    return 0.5 * np.abs(np.add.reduceat(a * b[after] - b * a[after], starts))
