"""Optimizers of tensorflow-addons by name; the one module that imports it, and only when asked.

Its last release runs on TensorFlow 2.14 and 2.15 with Keras 2 alone.
"""

import warnings
from typing import Callable

import tensorflow as tf

from tfmaskrcnn.config.run import TrainConfig
from tfmaskrcnn.errors import InputError

ADDONS = ("lamb", "novograd", "sgdw")
_NOT_KERNELS = ["bias", "gamma", "beta"]  # patterns of names


def make_addon(config: TrainConfig, rate: float, schedule: Callable):
    """The optimizer that `config.optimizer` names.

    Decay is decoupled and follows the learning rate, as AdamW's does; LAMB and SGDW decay kernels
    alone, NovoGrad has no exception for biases and norms.

    Args:
        config: its weight decay and momentum are used.
        rate: base of the learning rate.
        schedule: makes a learning rate's schedule of a base.
    """
    addons = _addons(config.optimizer)
    decay = config.weight_decay
    if config.optimizer == "lamb":
        return addons.LAMB(
            schedule(rate),
            weight_decay=decay,
            exclude_from_weight_decay=_NOT_KERNELS,
            exclude_from_layer_adaptation=_NOT_KERNELS,
        )
    if config.optimizer == "novograd":
        return addons.NovoGrad(schedule(rate), weight_decay=decay)
    return addons.SGDW(
        schedule(decay * rate),  # it does not multiply by the learning rate
        schedule(rate),
        momentum=config.momentum,
        exclude_from_weight_decay=_NOT_KERNELS,
    )


def _addons(name: str):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is no longer developed
            import tensorflow_addons
    except ImportError:  # on Keras 3 it fails on a module that is no longer there
        raise InputError(
            f"train.optimizer {name} comes from tensorflow-addons, which runs on TensorFlow 2.14 "
            f"and 2.15 alone (found {tf.__version__}): install those with "
            "pip install 'tfmaskrcnn[addons]' 'tensorflow<2.16', or take sgd or adamw."
        ) from None
    return tensorflow_addons.optimizers
