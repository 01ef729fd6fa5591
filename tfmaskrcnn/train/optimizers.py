"""Optimizers by name."""

import logging
from typing import Optional

import keras

from tfmaskrcnn import compat
from tfmaskrcnn.config import TrainConfig
from tfmaskrcnn.gradients import GradientRules, set_rules
from tfmaskrcnn.train.schedule import make_schedule

_LOG = logging.getLogger(__name__)


def make_optimizer(config: TrainConfig, steps_per_epoch: Optional[int] = None):
    """The Keras optimizer that `config` describes, for `MaskRCNN.compile`.

    L2 and clipping ride on it as `gradient_rules`. AdamW decays its kernels by itself instead.

    Args:
        config: optimizer, learning rate, schedule, weight decay and clipping.
        steps_per_epoch: updates an epoch, `len(dataset)`; with it the schedule knows the length of
            the run. Without it the rate stays constant after the warm-up.
    """
    if steps_per_epoch is None and config.schedule.kind != "constant":
        _LOG.warning(
            "make_optimizer: without steps_per_epoch=len(dataset) the %r schedule cannot know the "
            "length of the run; the learning rate stays constant after the warm-up.",
            config.schedule.kind,
        )
    total = steps_per_epoch * config.epochs if steps_per_epoch else None
    rate = make_schedule(config.schedule, config.learning_rate, total)
    if config.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(
            rate, weight_decay=config.weight_decay, **compat.NO_OPTIMIZER_XLA
        )
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        return set_rules(optimizer, GradientRules(0.0, config.clip_norm))
    optimizer = keras.optimizers.SGD(rate, momentum=config.momentum, **compat.NO_OPTIMIZER_XLA)
    return set_rules(optimizer, GradientRules(config.weight_decay, config.clip_norm))
