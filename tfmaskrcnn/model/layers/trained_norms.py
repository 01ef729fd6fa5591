"""Norms that learn: batch normalisation, on one device or over all of them, and group norm."""

from typing import Optional

import keras
import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.ops.replicas import all_reduce_sum, num_replicas


@compat.register
class BatchNorm(keras.layers.BatchNormalization):
    """Keras's batch normalisation whose batch spans all replicas and may hold rows of padding.

    It is synchronised under any strategy, `synchronized` or not: a replica of a detector sees few
    images, and the number of devices must not change what is learned. Keras 2 ignores a mask where
    it fuses, Keras 3 does not synchronise where there is a mask; hence the statistics of such
    batches are computed here, in float32 and their sums over images in float64.
    """

    def call(self, x, training=None, valid: Optional[tf.Tensor] = None):
        """[B, h, w, C] -> the same shape and type; rows that are not `valid` [B] do not count."""
        plain = valid is None and not self.synchronized and num_replicas() == 1
        if plain or not (training and self.trainable):
            return super().call(x, training=training)
        inputs = tf.cast(x, tf.float32)
        count, mean, variance = _moments(inputs, valid)
        # A batch without a valid row says nothing about the data.
        momentum = tf.where(count > 0, tf.cast(self.momentum, tf.float64), 1.0)
        kept = variance
        if valid is None and getattr(self, "fused", False):
            # On one device Keras 2's fused operation keeps the unbiased variance.
            kept *= count / tf.maximum(count - 1.0, 1.0)
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, kept)):
            old = tf.cast(tf.convert_to_tensor(moving), tf.float64)
            moving.assign(tf.cast(old * momentum + value * (1.0 - momentum), tf.float32))
        scale = tf.cast(tf.convert_to_tensor(self.gamma), tf.float64)
        scale *= tf.math.rsqrt(variance + self.epsilon)
        beta = tf.cast(tf.convert_to_tensor(self.beta), tf.float64)
        mean, scale, beta = (_for_each_image(x, vector) for vector in (mean, scale, beta))
        return tf.cast((inputs - mean) * scale + beta, x.dtype)


def _moments(x, valid):
    """Number of pixels, [C] mean and [C] variance of the valid rows of all replicas, in float64.

    Sums go over an image's pixels in float32 and over images in float64, so that they are the same
    however the images are spread over replicas; so do the sums of their gradients.
    """
    rows = tf.ones_like(x[..., :1])
    if valid is not None:
        rows *= tf.cast(tf.reshape(valid, [-1, 1, 1, 1]), tf.float32)
        x = tf.where(rows > 0, x, 0.0)  # not by a product: padding may hold anything
    count = all_reduce_sum(_sum(rows))[0]
    divisor = tf.maximum(count, 1.0)
    mean = all_reduce_sum(_sum(x)) / divisor
    # In two passes: the mean of the squares less the square of the mean cancels in float32.
    centred = rows * tf.square(x - _for_each_image(x, mean))
    return count, mean, all_reduce_sum(_sum(centred)) / divisor


def _sum(x):
    """[B, h, w, C] float32 -> [C] float64."""
    return tf.reduce_sum(tf.cast(tf.reduce_sum(x, [1, 2]), tf.float64), 0)


def _for_each_image(x, vector):
    """[C] float64 -> [B, 1, 1, C] float32, a row an image of `x` [B, h, w, C].

    So the gradients of images add up in float64 as well.
    """
    rows = tf.broadcast_to(vector, [tf.shape(x)[0], 1, 1, vector.shape[0]])
    return tf.cast(rows, tf.float32)


@compat.register
class GroupNorm(keras.layers.Layer):
    """Group normalisation (Wu and He, arXiv 1803.08494), the same at training and inference.

    By means and products of whole channels: Keras's own layer divides by `DivNoNan`, which TensorRT
    does not convert. Computed in float32 whatever the precision policy.
    """

    def __init__(self, groups: int = 32, epsilon: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        self.groups, self.epsilon = groups, epsilon

    def build(self, input_shape):
        """Create the vectors for [B, H, W, C] inputs; only C counts."""
        channels = input_shape[-1]
        if channels % self.groups:
            raise ValueError(f"{channels} channels are not divisible into {self.groups} groups")
        for name, initializer in (("gamma", "ones"), ("beta", "zeros")):
            variable = self.add_weight(
                name=name,
                shape=(channels,),
                initializer=initializer,
                dtype="float32",
                **compat.NO_AUTOCAST,
            )
            setattr(self, name, variable)
        self.built = True

    def call(self, x):
        """[B, H, W, C] -> the same shape and type."""
        y = tf.cast(x, tf.float32)
        y -= self._over_groups(tf.reduce_mean(y, [1, 2]))
        variance = self._over_groups(tf.reduce_mean(tf.square(y), [1, 2]))
        scale = tf.math.rsqrt(variance + self.epsilon) * tf.convert_to_tensor(self.gamma)
        return tf.cast(y * scale + tf.convert_to_tensor(self.beta), x.dtype)

    def _over_groups(self, means):
        """[B, C] -> [B, 1, 1, C]: the mean of each channel's group."""
        channels = means.shape[-1]
        size = channels // self.groups
        means = tf.reshape(means, [-1, self.groups, size])
        means = tf.tile(tf.reduce_mean(means, axis=2, keepdims=True), [1, 1, size])
        return tf.reshape(means, [-1, 1, 1, channels])

    def get_config(self):
        """All arguments of the constructor."""
        return {**super().get_config(), "groups": self.groups, "epsilon": self.epsilon}
