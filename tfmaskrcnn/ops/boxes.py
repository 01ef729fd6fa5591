"""Box arithmetic. Boxes are (y1, x1, y2, x2) float32 pixels, a side is `y2 - y1`."""

import math
from typing import Sequence, Tuple

import tensorflow as tf

# Caps growth at 1000/16, so that exp() of an untrained head cannot overflow (Detectron).
MAX_LOG_SCALE = math.log(1000.0 / 16.0)

# Where there is no such cap: exp() of it times any image's size is finite still.
FINITE_LOG_SCALE = 60.0

# A ground-truth row of padding has size 0; its logarithm must stay finite.
MIN_SIDE = 1e-6


def center_size(boxes: tf.Tensor) -> Tuple[tf.Tensor, tf.Tensor]:
    """Centres (y, x) and sizes (height, width) of [..., 4] yxyx boxes: [..., 2] each."""
    size = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + 0.5 * size, size


def area(boxes: tf.Tensor) -> tf.Tensor:
    """[..., 4] boxes -> [...] areas in square pixels; 0 for an inverted box."""
    sides = tf.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    return sides[..., 0] * sides[..., 1]


def intersection(boxes: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Overlap area of each pair: [..., n, 4] and [..., m, 4] -> [..., n, m] square pixels."""
    # An axis at a time: TensorFlow is slow on pairs whose last axis is as short as 2.
    return _shared_length(boxes, others, 0) * _shared_length(boxes, others, 1)


def iou(boxes: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Intersection over union of each pair: [..., n, 4], [..., m, 4] -> [..., n, m] in [0, 1]."""
    overlap = intersection(boxes, others)
    union = tf.expand_dims(area(boxes), -1) + tf.expand_dims(area(others), -2) - overlap
    return tf.math.divide_no_nan(overlap, union)


def _shared_length(boxes: tf.Tensor, others: tf.Tensor, axis: int) -> tf.Tensor:
    """[..., n, m] pixels that each pair shares along y (`axis` 0) or x (1)."""
    low = tf.maximum(boxes[..., :, tf.newaxis, axis], others[..., tf.newaxis, :, axis])
    end = axis + 2
    high = tf.minimum(boxes[..., :, tf.newaxis, end], others[..., tf.newaxis, :, end])
    return tf.maximum(high - low, 0.0)


def encode_boxes(boxes: tf.Tensor, anchors: tf.Tensor, weights: Sequence[float]) -> tf.Tensor:
    """Deltas that move `anchors` onto `boxes` (R-CNN, appendix C); the inverse of `decode_boxes`.

    Args:
        boxes: [..., 4] float32 yxyx pixels; rows of size 0 give finite garbage.
        anchors: [..., 4] float32 yxyx pixels.
        weights: four factors of (dy, dx, dh, dw).

    Returns:
        [..., 4] float32 (dy, dx, dh, dw), unitless, multiplied by `weights`.
    """
    center, size = center_size(boxes)
    anchor_center, anchor_size = center_size(anchors)
    size, anchor_size = tf.maximum(size, MIN_SIDE), tf.maximum(anchor_size, MIN_SIDE)
    shift = (center - anchor_center) / anchor_size
    return tf.concat([shift, tf.math.log(size / anchor_size)], axis=-1) * tf.constant(weights)


def decode_boxes(
    deltas: tf.Tensor, anchors: tf.Tensor, weights: Sequence[float], clamp: bool = True
) -> tf.Tensor:
    """Shift and scale `anchors` by predicted `deltas`; the inverse of `encode_boxes`.

    Args:
        deltas: [..., 4] float32 (dy, dx, dh, dw), unitless, multiplied by `weights`.
        anchors: [..., 4] float32 yxyx pixels, broadcast against `deltas`.
        weights: the four factors used when encoding.
        clamp: let no box grow more than `MAX_LOG_SCALE` allows.

    Returns:
        [..., 4] float32 yxyx pixels, not clipped to the image.
    """
    center, size = center_size(anchors)
    deltas = deltas / tf.constant(weights)
    center = center + deltas[..., :2] * size
    limit = MAX_LOG_SCALE if clamp else FINITE_LOG_SCALE
    size = size * tf.exp(tf.minimum(deltas[..., 2:], limit))
    return tf.concat([center - 0.5 * size, center + 0.5 * size], axis=-1)


def clip_boxes(boxes: tf.Tensor, sizes: tf.Tensor) -> tf.Tensor:
    """Cut boxes off at the image's border.

    Args:
        boxes: [B, ..., 4] float32 yxyx pixels.
        sizes: [B, 2] float32 (height, width) of each image without its padding, pixels; or [B, 4]
            the yxyx window that it fills, where it does not start at (0, 0).
    """
    low = tf.concat([sizes[:, :2]] * 2, axis=-1) if sizes.shape[-1] == 4 else 0.0
    limits = tf.concat([sizes[:, -2:]] * 2, axis=-1)  # [B, 4]
    for _ in range(boxes.shape.rank - 2):
        limits = tf.expand_dims(limits, 1)
        low = tf.expand_dims(low, 1) if sizes.shape[-1] == 4 else low
    return tf.minimum(tf.maximum(boxes, low), limits)


def wider_than(boxes: tf.Tensor, min_side: float) -> tf.Tensor:
    """[..., 4] boxes -> [...] float32: 1 where both sides exceed `min_side` pixels, else 0.

    Float, because TensorRT converts no casts from bool.
    """
    sides = boxes[..., 2:] - boxes[..., :2]
    return tf.where(tf.reduce_min(sides, axis=-1) > min_side, 1.0, 0.0)
