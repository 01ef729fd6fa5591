"""Panoptic quality of objects: one set of masks without overlaps, right or wrong and how well.

Kirillov et al. 2019, "Panoptic Segmentation" (arXiv 1801.00868), of things alone; where the text
leaves a choice, it is that of the authors' panopticapi.
"""

from typing import Dict, NamedTuple, Sequence

import numpy as np

from tfmaskrcnn.evaluation.analysis.coco_matching import NONE, match
from tfmaskrcnn.evaluation.analysis.examined import Examined, ExaminedImage
from tfmaskrcnn.evaluation.analysis.pixels import Painted, paint
from tfmaskrcnn.evaluation.analysis.precision import ABSENT

# A match has a higher IoU than one half: without overlaps there can be no other one.
LEAST_IOU = np.nextafter(0.5, 1.0)


class Quality(NamedTuple):
    """`pq` is `sq` times `rq`; ABSENT where nothing is there and nothing was found."""

    pq: float
    sq: float  # segmentation: mean IoU of what is right, 0 where nothing is
    rq: float  # recognition: F1, right / (right + (wrong + missed) / 2)


class PanopticQuality(NamedTuple):
    """Means over the classes that are there or were found, and each class."""

    pq: float
    sq: float
    rq: float
    per_class: Dict[str, Quality]


def panoptic_quality(examined: Examined, thresholds: Sequence[float]) -> PanopticQuality:
    """The quality of the detections from `thresholds` [K] on, of a set with masks.

    Each pixel goes to the detection of the highest score that covers it; one that is left without
    pixels is no segment. What is not annotated is background, not void. A wrong detection with
    more than half of its pixels in crowd regions of its class does not count. Annotations that
    overlap, which the paper has none of, are taken as they are.
    """
    sums = np.zeros((examined.num_classes, 4))  # IoU of the right ones, right, wrong, missed
    for image in examined.images:
        _add(sums, image, np.asarray(thresholds, np.float64))
    values = [_quality(*row) for row in sums]
    present = [value for value in values if value.pq != ABSENT]
    means = np.mean(present, axis=0).tolist() if present else [ABSENT] * 3
    return PanopticQuality(*means, dict(zip(examined.class_names, values)))


def _add(sums: np.ndarray, image: ExaminedImage, thresholds: np.ndarray) -> None:
    """Add the counts of an image to `sums` [K, 4]."""
    found, objects = image.found, image.objects
    sure = np.flatnonzero(found.scores >= thresholds[found.classes - 1])
    painted = paint([found.rles[d] for d in sure], image.size)
    classes, there = found.classes[sure], np.flatnonzero(~objects.crowd)
    wanted = objects.classes[there]

    iou = painted.iou([objects.rles[g] for g in there]) * (classes[:, None] == wanted)
    none = np.zeros(len(there), bool)
    own = match(iou, none, none, np.array([LEAST_IOU]))[0]
    right = np.flatnonzero(own != NONE)
    wrong = (own == NONE) & (painted.sizes > 0) & ~_in_crowd(painted, classes, image)
    missed = np.delete(wanted, own[right])
    np.add.at(sums[:, 0], classes[right] - 1, iou[right, own[right]])
    for column, labels in enumerate((classes[right], classes[wrong], missed), start=1):
        sums[:, column] += np.bincount(labels, minlength=len(sums) + 1)[1:]


def _in_crowd(painted: Painted, classes: np.ndarray, image: ExaminedImage) -> np.ndarray:
    """[D] bool: more than half of the pixels lie in crowd regions of the same class."""
    result = np.zeros(len(classes), bool)
    for k in np.unique(image.objects.classes[image.objects.crowd]):
        regions = np.flatnonzero(image.objects.crowd & (image.objects.classes == k))
        inside = painted.inside([image.objects.rles[g] for g in regions])
        result |= (classes == k) & (2 * inside > painted.sizes)
    return result


def _quality(iou: float, right: float, wrong: float, missed: float) -> Quality:
    if not right + wrong + missed:
        return Quality(ABSENT, ABSENT, ABSENT)
    sq = iou / right if right else 0.0
    rq = right / (right + (wrong + missed) / 2)
    return Quality(float(sq * rq), float(sq), float(rq))
