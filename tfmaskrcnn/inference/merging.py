"""One result out of several results of one image: weighted boxes fusion, with masks and keypoints.

Solovyev, Wang and Gabruseva, "Weighted boxes fusion" (arXiv 1910.13302): what overlaps is averaged,
where NMS throws all but the best away. Here a group has one member of a result at most: each result
has been through its own NMS, and what that kept apart stays apart. Masks are averaged as
probabilities, which the paper does not have.
"""

import dataclasses
from typing import Optional, Sequence

import numpy as np

from tfmaskrcnn.instances import Instances

# Finds of one object overlap more, those of neighbours less; 0.4 to 0.6 give the same AP.
GROUP_IOU = 0.5
# So that finds of score 0 have an average as well.
_LEAST_WEIGHT = 1e-12
_LEAST_SIDE = 1e-6  # pixels; of an empty box, which is divided by


def merge(
    parts: Sequence[Instances], min_score: float = 0.0, most: Optional[int] = None
) -> Instances:
    """What several results of one image say together.

    The finds are grouped by class and by the IoU of their boxes with the group's first one. A
    group's score is the sum of its members' divided by the number of results, so that what only
    some have found counts less. Its box and its mask probabilities are averages weighted by the
    scores; the masks are drawn in the averaged box first. Its keypoints are those of its best
    member, and so is its mask where masks are known to the pixel alone (`exact_rle`).

    Args:
        parts: one or more, all of one model and one image. One is returned as it is, and the same
            one several times gives it again.
        min_score: groups of a lower score are left out.
        most: keep so many groups, the best ones; None keeps all.

    Returns:
        A row for each group, best first.
    """
    found = [part for part in parts if len(part)]
    if len(parts) == 1 or not found:
        return parts[0]
    index = _groups(found)  # [G, V]
    scores = _rows(found, "scores", index)  # [G, V], 0 where a group has no member
    total = scores.sum(axis=1, dtype=np.float64) / len(parts)
    order = np.argsort(-total, kind="stable")
    order = order[total[order] >= min_score][:most]
    index, scores = index[order], scores[order]
    weights = np.where(index < 0, 0.0, np.maximum(scores, _LEAST_WEIGHT))
    weights /= weights.sum(axis=1, keepdims=True)
    boxes = np.einsum("gv,gvc->gc", weights, _rows(found, "boxes", index))
    best = index[np.arange(len(index)), weights.argmax(axis=1)]  # [G]
    rles = None if found[0].exact_rle is None else sum((part.exact_rle for part in found), [])
    return dataclasses.replace(
        found[0],
        boxes=boxes,
        scores=total[order],
        classes=_rows(found, "classes", best),
        mask_probabilities=_average_masks(found, index, weights, boxes),
        exact_rle=None if rles is None else [rles[i] for i in best],
        keypoints=None if found[0].keypoints is None else _rows(found, "keypoints", best),
    )


def _groups(parts: Sequence[Instances]) -> np.ndarray:
    """[G, V] int: each group's member in each of V results, -1 where there is none.

    Members are counted through all results: the first of the second comes after the last of the
    first.
    """
    index = np.zeros((0, len(parts)), int)
    boxes, classes = parts[0].boxes[:0], parts[0].classes[:0]  # of the groups' first members
    start = 0
    for v, part in enumerate(parts):
        same = classes[:, None] == part.classes
        rows = _closest(np.where(same, box_iou(boxes, part.boxes), 0.0))  # [G]
        index[:, v] = np.where(rows < 0, -1, rows + start)
        new = np.setdiff1d(np.arange(len(part)), rows)
        own = np.full((len(new), len(parts)), -1)
        own[:, v] = new + start
        index = np.concatenate([index, own])
        boxes = np.concatenate([boxes, part.boxes[new]])
        classes = np.concatenate([classes, part.classes[new]])
        start += len(part)
    return index


def _closest(iou: np.ndarray) -> np.ndarray:
    """[G] int: the column of `iou` [G, D] that each row gets, the closest pairs first; -1 none."""
    mine, free = np.full(iou.shape[0], -1), np.ones(iou.shape[1], bool)
    rows, columns = np.nonzero(iou >= GROUP_IOU)
    for i in np.argsort(-iou[rows, columns], kind="stable"):
        if mine[rows[i]] < 0 and free[columns[i]]:
            mine[rows[i]], free[columns[i]] = columns[i], False
    return mine


def box_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[G, D] IoU of [G, 4] and [D, 4] yxyx boxes; 0 with an empty box."""
    low, high = np.maximum(a[:, None, :2], b[:, :2]), np.minimum(a[:, None, 2:], b[:, 2:])
    common = np.maximum(high - low, 0.0).prod(axis=-1)
    areas = (a[:, 2:] - a[:, :2]).prod(axis=-1)[:, None] + (b[:, 2:] - b[:, :2]).prod(axis=-1)
    return common / np.maximum(areas - common, np.finfo(np.float32).tiny)


def _rows(parts: Sequence[Instances], name: str, index: np.ndarray) -> np.ndarray:
    """The members `index` [...] of an array of all parts: [..., *], 0 where there is none."""
    values = np.concatenate([getattr(part, name) for part in parts])
    rows = values[index]
    rows[index < 0] = 0
    return rows


def _average_masks(parts, index, weights, boxes) -> Optional[np.ndarray]:
    """[G, M, M] float32: the members' masks, drawn in the groups' `boxes`; None without masks."""
    if parts[0].mask_probabilities is None:
        return None
    side = parts[0].mask_probabilities.shape[-1]
    total, start = np.zeros((len(index), side, side), np.float32), 0
    for v, part in enumerate(parts):
        has = index[:, v] >= 0
        rows = index[has, v] - start
        drawn = redrawn(part.mask_probabilities[rows], part.boxes[rows], boxes[has])
        total[has] += weights[has, v, None, None].astype(np.float32) * drawn
        start += len(part)
    return total


def redrawn(masks: np.ndarray, boxes: np.ndarray, goals: np.ndarray) -> np.ndarray:
    """Masks that fill boxes, as masks that fill other boxes.

    Args:
        masks: [D, M, M] float32 in [0, 1].
        boxes: [D, 4] yxyx pixels, where the masks are; around them is 0, as in pasting.
        goals: [D, 4] yxyx pixels.

    Returns:
        [D, M, M] float32, interpolated bilinearly; `masks` if the goals are the boxes.
    """
    rows, columns = (_cell_weights(boxes, goals, masks.shape[-1], axis) for axis in (0, 1))
    return rows @ masks @ columns.swapaxes(1, 2)


def _cell_weights(boxes, goals, side: int, axis: int) -> np.ndarray:
    """[D, M, M] float32: weights of the boxes' cells at the centres of the goals' cells."""
    start, stop = boxes[:, axis, None], boxes[:, axis + 2, None]  # [D, 1]
    low, high = goals[:, axis, None], goals[:, axis + 2, None]
    centres = low + (high - low) * (np.arange(side) + 0.5) / side  # [D, M] pixels
    length = np.maximum(stop - start, _LEAST_SIDE)
    cells = (centres - start) * (side / length) - 0.5
    distance = np.abs(cells[:, :, None] - np.arange(side))
    return np.maximum(1.0 - distance, 0.0).astype(np.float32)
