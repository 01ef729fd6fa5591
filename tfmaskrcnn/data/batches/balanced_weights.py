"""`box_head.class_weights: balanced` as numbers: from how often training shows each class.

A class of n objects weighs in proportion to 1 / sqrt(n), the root by which LVIS's repeat factors
(Gupta et al. 2019) show images again. Inverse effective numbers (Cui et al. 2019), which are
inverse frequencies as long as objects are few, did more harm in `examples/rare_classes.py`.
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


def balanced_weights(counts: np.ndarray) -> np.ndarray:
    """[K] float64 factors of the loss of classes with `counts` [K] objects.

    The mean over all objects is 1, so that objects weigh as much against background as before.
    Scaled to a sum of K, the common classes would weigh less than background. A class without
    objects has 1. All are rounded to 4 digits, which is the same on every machine.
    """
    counts = np.asarray(counts, np.float64)
    if not counts.any():
        return np.ones(len(counts))
    root = np.sqrt(counts)
    weights = np.divide(counts.sum() / root.sum(), root, out=np.zeros(len(root)), where=root > 0)
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
