"""Anchor boxes of the pyramid (Faster R-CNN, section 3.1.1; FPN, section 4.1)."""

from typing import Dict, Sequence

import numpy as np
import tensorflow as tf

from tfmaskrcnn.ops.tensors import side
from tfmaskrcnn.structures import PYRAMID_LEVELS


def level_stride(level: str) -> int:
    """Stride in pixels of a pyramid level: "p2" -> 4."""
    return 2 ** int(level[1:])


def cell_anchors(sizes: Sequence[float], ratios: Sequence[float]) -> np.ndarray:
    """Anchors of one cell centred at the origin.

    Args:
        sizes: square roots of the areas, pixels.
        ratios: height / width.

    Returns:
        [A, 4] float32 yxyx pixels, all ratios of the first size first.
    """
    half = [
        (0.5 * size * np.sqrt(ratio), 0.5 * size / np.sqrt(ratio))
        for size in sizes
        for ratio in ratios
    ]  # (height, width) / 2
    return np.array([(-h, -w, h, w) for h, w in half], np.float32)


def level_anchors(cell: np.ndarray, height, width, stride: int, offset: float) -> tf.Tensor:
    """Anchors of a feature map: `cell` repeated at (i + offset) * stride.

    Args:
        cell: [A, 4] float32 from `cell_anchors`.
        height: rows of the map, int or scalar tensor; `width` its columns.
        stride: pixels a cell.
        offset: in cells; 0 as in Detectron2, 0.5 puts anchors at the cells' centres.

    Returns:
        [height * width * A, 4] float32 yxyx pixels, ordered by row, column, then cell anchor.
    """
    y = (tf.cast(tf.range(height), tf.float32) + offset) * stride
    x = (tf.cast(tf.range(width), tf.float32) + offset) * stride
    y, x = tf.meshgrid(y, x, indexing="ij")
    center = tf.stack([y, x, y, x], axis=-1)  # [height, width, 4]
    return tf.reshape(tf.expand_dims(center, 2) + cell, [-1, 4])


def pyramid_anchors(
    features: Dict[str, tf.Tensor],
    sizes: Sequence[Sequence[float]],
    ratios: Sequence[float],
    offset: float,
) -> Dict[str, tf.Tensor]:
    """Anchors of each level of `features` ([B, h, w, C] maps): {"p2": [h * w * A, 4], ...}.

    Where height and width are known when traced, grappler folds the anchors to constants.
    """
    anchors = {}
    for level, level_sizes in zip(PYRAMID_LEVELS, sizes):
        height, width = side(features[level], 1), side(features[level], 2)
        cell = cell_anchors(level_sizes, ratios)
        anchors[level] = level_anchors(cell, height, width, level_stride(level), offset)
    return anchors
