"""Random changes of colour of training images: contrast, brightness, saturation, hue."""

import math

import numpy as np
import tensorflow as tf

from tfmaskrcnn.config.run import AugmentConfig

# Red, green and blue in a pixel's luma, and the two axes of its colour (YIQ of NTSC). Turning the
# colour plane and scaling it leave the luma as it is.
_LUMA_AND_COLOUR = np.float32(
    [[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]]
)
# Keeps these draws apart from those of contrast and brightness.
_COLOUR_DRAWS = 1


def random_colour(seed, image, augment: AugmentConfig) -> tf.Tensor:
    """`image` [H, W, C] float32 in 0..255 with other colours, then contrast, then brightness.

    Contrast is changed about the image's mean. Saturation and hue want RGB. `seed` is [2] int32.
    """
    if augment.saturation or augment.hue:
        matrix = _colour_matrix(tf.random.fold_in(seed, _COLOUR_DRAWS), augment)
        image = tf.clip_by_value(tf.tensordot(image, matrix, [[-1], [1]]), 0.0, 255.0)
    if not (augment.brightness or augment.contrast):
        return image
    change = tf.random.stateless_uniform([2], seed, minval=-1.0, maxval=1.0)
    mean = tf.reduce_mean(image)
    image = mean + (image - mean) * (1.0 + augment.contrast * change[0])
    return tf.clip_by_value(image + 255.0 * augment.brightness * change[1], 0.0, 255.0)


def _colour_matrix(seed, augment: AugmentConfig) -> tf.Tensor:
    """[3, 3] float32, RGB -> RGB of another saturation and hue."""
    change = tf.random.stateless_uniform([2], seed, minval=-1.0, maxval=1.0)
    gain = 1.0 + augment.saturation * change[0]
    angle = 2.0 * math.pi * augment.hue * change[1]
    cos, sin = gain * tf.cos(angle), gain * tf.sin(angle)
    turn = tf.stack([[1.0, 0.0, 0.0], tf.stack([0.0, cos, -sin]), tf.stack([0.0, sin, cos])])
    to_rgb = np.linalg.inv(_LUMA_AND_COLOUR).astype(np.float32)
    return tf.matmul(to_rgb, tf.matmul(turn, _LUMA_AND_COLOUR))
