"""Which score to take as the threshold, and whether scores mean what they say."""

from typing import Dict, NamedTuple

import numpy as np

from tfmaskrcnn.evaluation.analysis.coco_matching import Matches
from tfmaskrcnn.evaluation.analysis.examined import Examined
from tfmaskrcnn.evaluation.analysis.precision import ABSENT

USUAL = 0.5  # the threshold that people take without a look
BINS = 10  # of scores, in the reliability


class OperatingPoint(NamedTuple):
    """What detections with scores from `score` on are worth; ABSENT where there is no object."""

    score: float
    precision: float  # share of the detections that are right
    recall: float  # share of the objects that are found
    f1: float  # harmonic mean of both


class Curve(NamedTuple):
    """Precision, recall and F1 at each score that occurs, from the highest down: n points."""

    scores: np.ndarray  # [n] float64, descending, different
    precision: np.ndarray  # [n] float64
    recall: np.ndarray  # [n] float64, ABSENT where there is no object
    f1: np.ndarray  # [n] float64, likewise
    best: OperatingPoint  # of the highest F1
    usual: OperatingPoint  # at a score of 0.5
    num_objects: int

    def at(self, score: float) -> OperatingPoint:
        """The point of a threshold: detections with this score or a higher one."""
        count = int(np.searchsorted(-self.scores, -score, side="right"))
        if not self.num_objects:
            return OperatingPoint(score, ABSENT, ABSENT, ABSENT)
        if not count:  # nothing is found, and nothing of it is wrong
            return OperatingPoint(score, 1.0, 0.0, 0.0)
        numbers = (self.precision[count - 1], self.recall[count - 1], self.f1[count - 1])
        return OperatingPoint(score, *map(float, numbers))


class OperatingPoints(NamedTuple):
    """Curves of all classes together and of each, at one IoU."""

    iou: float
    kind: str  # "mask" or "box"
    overall: Curve  # all classes under one threshold
    per_class: Dict[str, Curve]

    def thresholds(self) -> np.ndarray:
        """[K] float64 score of each class's best F1; the overall one where it has no object."""
        curves = self.per_class.values()
        return np.array([(c if c.num_objects else self.overall).best.score for c in curves])


class Reliability(NamedTuple):
    """Whether a score of 0.8 is right 80 % of the time; n bins of scores."""

    edges: np.ndarray  # [n + 1] float64, 0..1
    counts: np.ndarray  # [n] int: detections
    mean_scores: np.ndarray  # [n] float64, NaN in an empty bin
    shares_right: np.ndarray  # [n] float64, NaN in an empty bin
    # Expected calibration error (Naeini et al. 2015): the mean of |score - share that is right|
    # over all detections, by bins; ABSENT where nothing was found.
    ece: float


def operating_points(examined: Examined, matches: Matches, kind: str) -> OperatingPoints:
    """The curves of `matches`, which are at one IoU."""
    right, counted = matches.right[0], ~matches.ignored[0]
    totals = matches.counts.sum(axis=1)
    per_class = {}
    for k, name in enumerate(examined.class_names, start=1):
        own = counted & (matches.classes == k)
        per_class[name] = _curve(matches.scores[own], right[own], int(totals[k - 1]))
    overall = _curve(matches.scores[counted], right[counted], int(totals.sum()))
    return OperatingPoints(float(matches.thresholds[0]), kind, overall, per_class)


def reliability(matches: Matches, bins: int = BINS) -> Reliability:
    """The scores of `matches`, which are at one IoU, against the shares that are right."""
    counted = ~matches.ignored[0]
    scores, right = matches.scores[counted], matches.right[0][counted]
    edges = np.linspace(0.0, 1.0, bins + 1)
    number = np.clip(np.searchsorted(edges, scores, side="right") - 1, 0, bins - 1)
    counts = np.bincount(number, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_scores = np.bincount(number, scores, bins) / counts
        shares = np.bincount(number, right, bins) / counts
    gaps = np.nan_to_num(np.abs(mean_scores - shares))
    ece = float((gaps * counts).sum() / counts.sum()) if counts.any() else ABSENT
    return Reliability(edges, counts, mean_scores, shares, ece)


def _curve(scores: np.ndarray, right: np.ndarray, num_objects: int) -> Curve:
    order = np.argsort(-scores, kind="stable")
    scores, right = scores[order], right[order]
    last = np.flatnonzero(np.diff(scores, append=-np.inf))  # of equal scores: all or none
    hits, seen = np.cumsum(right)[last], last + 1
    precision = hits / np.maximum(seen, 1)
    recall = hits / num_objects if num_objects else np.full(len(last), ABSENT)
    f1 = 2 * hits / (seen + num_objects) if num_objects else np.full(len(last), ABSENT)
    none = OperatingPoint(ABSENT, ABSENT, ABSENT, ABSENT)
    curve = Curve(scores[last], precision, recall, f1, none, none, num_objects)
    return curve._replace(best=_best(curve), usual=curve.at(USUAL))


def _best(curve: Curve) -> OperatingPoint:
    """The point of the highest F1, its threshold half-way to the next lower score."""
    if not curve.num_objects or not len(curve.scores) or curve.f1.max() == 0:
        return curve.at(USUAL)
    best = int(np.argmax(curve.f1))
    own = curve.scores[best]
    lower = curve.scores[best + 1] if best + 1 < len(curve.scores) else own
    middle = np.float32((own + lower) / 2)  # as `ScoreThresholds` are applied
    return curve.at(float(middle if lower < middle <= own else own))
