"""Contrast and brightness of an image by its own levels: what is done to it before it is resized.

All follows from one histogram of 256 levels, which is counted in parts: of a large image nothing is
held that takes more than the image itself.
"""

from typing import NamedTuple, Optional

import tensorflow as tf

from tfmaskrcnn.config.model import InputConfig

# Shares of an image's values that `stretch_contrast` sends to 0 and to 255: a few dead or hot
# pixels must not decide the range.
STRETCH_LOW, STRETCH_HIGH = 0.002, 0.998
# An image whose median lies above the middle of 0..255 has a bright background.
BRIGHT_MEDIAN = 127
_COUNTED = 1 << 22  # values that are counted at a time; each takes four bytes then


class Enhancement(NamedTuple):
    """What happens to each value v: scale * (v - low), cut to 0..255, then offset + sign * v.

    Scalars, float32. (0, 1, 0, 1) leaves every value in 0..255 as it is, to the bit.
    """

    low: tf.Tensor
    scale: tf.Tensor
    offset: tf.Tensor
    sign: tf.Tensor


def enhancement(image, input: InputConfig) -> Optional[Enhancement]:
    """What `input` asks to be done to `image` at its original resolution; None if nothing.

    Args:
        image: [H, W, C] in 0..255, integer or float; the percentiles are of whole levels, those of
            a float's floor.
        input: the model's `InputConfig`; contrast is stretched before the median is looked at.
    """
    if not (input.stretch_contrast or input.invert_bright):
        return None
    counts = _histogram(image)
    zero, one = tf.constant(0.0), tf.constant(1.0)
    change = Enhancement(zero, one, zero, one)
    if input.stretch_contrast:
        change = _stretching(counts)
        levels = tf.cast(enhanced(tf.range(256), change), tf.int32)
        counts = tf.math.unsorted_segment_sum(counts, levels, 256)
    return change._replace(**_inverting(counts)) if input.invert_bright else change


def enhanced(image, change: Enhancement) -> tf.Tensor:
    """`image` [...] (or a part of it) after an enhancement; float32 in 0..255."""
    image = (tf.cast(image, tf.float32) - change.low) * change.scale
    return change.offset + change.sign * tf.clip_by_value(image, 0.0, 255.0)


def stretch_contrast(image) -> tf.Tensor:
    """`image` with its own 0.2 and 99.8 percentiles (of all channels together) at 0 and 255.

    Args:
        image: [H, W, C] in 0..255, integer or float; the percentiles are of whole levels.

    Returns:
        [H, W, C] float32 in 0..255; an image with less than two levels between the percentiles
        (a constant one) comes back as it is.
    """
    return enhanced(image, enhancement(image, InputConfig(stretch_contrast=True)))


def invert_bright(image) -> tf.Tensor:
    """The negative of `image` [H, W, C] if its median is above 127, else itself; float32 0..255."""
    return enhanced(image, enhancement(image, InputConfig(invert_bright=True)))


def enhance(image, input: InputConfig) -> tf.Tensor:
    """`image` [H, W, C] after what `input` asks for at the original resolution, if anything."""
    change = enhancement(image, input)
    return image if change is None else enhanced(image, change)


def _stretching(counts) -> Enhancement:
    low, high = _percentile(counts, STRETCH_LOW), _percentile(counts, STRETCH_HIGH)
    wide = high > low
    scale = tf.where(wide, 255.0 / tf.maximum(high - low, 1.0), 1.0)
    return Enhancement(tf.where(wide, low, 0.0), scale, tf.constant(0.0), tf.constant(1.0))


def _inverting(counts) -> dict:
    bright = _percentile(counts, 0.5) > BRIGHT_MEDIAN
    return {"offset": tf.where(bright, 255.0, 0.0), "sign": tf.where(bright, -1.0, 1.0)}


def _histogram(image) -> tf.Tensor:
    """[256] int32: how many values are v, rounded down."""
    values = tf.reshape(image, [-1])
    size = tf.size(values)

    def count(start, counts):
        levels = tf.cast(values[start : start + _COUNTED], tf.int32)
        counts += tf.math.bincount(levels, minlength=256, maxlength=256)
        return start + _COUNTED, counts

    state = (0, tf.zeros([256], tf.int32))
    _, counts = tf.while_loop(lambda i, _: i < size, count, state, parallel_iterations=1)
    return counts


def _percentile(counts, share: float) -> tf.Tensor:
    """Lowest level that at least `share` of the values do not exceed; scalar float32."""
    counts = tf.cumsum(counts)
    below = tf.cast(counts, tf.float32) / tf.cast(counts[-1], tf.float32)
    return tf.reduce_sum(tf.cast(below < share, tf.float32))
