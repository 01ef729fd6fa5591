"""Optimizers by name."""

import logging
from typing import Optional

import keras

from tfmaskrcnn import compat
from tfmaskrcnn.config.run import TrainConfig
from tfmaskrcnn.model.gradients import GradientRules, set_rules
from tfmaskrcnn.support.given import A_COUNT, takes
from tfmaskrcnn.train.addons import ADDONS, make_addon
from tfmaskrcnn.train.gradient_momentum import GradientMomentum
from tfmaskrcnn.train.schedule import make_schedule, with_phases

_LOG = logging.getLogger(__name__)


@takes(config=TrainConfig, steps_per_epoch=A_COUNT)
def make_optimizer(config: TrainConfig, steps_per_epoch: Optional[int] = None):
    """The optimizer that `config` describes, for `MaskRCNN.compile`.

    L2, clipping and layer-wise rates ride on it as `gradient_rules`. All but SGD decay weights by
    themselves instead of by L2. With `precision: mixed_float16` it scales the loss.

    Args:
        config: optimizer, learning rate, schedule, weight decay, clipping and precision; of the
            `phases` their rates, whose parts `mr.train.train` begins, or you by `set_trainable`.
        steps_per_epoch: updates an epoch, `len(dataset)`; with it the schedule knows the length of
            the run. Without it the rate stays constant after the warm-up.

    Raises:
        InputError: the optimizer comes from tensorflow-addons, which is not there.
    """
    if steps_per_epoch is None and config.schedule.kind != "constant":
        _LOG.warning(
            "make_optimizer: without steps_per_epoch=len(dataset) the %r schedule cannot know the "
            "length of the run; the learning rate stays constant after the warm-up.",
            config.schedule.kind,
        )
    total = steps_per_epoch * config.epochs if steps_per_epoch else None

    def schedule(base):
        whole = make_schedule(config.schedule, base, total)
        return with_phases(whole, config.phases, steps_per_epoch)

    rate, l2 = scaled_rate(config), 0.0
    if config.optimizer in ADDONS:
        optimizer = make_addon(config, rate, schedule)
    elif config.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(
            schedule(rate), weight_decay=config.weight_decay, **compat.NO_OPTIMIZER_XLA
        )
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    else:
        l2, momentum = config.weight_decay, config.momentum
        kind = GradientMomentum if config.momentum_of == "pytorch" else keras.optimizers.SGD
        optimizer = kind(schedule(rate), momentum, **compat.NO_OPTIMIZER_XLA)
    set_rules(optimizer, GradientRules(l2, config.clip_norm, config.rates))
    return compat.loss_scaling(optimizer) if config.precision == "mixed_float16" else optimizer


def scaled_rate(config: TrainConfig) -> float:
    """The learning rate for the configuration's batches: linear in their size (Goyal et al., 2.1),
    where `reference_batch` tells for which size `learning_rate` is.
    """
    return config.learning_rate * config.batch_size / (config.reference_batch or config.batch_size)
