"""Anchor boxes of the pyramid (Faster R-CNN, section 3.1.1; FPN, section 4.1)."""

from typing import Dict, Sequence

import numpy as np
import tensorflow as tf

from tfmaskrcnn.ops.structures import PYRAMID_LEVELS
from tfmaskrcnn.ops.tensors import side


def level_stride(level: str) -> int:
    """Stride in pixels of a pyramid level: "p2" -> 4."""
    return 2 ** int(level[1:])


def cell_anchors(
    sizes: Sequence[float],
    ratios: Sequence[float],
    whole_pixels: bool = False,
    ratio_major: bool = False,
) -> np.ndarray:
    """Anchors of one cell centred at the origin.

    Args:
        sizes: square roots of the areas, pixels.
        ratios: height / width.
        whole_pixels: round the corners, halves to even.
        ratio_major: all sizes of the first ratio come first, not all ratios of the first size.

    Returns:
        [A, 4] float32 yxyx pixels.
    """
    shapes = [(size, ratio) for size in sizes for ratio in ratios]
    if ratio_major:
        shapes = [(size, ratio) for ratio in ratios for size in sizes]
    half = [
        (0.5 * size * np.sqrt(ratio), 0.5 * size / np.sqrt(ratio)) for size, ratio in shapes
    ]  # (height, width) / 2
    cell = np.array([(-h, -w, h, w) for h, w in half], np.float32)
    return np.round(cell) if whole_pixels else cell


def level_anchors(cell: np.ndarray, height, width, stride, offset: float) -> tf.Tensor:
    """Anchors of a feature map: `cell` repeated at (i + offset) * stride.

    Args:
        cell: [A, 4] float32 from `cell_anchors`.
        height: rows of the map, int or scalar tensor; `width` its columns.
        stride: pixels a cell, (along y, along x), or one number for both.
        offset: in cells; 0 as in Detectron2, 0.5 puts anchors at the cells' centres.

    Returns:
        [height * width * A, 4] float32 yxyx pixels, ordered by row, column, then cell anchor.
    """
    stride_y, stride_x = stride if isinstance(stride, tuple) else (stride, stride)
    y = (tf.cast(tf.range(height), tf.float32) + offset) * tf.cast(stride_y, tf.float32)
    x = (tf.cast(tf.range(width), tf.float32) + offset) * tf.cast(stride_x, tf.float32)
    y, x = tf.meshgrid(y, x, indexing="ij")
    center = tf.stack([y, x, y, x], axis=-1)  # [height, width, 4]
    return tf.reshape(tf.expand_dims(center, 2) + cell, [-1, 4])


def pyramid_anchors(
    features: Dict[str, tf.Tensor],
    sizes: Sequence[Sequence[float]],
    ratios: Sequence[float],
    offset: float,
    whole_pixels: bool = False,
    stride_from_size: bool = False,
    ratio_major: bool = False,
) -> Dict[str, tf.Tensor]:
    """Anchors of each level of `features` ([B, h, w, C] maps): {"p2": [h * w * A, 4], ...}.

    The arguments are those of `AnchorConfig`. Where height and width are known when traced,
    grappler folds the anchors to constants.
    """
    anchors = {}
    first, stride = features[PYRAMID_LEVELS[0]], level_stride(PYRAMID_LEVELS[0])
    padded = stride * side(first, 1), stride * side(first, 2)
    for level, level_sizes in zip(PYRAMID_LEVELS, sizes):
        height, width = side(features[level], 1), side(features[level], 2)
        cell = cell_anchors(level_sizes, ratios, whole_pixels, ratio_major)
        stride = level_stride(level)
        if stride_from_size:
            stride = padded[0] // height, padded[1] // width
        anchors[level] = level_anchors(cell, height, width, stride, offset)
    return anchors
