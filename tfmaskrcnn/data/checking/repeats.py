"""In which images an object may be annotated twice, all objects of a set looked at together."""

from typing import Sequence

import numpy as np

from tfmaskrcnn.data.checking.grouped_pairs import pairs_within
from tfmaskrcnn.data.coco.records import Record

SAME_IOU = 0.95  # of boxes and of masks: the same object
# Corners of the same object are not further apart than so many of its sides.
CORNERS_APART = 2 * (1 - SAME_IOU)


def may_repeat(records: Sequence[Record]) -> np.ndarray:
    """[n] bool: which of n images have objects of one class whose corners are close.

    Crowd regions are no objects here.
    """
    counts = [len(record.classes) for record in records]
    if not sum(counts):
        return np.zeros(len(records), bool)
    boxes = np.concatenate([record.boxes for record in records])
    classes = np.concatenate([record.classes for record in records])
    alone = ~np.concatenate([record.crowd for record in records])
    images = np.repeat(np.arange(len(records)), counts)
    order = np.lexsort((classes, images))  # which keeps the order of what is alike
    order = order[alone[order]]
    boxes, classes, images = boxes[order], classes[order], images[order]
    found = np.zeros(len(records), bool)
    for first, second in pairs_within(images * (classes.max(initial=0) + 1) + classes):
        found[images[first[corners_close(boxes[first], boxes[second])]]] = True
    return found


def corners_close(boxes: np.ndarray, later: np.ndarray) -> np.ndarray:
    """[...] bool: whether boxes [..., 4] may be the same objects as `later` [..., 4]."""
    sides = np.maximum(later[..., 2:] - later[..., :2], 0).max(axis=-1, initial=0)
    close = np.ones(np.broadcast_shapes(boxes.shape, later.shape)[:-1], bool)
    for k in range(4):
        close &= np.abs(boxes[..., k] - later[..., k]) <= CORNERS_APART * sides
    return close
