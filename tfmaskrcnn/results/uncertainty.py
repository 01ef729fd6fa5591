"""Which pictures are most worth labelling: those where a model is unsure of many objects."""

from typing import List, Sequence, Union

import numpy as np

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.instances import Instances


def uncertainty(found: Instances, thresholds: Union[float, Sequence[float], np.ndarray]) -> float:
    """How many objects of a picture one has to expect to correct, going by the scores.

    A detection at its threshold may as well be right as wrong, one of score 0 is nothing and one
    of score 1 an object: scores are stretched so that the threshold t is a chance q of 1/2,

        q = s / 2t below it, q = 1 - (1 - s) / 2(1 - t) from it on,

    and the chance that the choice at t is wrong is the smaller of q and 1 - q. The picture's value
    is the sum over its detections. docs/prelabel.md compares it with other formulas. What the model
    does not see at all has no score, so it is in no such sum.

    Args:
        found: all detections of the picture, also those below the thresholds.
        thresholds: one score in [0, 1] for all, or [D] one for each detection, such as
            `ScoreThresholds.of(found.classes)`.

    Returns:
        0 for a picture without detections or with nothing but sure ones; at most D / 2.

    Raises:
        InputError: the thresholds do not fit.
    """
    scores = np.asarray(found.scores, np.float64)
    limits = np.asarray(thresholds, np.float64)
    if limits.shape not in ((), scores.shape):
        raise InputError(f"{limits.size} thresholds for {len(scores)} detections; wanted one each.")
    if not ((limits >= 0) & (limits <= 1)).all():
        raise InputError("A threshold is not in [0, 1].")
    limits = np.broadcast_to(limits, scores.shape)
    below = scores < limits
    distance = np.where(below, limits, 1 - limits)  # from the threshold to the sure end
    left = np.where(below, scores, 1 - scores)
    wrong = 0.5 * np.divide(left, distance, out=np.zeros_like(scores), where=distance > 0)
    return float(np.sum(wrong))


def most_uncertain(values: Sequence[float], count: int) -> List[int]:
    """Indices of the `count` highest values, in falling order; equal ones as they come.

    Args:
        values: of `uncertainty`, one a picture.
        count: how many; all if there are fewer pictures.
    """
    return np.argsort(-np.asarray(values, np.float64), kind="stable")[:count].tolist()
