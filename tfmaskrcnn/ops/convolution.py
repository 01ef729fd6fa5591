"""Convolutions that TensorFlow's own operation does not cover on every device."""

import functools

import tensorflow as tf


def conv2d(x: tf.Tensor, kernel: tf.Tensor, strides: int, padding: str) -> tf.Tensor:
    """`tf.nn.conv2d`, also of several groups of channels, with a gradient on every device.

    Args:
        x: [B, H, W, C] of any float type.
        kernel: [k, k, C / groups, C'] of the same type; groups follow from the shapes. Group g of
            the outputs reads group g of the inputs alone.
        strides: of both axes.
        padding: "SAME" or "VALID".

    Returns:
        [B, H', W', C'].
    """
    groups = x.shape[-1] // kernel.shape[2]
    if groups == 1 or _groups_are_native():
        return tf.nn.conv2d(x, kernel, strides, padding)
    parts = zip(tf.split(x, groups, axis=-1), tf.split(kernel, groups, axis=-1))
    return tf.concat([tf.nn.conv2d(a, k, strides, padding) for a, k in parts], axis=-1)


@functools.lru_cache
def _groups_are_native() -> bool:
    """Whether a GPU or oneDNN does groups. TensorFlow's other CPU kernels have no gradient for
    them, and none at all for the fusion with a bias that graphs are rewritten to.
    """
    with tf.init_scope():
        try:
            tf.raw_ops.Conv2DBackpropInput(
                input_sizes=[1, 2, 2, 2],
                filter=tf.ones([1, 1, 1, 2]),
                out_backprop=tf.ones([1, 2, 2, 2]),
                strides=[1, 1, 1, 1],
                padding="VALID",
            )
        except tf.errors.OpError:
            return False
    return True
