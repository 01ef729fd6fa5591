"""Small helpers on shapes and graphs."""

import atexit
import functools
from typing import Callable

import tensorflow as tf


def side(tensor: tf.Tensor, axis: int):
    """Length of `axis`: a Python int where the graph knows it, else a scalar int32 tensor.

    A known length keeps the shapes after it static, which TensorRT needs.
    """
    known = tensor.shape[axis]
    return known if known is not None else tf.shape(tensor)[axis]


def at_most(limit: int, length):
    """min(limit, length) where `length` may be a Python int or a scalar tensor."""
    return min(limit, length) if isinstance(length, int) else tf.minimum(limit, length)


def pad_rows(tensor: tf.Tensor, rows: int) -> tf.Tensor:
    """[B, n, ...] -> [B, rows, ...] with zeros (False) behind; n must not exceed `rows`."""
    missing = rows - side(tensor, 1)
    paddings = [[0, 0], [0, missing]] + [[0, 0]] * (tensor.shape.rank - 2)
    padded = tf.pad(tensor, paddings)
    return tf.ensure_shape(padded, [tensor.shape[0], rows, *tensor.shape[2:]])


def one_hot(index: tf.Tensor, depth: int) -> tf.Tensor:
    """[...] float32 whole numbers -> [..., depth] float32, 1 at `index`, 0 elsewhere.

    By arithmetic: TensorRT converts neither OneHot nor the cast to an integer.
    """
    places = tf.constant(list(range(depth)), tf.float32)
    return tf.maximum(1.0 - tf.abs(tf.expand_dims(index, -1) - places), 0.0)


def own_channel(logits: tf.Tensor, class_index: tf.Tensor) -> tf.Tensor:
    """The channel of each RoI's own class.

    Args:
        logits: [B, R, M, M, K] float32.
        class_index: [B, R] int32 or whole float32, 0..K-1; a RoI outside this range gets zeros.

    Returns:
        [B, R, M, M] float32.
    """
    chosen = one_hot(tf.cast(class_index, tf.float32), logits.shape[4])  # [B, R, K]
    # Not [..., tf.newaxis], which TensorRT does not convert.
    chosen = tf.expand_dims(tf.expand_dims(chosen, 2), 2)
    return tf.reduce_sum(logits * chosen, axis=-1)


def with_gradient_of(value: tf.Tensor, twin: tf.Tensor) -> tf.Tensor:
    """`value` to the bit, with the gradient of `twin`, which is the same computed another way."""
    return tf.stop_gradient(value) + (twin - tf.stop_gradient(twin))


def as_graph(function: Callable, **options):
    """`tf.function(function, **options)` without AutoGraph, also in the layers that it calls.

    Graphs of this package say `tf.cond` and `tf.while_loop` themselves; to have their source
    translated first took more time than to trace them.
    """
    plain = tf.autograph.experimental.do_not_convert(function)
    return tf.function(plain, autograph=False, **options)


def kept_until_exit(make: Callable) -> Callable:
    """`make`, called once for each set of arguments; for `tf.function`s that all models share.

    They are let go before Python takes TensorFlow apart, which a function that lives on complains
    of.
    """
    cached = functools.lru_cache(maxsize=None)(make)
    atexit.register(cached.cache_clear)
    return cached
