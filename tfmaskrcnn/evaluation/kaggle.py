"""The score of the 2018 Data Science Bowl: how many objects are right, without a ranking.

COCO's AP judges a ranked list; a count of cells or fruits needs one set of masks. Detections above
a score threshold are taken as that set, each pixel goes to the best-scored detection that covers
it (the competition forbade overlaps), and a detection is right if its mask and an annotated one
have an IoU above a threshold t. An image scores TP / (TP + FP + FN), averaged over t = 0.5, 0.55,
.., 0.95; the data set scores the mean over images. Pooled, the three are summed over all images
first, at t = 0.5.
"""

from typing import List, NamedTuple, Sequence

import numpy as np
from pycocotools import mask as coco_mask

from tfmaskrcnn.evaluation.annotations import GroundTruthFile
from tfmaskrcnn.instances import Instances

THRESHOLDS = np.arange(10) * 0.05 + 0.5


class KaggleResult(NamedTuple):
    """Shares in [0, 1]; 0 where nothing was right."""

    score: float  # mean over images of the mean over thresholds
    pooled: float  # TP / (TP + FP + FN) of all images together at IoU 0.5
    precision: float  # of all images together at IoU 0.5: TP / (TP + FP)
    recall: float  # TP / (TP + FN)
    score_threshold: float


class KaggleScore:
    """Takes the detections of an image at a time."""

    def __init__(self, truth: GroundTruthFile, score_threshold: float = 0.5):
        """Begin with no image.

        Args:
            truth: the annotations. Crowd regions are neither found nor missed; detections that lie
                in one by half or more are left out.
            score_threshold: lowest score of a detection that counts.
        """
        self._truth, self._threshold = truth, score_threshold
        self._counts: List[np.ndarray] = []

    def add(self, image_id: int, instances: Instances, class_ids: Sequence) -> None:
        """Judge an image.

        Args:
            image_id: of the JSON.
            instances: with masks.
            class_ids: category id of classes 1..K; None for classes that are no category.
        """
        entries = self._truth.annotations(image_id)
        keep = [
            i
            for i, (score, k) in enumerate(zip(instances.scores, instances.classes))
            if score >= self._threshold and class_ids[k - 1] is not None
        ]
        order = sorted(keep, key=lambda i: -instances.scores[i])
        masks = [instances.masks[i] for i in order]
        found = [class_ids[instances.classes[i] - 1] for i in order]
        objects = [e for e in entries if not e["iscrowd"]]
        truth = [coco_mask.decode(e["segmentation"]).astype(bool) for e in objects]
        crowd = [coco_mask.decode(e["segmentation"]) for e in entries if e["iscrowd"]]
        labels, sizes = _painted(masks, instances.size)
        real = (sizes > 0) & ~_in_crowd(labels, sizes, crowd)
        same = np.equal.outer(found, [e["category_id"] for e in objects]).reshape(
            len(found), len(objects)
        )
        iou = _iou(labels, sizes, truth) * same
        self._counts.append(_count(iou[real]))

    def result(self) -> KaggleResult:
        """The scores of the images added so far."""
        if not self._counts:
            return KaggleResult(0.0, 0.0, 0.0, 0.0, self._threshold)
        counts = np.stack(self._counts)  # [images, thresholds, 3]: TP, FP, FN
        each = counts[..., 0] / np.maximum(counts.sum(axis=-1), 1)
        # An image without objects in which nothing is found is right.
        each = np.where(counts.sum(axis=-1) == 0, 1.0, each)
        right, wrong, missed = counts[:, 0].sum(axis=0)
        return KaggleResult(
            float(each.mean()),
            _share(right, wrong + missed),
            _share(right, wrong),
            _share(right, missed),
            self._threshold,
        )


def _painted(masks: Sequence[np.ndarray], size):
    """[H, W] number of the detection a pixel belongs to, 0 none, and [D] pixels of each."""
    labels = np.zeros(size, np.int32)
    for number in range(len(masks), 0, -1):  # the best one last, over the others
        labels[masks[number - 1]] = number
    return labels, np.bincount(labels.ravel(), minlength=len(masks) + 1)[1:]


def _in_crowd(labels, sizes, crowd: List[np.ndarray]) -> np.ndarray:
    """[D] bool: half of the detection or more lies in crowd regions."""
    inside = np.zeros(labels.shape, bool)
    for mask in crowd:
        inside |= mask.astype(bool)
    covered = np.bincount(labels[inside], minlength=len(sizes) + 1)[1:]
    return covered * 2 >= np.maximum(sizes, 1)


def _iou(labels, sizes, truth: List[np.ndarray]) -> np.ndarray:
    """[D, G] IoU of painted detections and annotated masks."""
    iou = np.zeros((len(sizes), len(truth)))
    for g, mask in enumerate(truth):
        shared = np.bincount(labels[mask], minlength=len(sizes) + 1)[1:]
        iou[:, g] = shared / np.maximum(sizes + mask.sum() - shared, 1)
    return iou


def _count(iou: np.ndarray) -> np.ndarray:
    """[thresholds, 3] true and false positives and missed objects; rows by descending score."""
    counts = []
    for threshold in THRESHOLDS:
        free, right = np.ones(iou.shape[1], bool), 0
        for row in iou:  # above 0.5 a row fits one column, unless annotations overlap
            candidates = np.where(free, row, 0.0)
            best = int(candidates.argmax()) if len(candidates) else 0
            if len(candidates) and candidates[best] > threshold:
                free[best] = False
                right += 1
        counts.append((right, len(iou) - right, int(free.sum())))
    return np.array(counts)


def _share(right: float, others: float) -> float:
    return float(right / (right + others)) if right else 0.0
