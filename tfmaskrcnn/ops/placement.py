"""Where an image lies in the padded input, and how the network counts pixels.

Outside the network a box is (y1, x1, y2, x2) with sides y2 - y1. With `inclusive_boxes` the network
itself has (y1, x1, y2 - 1, x2 - 1), the indices of the first and the last pixel, so that the whole
input is (0, 0, H - 1, W - 1): Matterport's boxes of 0..1, times H - 1 and W - 1.
"""

from typing import NamedTuple

import tensorflow as tf

from tfmaskrcnn.config.model import InputConfig, ModelConfig
from tfmaskrcnn.ops.tensors import side

# From the index of the last pixel to the box's end.
_LAST = (0.0, 0.0, 1.0, 1.0)
# An object of one pixel has no inclusive side; a loss takes the logarithm of it.
_MIN_INCLUSIVE_SIDE = 0.5


class ClipSizes(NamedTuple):
    """What boxes are clipped to: [B, 2] (height, width), or [B, 4] yxyx off the corner."""

    proposals: tf.Tensor
    detections: tf.Tensor


def image_offset(sizes: tf.Tensor, padded: tf.Tensor, input: InputConfig) -> tf.Tensor:
    """[..., 2] float32 (y, x) of the image's first pixel in the padded input.

    Args:
        sizes: [..., 2] (height, width) of the image without padding, pixels.
        padded: [2] (height, width) of the input.
        input: `padding` decides.
    """
    sizes = tf.cast(sizes, tf.float32)
    if input.padding == "corner":
        return tf.zeros_like(sizes)
    return tf.floor((tf.cast(padded, tf.float32) - sizes) / 2.0)


def inner_boxes(boxes: tf.Tensor, config: ModelConfig) -> tf.Tensor:
    """[..., 4] boxes as the network counts pixels; at least half a pixel large where it matters."""
    if not config.inclusive_boxes:
        return boxes
    low = boxes[..., :2]
    return tf.concat([low, tf.maximum(boxes[..., 2:] - 1.0, low + _MIN_INCLUSIVE_SIDE)], axis=-1)


def outer_boxes(boxes: tf.Tensor, config: ModelConfig) -> tf.Tensor:
    """[..., 4] boxes of the network as usual ones."""
    return boxes + tf.constant(_LAST) if config.inclusive_boxes else boxes


def clip_sizes(images: tf.Tensor, sizes: tf.Tensor, config: ModelConfig) -> ClipSizes:
    """The limits of boxes in padded `images` [B, H, W, C] of real `sizes` [B, 2], as inner ones."""
    padded = _size_of(images)
    less = 1.0 if config.inclusive_boxes else 0.0
    image = sizes - less
    if config.input.padding == "centred":
        offset = image_offset(sizes, padded, config.input)
        image = tf.concat([offset, offset + image], axis=-1)
    whole = tf.zeros_like(sizes) + padded - less
    return ClipSizes(whole if config.rpn.clip_to == "input" else image, image)


def in_image(boxes: tf.Tensor, images: tf.Tensor, sizes: tf.Tensor, config: ModelConfig):
    """Inner boxes [B, n, 4] of padded `images` -> usual ones, from the image's first pixel on."""
    boxes = outer_boxes(boxes, config)
    if config.input.padding == "corner":
        return boxes
    offset = image_offset(sizes, _size_of(images), config.input)
    return boxes - tf.expand_dims(_twice(offset), 1)


def points_in_image(points, images: tf.Tensor, sizes: tf.Tensor, config: ModelConfig):
    """Keypoints [B, n, J, 3] (y, x, score) of padded `images`, from the image's first pixel on.

    None stays None.
    """
    if points is None or config.input.padding == "corner":
        return points
    offset = tf.pad(image_offset(sizes, _size_of(images), config.input), [[0, 0], [0, 1]])
    return points - tf.expand_dims(tf.expand_dims(offset, 1), 1)


def in_original(boxes, size, original, config: ModelConfig) -> tf.Tensor:
    """Boxes in the resized image as boxes in the image as given.

    With `inclusive_boxes` it is the indices of first and last pixels that are scaled, as Matterport
    does; the results differ by up to half a pixel.

    Args:
        boxes: [..., n, 4] float32 yxyx pixels of the resized image.
        size: [..., 2] (height, width) of the resized image.
        original: [..., 2] (height, width) of the image as given.
        config: also whether to round to whole pixels, halves to even.
    """
    size, original = tf.cast(size, tf.float32), tf.cast(original, tf.float32)
    if config.inclusive_boxes:
        boxes = boxes - tf.constant(_LAST)
        size, original = tf.maximum(size - 1.0, 1.0), tf.maximum(original - 1.0, 1.0)
    boxes = outer_boxes(boxes / tf.expand_dims(_twice(size / original), -2), config)
    return tf.round(boxes) if config.box_head.whole_pixels else boxes


def points_in_original(points, size, original):
    """Keypoints in the resized image as keypoints in the image as given; None stays None.

    Args:
        points: [..., n, J, 3] float32 (y, x, score), pixels of the resized image.
        size: [..., 2] (height, width) of the resized image.
        original: [..., 2] (height, width) of the image as given.
    """
    if points is None:
        return None
    factor = tf.cast(size, tf.float32) / tf.cast(original, tf.float32)
    factor = tf.concat([factor, tf.ones_like(factor[..., :1])], axis=-1)
    return points / tf.expand_dims(tf.expand_dims(factor, -2), -2)


def _size_of(images: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.stack([side(images, 1), side(images, 2)]), tf.float32)


def _twice(pairs: tf.Tensor) -> tf.Tensor:
    return tf.concat([pairs, pairs], axis=-1)
