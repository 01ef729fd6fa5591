"""The objects of one record after its image was moved, padded to a fixed number of rows."""

from typing import Dict, List, Optional, Tuple

import numpy as np

from tfmaskrcnn.data.coco.records import Record
from tfmaskrcnn.data.coco.segmentation import (
    MASK_SIDE,
    box_mask,
    moved_box,
    oblique,
    visible_part,
)
from tfmaskrcnn.errors import InputError

# A box that leaves the image by less is not cut: the matrix is float32.
CUT_TOLERANCE = 0.01
# An object whose visible box has a shorter side, in pixels of the network's input, is left out:
# nothing of it is left to see, and the logarithm of its size would dominate the box loss.
MIN_SIDE = 0.5


def padded_instances(
    record: Record,
    matrix: np.ndarray,
    window: Tuple[int, int],
    order: np.ndarray,
    max_instances: int,
    min_visible: float,
    masks: bool = True,
    hidden: Optional[np.ndarray] = None,
) -> Dict[str, np.ndarray]:
    """Boxes, classes and box-cropped masks of what the window shows.

    A box that the window cuts, or that a matrix turns, becomes the tight box of the visible part of
    the mask; of an object without a segmentation, of the box's own visible part.

    Args:
        record: n objects in pixels of the original image.
        matrix: [2, 3] original -> output.
        window: (height, width) of the output.
        order: [n] a permutation; if more than `max_instances` are visible, its first ones are kept.
        max_instances: G.
        min_visible: share of its area below which a cut or hidden object is left out; crowd regions
            stay.
        masks: False leaves "masks" out.
        hidden: [h, w] bool, pixels of the output where something else lies on the objects.

    Returns:
        "boxes" [G, 4] float32 yxyx pixels of the output, "classes" [G] int32, "masks"
        [G, 112, 112] uint8 in {0, 1}, "valid" and "crowd" [G] bool, "index" [G] int32, which of
        the record's objects; zeros on padding.

    Raises:
        InputError: an RLE that cannot be decoded.
    """
    kept: List[Tuple[int, np.ndarray]] = []
    for i in map(int, order):
        if len(kept) == max_instances:
            break
        box = _visible_box(record, i, matrix, window, min_visible, hidden)
        if box is not None:
            kept.append((i, box))
    kept.sort(key=lambda pair: pair[0])
    out = {
        "boxes": np.zeros((max_instances, 4), np.float32),
        "classes": np.zeros(max_instances, np.int32),
        "valid": np.arange(max_instances) < len(kept),
        "crowd": np.zeros(max_instances, bool),
        "index": np.zeros(max_instances, np.int32),
    }
    if masks:
        out["masks"] = np.zeros((max_instances, MASK_SIDE, MASK_SIDE), np.uint8)
    for row, (i, box) in enumerate(kept):
        out["boxes"][row], out["classes"][row] = box, record.classes[i]
        out["crowd"][row], out["index"][row] = record.crowd[i], i
        if masks:
            mask = _box_mask(record, i, matrix, box)
            out["masks"][row] = mask if hidden is None else mask & ~_at_cells(hidden, box)
    return out


def _visible_box(
    record: Record,
    i: int,
    matrix: np.ndarray,
    window: Tuple[int, int],
    min_visible: float,
    hidden: Optional[np.ndarray],
) -> Optional[np.ndarray]:
    """Box of what is seen of object `i`, or None if it is too little."""
    try:
        box = _window_box(record, i, matrix, window, min_visible)
        if hidden is not None and box is not None:
            box = _bare_box(record, i, matrix, box, hidden, min_visible)
    except InputError as error:
        raise _named(error, record, i) from None
    return box


def _window_box(
    record: Record, i: int, matrix: np.ndarray, window: Tuple[int, int], min_visible: float
) -> Optional[np.ndarray]:
    """Box of object `i` inside the window, or None if too little of it is visible."""
    box = moved_box(record.boxes[i], matrix)
    limit = np.array([*window, *window], np.float32)
    turned = oblique(matrix)
    if not turned and np.all(box >= -CUT_TOLERANCE) and np.all(box <= limit + CUT_TOLERANCE):
        box = np.clip(box, 0, limit)
    else:
        if np.any(box[2:] <= 0) or np.any(box[:2] >= limit[:2]):
            return None
        shape = record.segmentations[i]
        shape = [_rectangle(record.boxes[i])] if shape is None else shape
        part = visible_part(shape, record.height, record.width, matrix, window)
        if part.share < min_visible and not record.crowd[i]:
            return None
        box = part.box
    return box if np.all(box[2:] - box[:2] >= MIN_SIDE) else None


def _bare_box(
    record: Record,
    i: int,
    matrix: np.ndarray,
    box: np.ndarray,
    hidden: np.ndarray,
    min_visible: float,
) -> Optional[np.ndarray]:
    """`box` of object `i`, shrunk to what is not `hidden`; None if too little is left."""
    low, high = np.floor(box[:2]).astype(int), np.ceil(box[2:]).astype(int)
    if not hidden[low[0] : high[0], low[1] : high[1]].any():
        return box
    segmentation, size = record.segmentations[i], (record.height, record.width)
    mask = box_mask(segmentation, *size, matrix, box) > 0
    bare = mask & (_at_cells(hidden, box) == 0)
    rows, cols = np.flatnonzero(bare.any(axis=1)), np.flatnonzero(bare.any(axis=0))
    too_little = np.count_nonzero(bare) < min_visible * np.count_nonzero(mask)
    if not rows.size or (too_little and not record.crowd[i]):
        return None
    tight = np.array([rows[0], cols[0], rows[-1] + 1, cols[-1] + 1]) / MASK_SIDE
    box = np.tile(box[:2], 2) + tight * np.tile(box[2:] - box[:2], 2)
    return box.astype(np.float32) if np.all(box[2:] - box[:2] >= MIN_SIDE) else None


def _at_cells(hidden: np.ndarray, box: np.ndarray) -> np.ndarray:
    """[112, 112] uint8: the pixels of `hidden` [h, w] bool at the centres of the box's cells."""
    steps = (np.arange(MASK_SIDE) + 0.5) / MASK_SIDE
    ys, xs = (
        np.clip(low + steps * (high - low), 0, n - 1).astype(int)
        for low, high, n in zip(box[:2], box[2:], hidden.shape)
    )
    return hidden[ys[:, None], xs].astype(np.uint8)


def _box_mask(record: Record, i: int, matrix: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The mask of object `i` inside its box of the output."""
    try:
        return box_mask(record.segmentations[i], record.height, record.width, matrix, box)
    except InputError as error:
        raise _named(error, record, i) from None


def _rectangle(box: np.ndarray) -> np.ndarray:
    """The flat xy polygon of a yxyx box."""
    y1, x1, y2, x2 = box
    return np.array([x1, y1, x2, y1, x2, y2, x1, y2], np.float32)


def _named(error: InputError, record: Record, i: int) -> InputError:
    where = f"annotation {record.annotation_ids[i]} of image {record.image_id}"
    return InputError(f"{where} ({record.file_name}): {error}")
