"""How much AP each kind of error costs: TIDE's oracles, each of which mends one kind."""

from typing import Dict, List, NamedTuple

import numpy as np

from tfmaskrcnn.evaluation.analysis.coco_matching import NONE, Matches, match_all
from tfmaskrcnn.evaluation.analysis.examined import Examined
from tfmaskrcnn.evaluation.analysis.precision import ABSENT, average_precision
from tfmaskrcnn.evaluation.analysis.verdicts import (
    CLASSIFICATION,
    ERRORS,
    IGNORED,
    LOCALISATION,
    MISJUDGED,
    MISSED,
    ImageVerdicts,
    judge_matches,
)


class ErrorCosts(NamedTuple):
    """What AP would gain, in [0, 1], if one kind of error were mended; ABSENT without objects.

    The parts are of one AP each and do not add up to 1 - AP.
    """

    ap: float  # COCO's AP at the IoU
    costs: Dict[str, float]  # classification, localisation, both, duplicate, background, missed
    false_positives: float  # if every right detection came before every wrong one
    false_negatives: float  # if what is not found did not count
    counts: Dict[str, int]  # how often each kind occurs, ignored detections left out


def error_costs(
    examined: Examined, kind: str, iou: float = 0.5, background: float = 0.1
) -> ErrorCosts:
    """AP with each kind of error mended, less AP; all detections count, whatever their score.

    The oracles of Bolya et al. 2020: an error of class or localisation becomes right, if it is the
    best of those about an object that is not found, and else goes; of both, a duplicate and
    background go; what is missed leaves the ground truth. Like the authors' tidecv 1.0.1:

    - One error an object is mended, of class or localisation, whichever has the higher score; so
      mending classes does not mend an object whose better detection is badly placed.
    - A detection that a crowd region excuses costs nothing, but can be mended to be an object.
    - A class of which all is missed has an AP of 0 once that leaves the ground truth, if there are
      detections of it, and else leaves the mean.

    Unlike it, a class without any object is no part of the mean, as in COCO (tidecv counts an AP of
    0 where there are detections of it). If no class is left, the AP is 1.

    Args:
        examined: the images.
        kind: "mask" or "box": what overlaps are of.
        iou: TIDE's foreground threshold, of matches.
        background: TIDE's background threshold.
    """
    matches = match_all(examined, kind, [iou])
    verdicts = judge_matches(examined, kind, matches, None, background)
    codes, classes, best = _mending(examined, matches, verdicts)
    lost = {name: _lost(examined, verdicts, names) for name, names in _LOST.items()}
    counts = {name: sum(v.found.count(name) for v in verdicts) for name in ERRORS}
    counts[MISSED] = int(lost[MISSED].sum())

    ap = _mean(matches, matches.counts)

    def gain(**changes) -> float:
        fixed = _mean(matches._replace(**changes), matches.counts)
        return ABSENT if ap == ABSENT else max(fixed - ap, 0.0)  # below 0 by rounding alone

    costs = {}
    for name in ERRORS:
        gone, mended = codes == name, (codes == name) & best
        costs[name] = gain(
            classes=np.where(mended, classes, matches.classes),
            objects=np.where(mended, 0, matches.objects),  # any object: it is right
            ignored=np.where(gone, ~mended, matches.ignored),
        )
    costs[MISSED] = gain(counts=matches.counts - lost[MISSED])
    false_positives = gain(scores=matches.right[0].astype(np.float64))
    false_negatives = gain(counts=matches.counts - lost[MISJUDGED])
    return ErrorCosts(ap, costs, false_positives, false_negatives, counts)


# What leaves the ground truth with the missed objects, and with all that are not found.
_LOST = {MISSED: (MISSED,), MISJUDGED: (MISSED, MISJUDGED)}


def _mending(examined: Examined, matches: Matches, verdicts: List[ImageVerdicts]):
    """What can be mended of each of the N detections of `matches`.

    Returns:
        [N] code of the error, also of ignored detections that can be mended; [N] int class of the
        object that it is about; [N] bool the best of the errors about an object not found.
    """
    codes, classes = np.full(len(matches.rows), IGNORED, "<U16"), matches.classes.copy()
    best = np.zeros(len(matches.rows), bool)
    starts = np.searchsorted(matches.images, np.arange(len(examined.images) + 1))
    for i, (image, verdict) in enumerate(zip(examined.images, verdicts)):
        part = slice(*starts[i : i + 2])
        rows = matches.rows[part]
        codes[part] = np.array(verdict.found, "<U16")[rows]
        about = verdict.partner[rows]
        known = np.flatnonzero(about != NONE)
        about = about[known]
        open_objects = np.array(verdict.objects) == MISJUDGED
        classes[part][known] = image.objects.classes[about]
        best[part][known] = open_objects[about] & (verdict.finder[about] == rows[known])
    placed = np.where(classes == matches.classes, LOCALISATION, CLASSIFICATION)
    return np.where((codes == IGNORED) & best, placed, codes), classes, best


def _lost(examined: Examined, verdicts: List[ImageVerdicts], names) -> np.ndarray:
    """[K, I] int: how many objects have one of the verdicts `names`, as `Matches.counts`."""
    lost = np.zeros((examined.num_classes, len(examined.images)), int)
    for i, (image, verdict) in enumerate(zip(examined.images, verdicts)):
        classes = image.objects.classes[np.isin(verdict.objects, names)]
        lost[:, i] = np.bincount(classes, minlength=len(lost) + 1)[1:]
    return lost


def _mean(matches: Matches, annotated: np.ndarray) -> float:
    """AP over the classes of which `annotated` [K, I] has any; ABSENT where it has none."""
    present = annotated.any(axis=1)
    if not present.any():
        return ABSENT
    ap = average_precision(matches)[0, :, 0]  # [K]
    judged = np.bincount(matches.classes[~matches.ignored[0]], minlength=len(ap) + 1)[1:] > 0
    ap = np.where(judged, np.maximum(ap, 0.0), ap)[present]
    left = ap > ABSENT
    return float(ap[left].mean()) if left.any() else 1.0
