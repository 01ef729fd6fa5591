"""`box_head.class_weights: balanced` as numbers: from how often training shows each class.

Cui et al. 2019 (arXiv 1901.05555) weigh a class of n objects by the inverse of their effective
number (1 - b^n) / (1 - b): by 1 / n while n is small, and never by less than 1 - b, because one
object more of a common class tells hardly anything new. Inverse frequencies have no such end.
"""

import logging
from typing import Sequence

import numpy as np

from tfmaskrcnn.config.class_weights import BALANCED
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data.batches.sampler import repeat_factors
from tfmaskrcnn.data.coco.records import CocoData, Record
from tfmaskrcnn.errors import listed

_LOG = logging.getLogger(__name__)
# b: beyond some thousand objects all classes weigh alike, and none a thousand times another.
_BETA = 0.999


def balanced_weights(counts: np.ndarray) -> np.ndarray:
    """[K] float64 factors of the loss of classes with `counts` [K] objects.

    The mean over all objects is 1, so that objects weigh as much against background as before: the
    paper's scale, a sum of K, would let a set of one common and some rare classes weigh less. A
    class without objects has 1. All are rounded to 4 digits, which is the same on every machine.
    """
    counts = np.asarray(counts, np.float64)
    there = counts > 0
    if not there.any():
        return np.ones(len(counts))
    effective = (1 - _BETA**counts) / (1 - _BETA)
    weights = np.divide(1.0, effective, out=np.zeros(len(counts)), where=there)
    weights *= counts.sum() / (counts * weights).sum()
    return np.array([float(f"{w:.4g}") if w else 1.0 for w in weights])


def objects_shown(records: Sequence[Record], num_classes: int, factors: np.ndarray) -> np.ndarray:
    """[K] float64: how many objects of each class an epoch shows, crowd regions left out.

    Args:
        records: n images.
        num_classes: K.
        factors: [n], how often an epoch shows each image.
    """
    shown = np.zeros(num_classes)
    for record, factor in zip(records, factors):
        np.add.at(shown, record.classes[~record.crowd] - 1, factor)
    return shown


def with_balanced_weights(data: CocoData, config: Config) -> Config:
    """`config` with numbers in the place of "balanced", which the log tells.

    Images that `data.repeat_threshold` shows again count as often as they are shown: what is
    balanced by them is not balanced twice. Without records the configuration stays as it is.
    """
    head, names = config.model.box_head, data.class_names
    if head.class_weights != BALANCED or not data.records:
        return config
    threshold = config.data.repeat_threshold
    factors = np.ones(len(data.records))
    if threshold is not None:
        factors = repeat_factors(data.records, len(names), threshold)
    found = balanced_weights(objects_shown(data.records, len(names), factors))
    weights = dict(zip(names, found.tolist()))
    _LOG.info(
        "box_head.class_weights=balanced: the loss of objects is weighed by %s.",
        listed(f"{weight:g} ({name})" for name, weight in weights.items()),
    )
    head = head.model_copy(update={"class_weights": weights})
    return config.model_copy(update={"model": config.model.model_copy(update={"box_head": head})})
