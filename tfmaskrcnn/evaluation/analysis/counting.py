"""How well detections count what is in an image."""

from typing import Dict, NamedTuple, Sequence

import numpy as np

from tfmaskrcnn.evaluation.analysis.coco_matching import match_all
from tfmaskrcnn.evaluation.analysis.examined import Examined
from tfmaskrcnn.evaluation.analysis.precision import ABSENT

IN_CROWD = 0.5  # least share of a detection in a crowd region that makes it one of the crowd


class ClassCount(NamedTuple):
    """One class in all images."""

    annotated: int
    found: int
    mean_absolute_error: float  # an image; ABSENT where there is no image


class Counting(NamedTuple):
    """Objects of I images, all classes together, as many as there are and as were found."""

    annotated: np.ndarray  # [I] int, without crowd regions
    found: np.ndarray  # [I] int
    mean_error: float  # found - annotated, an image; 0 where there is no image
    mean_absolute_error: float  # an image; ABSENT where there is no image
    relative_error: float  # sum of absolute errors / sum of objects; ABSENT where none is
    exact: float  # share of the images with as many as there are; ABSENT where there is no image
    per_class: Dict[str, ClassCount]


def counting(examined: Examined, thresholds: Sequence[float]) -> Counting:
    """The counts of the detections from `thresholds` [K] on.

    Those that COCO ignores at an IoU of 0.5, because they lie in a crowd region, are not counted,
    as what it holds is not either.
    """
    annotated, found = _counts(examined, np.asarray(thresholds, np.float64))  # [K, I] each
    errors = np.abs(found - annotated)
    per_class = {
        name: ClassCount(int(there.sum()), int(seen.sum()), _mean(wrong))
        for name, there, seen, wrong in zip(examined.class_names, annotated, found, errors)
    }
    annotated, found = annotated.sum(axis=0), found.sum(axis=0)
    errors, total = np.abs(found - annotated), int(annotated.sum())
    return Counting(
        annotated,
        found,
        float((found - annotated).mean()) if len(errors) else 0.0,
        _mean(errors),
        float(errors.sum() / total) if total else ABSENT,
        _mean(errors == 0),
        per_class,
    )


def _counts(examined: Examined, thresholds: np.ndarray):
    """[K, I] int objects that are there, and detections that count."""
    matches = match_all(examined, examined.kind, [IN_CROWD])
    sure = matches.scores >= thresholds[matches.classes - 1]
    kept = sure & ~matches.ignored[0]
    found = np.zeros_like(matches.counts)
    np.add.at(found, (matches.classes[kept] - 1, matches.images[kept]), 1)
    return matches.counts, found


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else ABSENT
