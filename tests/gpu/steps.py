"""One update of the weights by other ways: compiled with XLA, and mirrored on one device."""

import contextlib
import functools
from typing import List

import numpy as np
import tensorflow as tf

import tfmaskrcnn as mr
from gpu.agreement import drawn_weights
from gpu.networks import shapes, steady_config
from gpu.rows import Given, Row, at_most
from tfmaskrcnn.data import from_coco
from tfmaskrcnn.model.weights import load_weights, named_weights
from tfmaskrcnn.train import make_optimizer
from tfmaskrcnn.train.distribution import make_strategy

_SIDES = (96, 128)


def xla(given: Given) -> List[Row]:
    """Backbone with FPN and the heads compiled (`train.xla`), which is all that can be."""
    plain, start = _plain(given)
    found, _ = _updated(given, "train.xla=true")
    return [
        at_most("update with train.xla, relative to one without", _far(found, plain, start), 1e-2)
    ]


def mirrored(given: Given) -> List[Row]:
    """`train.strategy=mirrored` where it has one device."""
    plain, start = _plain(given)
    strategy = make_strategy("mirrored")
    found, _ = _updated(given, strategy=strategy)
    name = f"update mirrored on {strategy.num_replicas_in_sync}, relative to one without"
    return [at_most(name, _far(found, plain, start), 1e-3)]


@functools.cache
def _plain(given: Given):
    return _updated(given)


def _updated(given: Given, *overrides: str, strategy=None):
    """(weights after one step, weights before it)."""
    config = steady_config(*overrides)
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = mr.MaskRCNN(config)
        start = drawn_weights(model)
        load_weights(model, start)
        eager = tf.config.functions_run_eagerly()
        options = {"xla": config.train.xla, "run_eagerly": eager}
        model.compile(make_optimizer(config.train, 10), **options)
    data = from_coco(*shapes(given.folder, _SIDES, 2), config, training=True)
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        model.fit(data, epochs=1, verbose=0)
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(True)
    return {name: np.asarray(v) for name, v in named_weights(model).items()}, start


def _far(found, expected, start) -> float:
    """How far two updates lie from each other, relative to the length of the second."""
    between = sum(float(np.sum((found[n] - expected[n]) ** 2)) for n in start)
    length = sum(float(np.sum((expected[n] - start[n]) ** 2)) for n in start)
    return float(np.sqrt(between / length)) if length else float("nan")
