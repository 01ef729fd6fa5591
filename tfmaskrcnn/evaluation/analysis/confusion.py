"""Which class is taken for which: a confusion matrix with background."""

from typing import NamedTuple

import numpy as np

from tfmaskrcnn.evaluation.analysis.coco_matching import NONE
from tfmaskrcnn.evaluation.analysis.examined import Examined, ExaminedImage

CROWD_SHARE = 0.5  # of a detection in a crowd region, from which on it is excused


class Confusion(NamedTuple):
    """How often an object of one class was found as another."""

    # [K + 1, K + 1] int; row: the annotated class, column: the found one; row 0: nothing is
    # annotated there, column 0: nothing was found there.
    counts: np.ndarray
    iou: float
    thresholds: np.ndarray  # [K] float64 least scores

    def normalised(self) -> np.ndarray:
        """[K + 1, K + 1] float64 shares of each row, which sum to 1; 0 in a row without any."""
        return self.counts / np.maximum(self.counts.sum(axis=1, keepdims=True), 1)


def confusion(examined: Examined, kind: str, thresholds: np.ndarray, iou: float = 0.5) -> Confusion:
    """Counts of pairs of objects and detections, whatever their classes.

    Pairs are made by IoU, the best of the image first, each object and each detection once; of
    equal ones that of the higher score. Crowd regions are no objects, and a detection that lies in
    one of any class by half and is in no pair does not count.

    Args:
        examined: the images.
        kind: "mask" or "box": what overlaps are of.
        thresholds: [K] detections of a lower score than their class's do not count.
        iou: least IoU of a pair.
    """
    thresholds = np.asarray(thresholds, np.float64)
    side = examined.num_classes + 1
    counts = np.zeros((side, side), int)
    for image in examined.images:
        annotated, found = _pairs(image, image.overlap(kind), thresholds, iou)
        np.add.at(counts, (annotated, found), 1)
    return Confusion(counts, iou, thresholds)


def _pairs(image: ExaminedImage, overlap, thresholds, iou):
    """Annotated and found classes of all pairs of an image, 0 for the missing half of one."""
    objects, found = image.objects, image.found
    sure = found.scores >= thresholds[found.classes - 1]
    partner = _paired(np.where(sure[:, None] & ~objects.crowd, overlap, 0.0), iou)  # [D]
    pairs = np.flatnonzero(partner != NONE)
    excused = (overlap[:, objects.crowd] >= CROWD_SHARE).any(axis=1)
    false = found.classes[sure & (partner == NONE) & ~excused]
    left = ~objects.crowd
    left[partner[pairs]] = False
    missed = objects.classes[left]
    annotated = [objects.classes[partner[pairs]], np.zeros_like(false), missed]
    seen = [found.classes[pairs], false, np.zeros_like(missed)]
    return np.concatenate(annotated), np.concatenate(seen)


def _paired(overlap: np.ndarray, iou: float) -> np.ndarray:
    """[D] int the object of each detection, NONE where none; the best pair of [D, G] first."""
    partner = np.full(len(overlap), NONE)
    rows, columns = np.nonzero(overlap >= iou)
    taken = np.zeros(overlap.shape[1], bool)
    for pair in np.argsort(-overlap[rows, columns], kind="stable"):
        row, column = rows[pair], columns[pair]
        if partner[row] == NONE and not taken[column]:
            partner[row], taken[column] = column, True
    return partner
