"""How often an epoch shows each image: once, or those of rare classes more often."""

import logging
from typing import Optional, Sequence

import numpy as np

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data.coco.records import CocoData, Record

_LOG = logging.getLogger(__name__)


def repeat_factors(records: Sequence[Record], num_classes: int, threshold: float) -> np.ndarray:
    """How often an image is to be shown an epoch (LVIS, Gupta et al. 2019, section 5).

    A class in a share f of the images has the factor max(1, sqrt(threshold / f)); an image has the
    highest of its classes, and 1 without objects. Crowd regions do not count.

    Returns:
        [n] float64, at least 1.
    """
    present = np.zeros((len(records), num_classes), bool)
    for row, record in zip(present, records):
        row[record.classes[~record.crowd] - 1] = True
    share = np.maximum(present.mean(axis=0), 1e-12)  # of a class that is nowhere nothing is asked
    factors = np.maximum(np.sqrt(threshold / share), 1.0)
    return np.where(present, factors, 1.0).max(axis=1)


def epoch_length(data: CocoData, config: Config) -> int:
    """How many images an epoch of training shows, those of a last batch that is not full too."""
    ends = part_ends(data, config)
    return len(data.records) if ends is None else int(ends[-1])


def steps_per_epoch(data: CocoData, config: Config) -> int:
    """How many full batches of `train.batch_size` an epoch of training has."""
    return epoch_length(data, config) // config.train.batch_size


def part_ends(data: CocoData, config: Config) -> Optional[np.ndarray]:
    """`ends` [n] of `order.shuffled`; None if each image is shown once an epoch.

    Repeat factors are stretched by less than one image in all, so that their sum is whole and every
    epoch equally long.
    """
    threshold = config.data.repeat_threshold
    if threshold is None:
        return None
    ends = np.cumsum(repeat_factors(data.records, len(data.class_names), threshold))
    return ends * (round(ends[-1]) / ends[-1])


def announce(data: CocoData, config: Config, training: bool) -> None:
    """Say in the log what becomes of crowded images and, in training, how long an epoch becomes."""
    most = config.data.max_instances
    crowded = sum(len(r.classes) > most for r in data.records)
    if crowded:
        _LOG.warning(
            "%s: %d images have more than data.max_instances=%d objects; a random choice is used.",
            *(data.json_path, crowded, most),
        )
    threshold = config.data.repeat_threshold
    if not training or threshold is None:
        return
    factors = repeat_factors(data.records, len(data.class_names), threshold)
    _LOG.info(
        "data.repeat_threshold=%g: an epoch shows %d images, made of %d; %d of them more than "
        "once, up to %.1f times.",
        *(threshold, epoch_length(data, config), len(factors)),
        *(np.count_nonzero(factors > 1), factors.max()),
    )
