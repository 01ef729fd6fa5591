"""The score of the 2018 Data Science Bowl: how many objects are right, without a ranking.

COCO's AP judges a ranked list; a count of cells or fruits needs one set of masks. Detections above
a score threshold are taken as that set, each pixel goes to the best-scored detection that covers
it (the competition forbade overlaps), and a detection is right if its mask and an annotated one
have an IoU above a threshold t. An image scores TP / (TP + FP + FN), averaged over t = 0.5, 0.55,
.., 0.95; the data set scores the mean over images. Pooled, the three are summed over all images
first, at t = 0.5.
"""

from typing import Dict, List, NamedTuple

import numpy as np

from tfmaskrcnn.evaluation.analysis.pixels import paint
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
    crowd = [entry["segmentation"] for entry in annotations if entry["iscrowd"]]
    masks = [[entry["segmentation"] for entry in entries] for entries in (found, objects)]
    painted = paint(masks[0], (image["height"], image["width"]))
    # Half of the detection or more lies in crowd regions.
    in_crowd = painted.inside(crowd) * 2 >= np.maximum(painted.sizes, 1)
    real = (painted.sizes > 0) & ~in_crowd
    kinds = [[entry["category_id"] for entry in entries] for entries in (found, objects)]
    same = np.equal.outer(*kinds).reshape(len(found), len(objects))
    return _count((painted.iou(masks[1]) * same)[real])


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
