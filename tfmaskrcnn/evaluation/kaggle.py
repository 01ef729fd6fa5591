"""The score of the 2018 Data Science Bowl: how many objects are right, without a ranking.

COCO's AP judges a ranked list; a count of cells or fruits needs one set of masks. Detections above
a score threshold are taken as that set, each pixel goes to the best-scored detection that covers
it (the competition forbade overlaps), and a detection is right if its mask and an annotated one
have an IoU above a threshold t. An image scores TP / (TP + FP + FN), averaged over t = 0.5, 0.55,
.., 0.95; the data set scores the mean over images. Pooled, the three are summed over all images
first, at t = 0.5.
"""

from typing import Dict, List, NamedTuple, Sequence

import numpy as np
from pycocotools import mask as coco_mask

from tfmaskrcnn.evaluation.ground_truth import GroundTruthFile

THRESHOLDS = np.arange(10) * 0.05 + 0.5


class KaggleResult(NamedTuple):
    """Shares in [0, 1]; 0 where nothing was right."""

    score: float  # mean over images of the mean over thresholds
    pooled: float  # TP / (TP + FP + FN) of all images together at IoU 0.5
    precision: float  # of all images together at IoU 0.5: TP / (TP + FP)
    recall: float  # TP / (TP + FN)
    score_threshold: float


def kaggle_score(
    truth: GroundTruthFile, results: Dict[int, List[Dict]], score_threshold: float = 0.5
) -> KaggleResult:
    """The score of a set of detections.

    Args:
        truth: the annotations. Crowd regions are neither found nor missed; detections that lie in
            one by half or more are left out.
        results: COCO result entries with RLE masks of each image that was looked at, by its id.
        score_threshold: lowest score of a detection that counts.
    """
    if not results:
        return KaggleResult(0.0, 0.0, 0.0, 0.0, score_threshold)
    each_image = [
        _counts_of_image(truth.annotations(i), entries, truth.images[i], score_threshold)
        for i, entries in results.items()
    ]
    counts = np.stack(each_image)  # [images, thresholds, 3]: TP, FP, FN
    scores = counts[..., 0] / np.maximum(counts.sum(axis=-1), 1)
    # An image without objects in which nothing is found is right.
    scores = np.where(counts.sum(axis=-1) == 0, 1.0, scores)
    right, wrong, missed = counts[:, 0].sum(axis=0)
    return KaggleResult(
        float(scores.mean()),
        _share(right, wrong + missed),
        _share(right, wrong),
        _share(right, missed),
        score_threshold,
    )


def _counts_of_image(annotations, results, image: Dict, score_threshold: float) -> np.ndarray:
    """[thresholds, 3] of one image."""
    found = sorted(results, key=lambda entry: -entry["score"])
    found = [entry for entry in found if entry["score"] >= score_threshold]
    objects = [entry for entry in annotations if not entry["iscrowd"]]
    crowd = [_bitmap(entry) for entry in annotations if entry["iscrowd"]]
    labels, sizes = _painted(list(map(_bitmap, found)), (image["height"], image["width"]))
    real = (sizes > 0) & ~_in_crowd(labels, sizes, crowd)
    kinds = [[entry["category_id"] for entry in entries] for entries in (found, objects)]
    same = np.equal.outer(*kinds).reshape(len(found), len(objects))
    iou = _iou(labels, sizes, list(map(_bitmap, objects))) * same
    return _count(iou[real])


def _bitmap(entry: Dict) -> np.ndarray:
    return coco_mask.decode(entry["segmentation"]).astype(bool)


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
        inside |= mask
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
