"""Polygons and RLE to masks, and where they lie after the image was moved.

A `matrix` [2, 3] maps continuous (y, x) of the original image to (y, x) of the output image:
`out = matrix[:, :2] @ point + matrix[:, 2]`. Pixel `i` covers [i, i + 1) on both sides. Scales,
flips, quarter turns and shifts keep boxes boxes; other matrices are `oblique`.
"""

import itertools
from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np
from pycocotools import mask as coco_mask

from tfmaskrcnn.data.coco.annotations import MAX_OUTLINE, Segmentation, checked_rle
from tfmaskrcnn.data.coco.polygons import (
    bounding_points,
    clip_polygon,
    outline_length,
    polygon_area,
)
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.ops.limits import GT_MASK_SIDE

MASK_SIDE = GT_MASK_SIDE
# A part of a polygon with less area, in square pixels, is rounding and does not count as visible.
MIN_AREA = 1e-3


class Visible(NamedTuple):
    """The part of an object that a window shows."""

    box: np.ndarray  # [4] float32, yxyx pixels of the output, tight; zeros if nothing is visible
    share: float  # of the object's area, 0..1


def decode(segmentation: Segmentation, height: int, width: int) -> np.ndarray:
    """[H, W] bool mask of polygons (their union), a compressed or an uncompressed RLE.

    Raises:
        InputError: an RLE that does not describe `height` x `width` pixels.
    """
    rle = as_rle(segmentation, height, width)
    try:
        mask = coco_mask.decode(rle)
    except ValueError as error:
        raise InputError(f"its RLE cannot be decoded: {error}.") from None
    if mask.shape != (height, width):
        raise InputError(f"its RLE has the size {mask.shape}, wanted {(height, width)}.")
    return mask.astype(bool)


def as_rle(segmentation: Segmentation, height: int, width: int) -> Dict[str, Any]:
    """Polygons (their union) or any RLE as a compressed RLE; one that is compressed stays.

    This is the one road to pycocotools' rasteriser, which walks along the outlines: what lies more
    than a side outside of the image is cut off first, so that time and memory are bounded.

    Raises:
        InputError: a coordinate is not finite, an outline is too long, or the run lengths of an
            uncompressed RLE are not those of `height` x `width` pixels.
    """
    if isinstance(segmentation, dict):
        counts = segmentation["counts"]
        if not isinstance(counts, list):
            return segmentation
        return coco_mask.frPyObjects(checked_rle(segmentation, height, width), height, width)
    polygons = [_nearby(p, height, width) for p in segmentation]
    # float64 lists: the only type that every pycocotools accepts. Four numbers would be a box.
    polygons = [p.tolist() for p in polygons if len(p) >= 6]
    if not polygons:
        nothing = {"size": [height, width], "counts": [height * width]}
        return coco_mask.frPyObjects(nothing, height, width)
    return coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))


def _nearby(polygon: np.ndarray, height: int, width: int) -> np.ndarray:
    """A flat xy polygon, float64, without what lies more than a side outside of the image."""
    flat = np.asarray(polygon, np.float64)
    if not np.isfinite(flat).all():
        raise InputError("its outline holds coordinates that are no finite numbers.")
    points = flat.reshape(-1, 2)
    size = np.array([width, height], np.float64)
    if len(points) and ((points < -size).any() or (points > 2 * size).any()):
        moved = clip_polygon((points + size)[:, ::-1], (3 * height, 3 * width))
        flat = (moved[:, ::-1] - size).reshape(-1)
    if len(flat) and outline_length(flat) > MAX_OUTLINE:
        raise InputError(f"its outline is longer than {MAX_OUTLINE:,} pixels.")
    return flat


def oblique(matrix: np.ndarray) -> bool:
    """Whether `matrix` [2, 3] turns a box into something else than a box."""
    return bool((matrix[0, 0] or matrix[1, 1]) and (matrix[0, 1] or matrix[1, 0]))


def moved_box(box: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The bounds of the moved `box` [4] yxyx of the original image, [4] float32, not clipped."""
    corners = np.reshape(box, (2, 2))
    if oblique(matrix):
        corners = np.array(list(itertools.product(*corners.T)))
    corners = corners @ matrix[:, :2].T + matrix[:, 2]
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)]).astype(np.float32)


def visible_part(
    segmentation: Segmentation,
    height: int,
    width: int,
    matrix: np.ndarray,
    window: Tuple[int, int],
) -> Visible:
    """What of an object lies inside the output image.

    Args:
        segmentation: polygons or RLE in pixels of the original image.
        height, width: of the original image.
        matrix: [2, 3] original -> output.
        window: (height, width) of the output.
    """
    if isinstance(segmentation, dict):
        return _visible_pixels(decode(segmentation, height, width), matrix, window)
    moved = _moved_polygons(segmentation, height, width, matrix)
    clipped = [(clip_polygon(p, window), p) for p in moved]
    clipped = [(c, whole) for c, whole in clipped if len(c) and _area(c) > MIN_AREA]
    if not clipped:
        return Visible(np.zeros(4, np.float32), 0.0)
    share = sum(_area(c) for c, _ in clipped) / sum(_area(p) for p in moved)
    points = np.concatenate([bounding_points(c, whole, window) for c, whole in clipped])
    box = np.concatenate([points.min(axis=0), points.max(axis=0)])
    return Visible(box.astype(np.float32), min(share, 1.0))


def box_mask(
    segmentation: Segmentation,
    height: int,
    width: int,
    matrix: np.ndarray,
    box: np.ndarray,
    grid: Tuple[int, int] = (MASK_SIDE, MASK_SIDE),
) -> np.ndarray:
    """The mask inside a box of the output image, on a grid of cells.

    Polygons are rasterised in that grid, which is exact to a fifth of a cell; an RLE is sampled
    bilinearly at the cells' centres and cut at 0.5.

    Args:
        segmentation: polygons or RLE in pixels of the original image.
        height, width: of the original image.
        matrix: [2, 3] original -> output.
        box: [4] yxyx pixels of the output, of positive size.
        grid: cells along the box's height and width.

    Returns:
        [*grid] uint8, 0 or 1.
    """
    corner, size = np.float64(box[:2]), np.float64(box[2:]) - np.float64(box[:2])
    if isinstance(segmentation, dict):
        ys, xs = ((np.arange(n) + 0.5) * s / n + c for n, s, c in zip(grid, size, corner))
        return _sampled(decode(segmentation, height, width), matrix, ys, xs)
    moved = _moved_polygons(segmentation, height, width, matrix)
    polygons = [(p - corner) * (grid / size) for p in moved]
    # Clipping bounds the coordinates: the rasteriser's time and memory grow with the outline.
    polygons = [clip_polygon(p, grid) for p in polygons]
    flat = [p[:, ::-1].reshape(-1) for p in polygons if len(p) >= 3]
    if not flat:
        return np.zeros(grid, np.uint8)
    return decode(flat, *grid).astype(np.uint8)


def _moved_polygons(
    polygons: Segmentation, height: int, width: int, matrix: np.ndarray
) -> List[np.ndarray]:
    """Flat xy polygons of the original image -> [n, 2] float64 (y, x) of the output, each.

    In a turned image there is a frame beyond the border, which outlines must not reach into.
    """
    points = [np.float64(p).reshape(-1, 2)[:, ::-1] for p in polygons]
    if oblique(matrix):
        points = [p for p in (clip_polygon(p, (height, width)) for p in points) if len(p)]
    return [p @ matrix[:, :2].T.astype(np.float64) + matrix[:, 2] for p in points]


def _area(points: np.ndarray) -> float:
    return polygon_area(points.reshape(-1))


def _visible_pixels(mask: np.ndarray, matrix: np.ndarray, window: Tuple[int, int]) -> Visible:
    """`visible_part` of a decoded mask: whole original pixels, clipped to the window."""
    if oblique(matrix):
        return _visible_discs(mask, matrix, window)
    total = np.count_nonzero(mask)
    back = moved_box((0, 0, *window), _inverse(matrix))  # the window on the original image
    # Pixels that the window's edge only touches by rounding of the matrix do not count.
    y1, x1 = np.maximum(np.floor(back[:2] + 1e-3), 0).astype(int)
    y2, x2 = np.ceil(back[2:] - 1e-3).astype(int)
    part = mask[y1:y2, x1:x2]
    rows, cols = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    if not rows.size:
        return Visible(np.zeros(4, np.float32), 0.0)
    tight = np.array([rows[0] + y1, cols[0] + x1, rows[-1] + y1 + 1, cols[-1] + x1 + 1])
    box = np.clip(moved_box(tight, matrix), 0, [*window, *window]).astype(np.float32)
    return Visible(box, np.count_nonzero(part) / total)


def _visible_discs(mask: np.ndarray, matrix: np.ndarray, window: Tuple[int, int]) -> Visible:
    """`_visible_pixels` of any matrix, where a pixel is a disc: a turned square would stick out."""
    centers = np.argwhere(mask) + 0.5
    centers = centers @ np.float64(matrix[:, :2]).T + matrix[:, 2]
    shown = centers[np.all((centers >= 0) & (centers <= window), axis=1)]
    if not len(shown):
        return Visible(np.zeros(4, np.float32), 0.0)
    reach = 0.5 * np.sqrt((np.float64(matrix[:, :2]) ** 2).sum(axis=1))
    box = np.concatenate([shown.min(axis=0) - reach, shown.max(axis=0) + reach])
    return Visible(
        np.clip(box, 0, [*window, *window]).astype(np.float32), len(shown) / len(centers)
    )


def _inverse(matrix: np.ndarray) -> np.ndarray:
    (a, b), (c, d) = np.float64(matrix[:, :2])  # by hand: 100 times faster than np.linalg.inv
    linear = np.array([[d, -b], [-c, a]]) / (a * d - b * c)
    return np.concatenate([linear, -linear @ matrix[:, 2:]], axis=1)


def _sampled(mask: np.ndarray, matrix: np.ndarray, ys: np.ndarray, xs: np.ndarray) -> np.ndarray:
    """`mask` at the grid `ys` x `xs` of the output image, bilinear, cut at 0.5; uint8."""
    inverse = _inverse(matrix)
    if oblique(matrix):
        return _sampled_aslant(mask, inverse, ys, xs)
    turned = abs(inverse[0, 1]) > abs(inverse[0, 0])  # original y runs along the output's x
    along = (xs, ys) if turned else (ys, xs)
    pairs = [
        _neighbours(
            inverse[axis, :2][np.abs(inverse[axis, :2]).argmax()] * grid + inverse[axis, 2], n
        )
        for axis, grid, n in zip((0, 1), along, mask.shape)
    ]
    (low, high, share), (left, right, side_share) = pairs
    cols = slice(min(left.min(), right.min()), max(left.max(), right.max()) + 1)
    strip = mask[:, cols]
    rows = strip[low] * (1 - share)[:, None] + strip[high] * share[:, None]  # [side, w]
    left, right = left - cols.start, right - cols.start
    values = rows[:, left] * (1 - side_share) + rows[:, right] * side_share  # [side, side]
    return ((values.T if turned else values) >= 0.5).astype(np.uint8)


def _sampled_aslant(mask: np.ndarray, inverse: np.ndarray, ys, xs) -> np.ndarray:
    """`_sampled` of any matrix, one cell at a time."""
    grid = np.stack(np.meshgrid(ys, xs, indexing="ij"), axis=-1)  # [h, w, 2]
    places = grid @ inverse[:, :2].T + inverse[:, 2]
    (low, high, share), (left, right, side_share) = (
        _neighbours(places[..., axis], n) for axis, n in zip((0, 1), mask.shape)
    )
    upper = mask[low, left] * (1 - side_share) + mask[low, right] * side_share
    lower = mask[high, left] * (1 - side_share) + mask[high, right] * side_share
    inside = np.all((places >= 0) & (places <= mask.shape), axis=-1)  # there is nothing beyond
    return (inside & (upper * (1 - share) + lower * share >= 0.5)).astype(np.uint8)


def _neighbours(position: np.ndarray, size: int) -> List[np.ndarray]:
    """Indices of the pixels before and after `position`, and the share of the one after."""
    position = position - 0.5  # pixel i has its centre at i + 0.5
    low = np.floor(position)
    share = (position - low).astype(np.float32)
    low = low.astype(int)
    return [np.clip(low, 0, size - 1), np.clip(low + 1, 0, size - 1), share]
