"""All levels of a pyramid side by side in one canvas, from which heads read their RoIs.

One canvas makes a head's reading ONE operation for all RoIs of all levels, with static shapes.
"""

from typing import Dict, NamedTuple, Sequence, Tuple

import tensorflow as tf

from tfmaskrcnn.ops.anchors import level_stride
from tfmaskrcnn.ops.structures import ROI_LEVELS
from tfmaskrcnn.ops.tensors import one_hot
from tfmaskrcnn.ops.tensors import side as length

# Zero pixels around each level's padded edge, so that a coordinate rounded over the canvas's border
# is interpolated with a weight of 1e-5 and does not become an extrapolated zero.
MARGIN = 1


class Atlas(NamedTuple):
    """All RoI levels of a batch in one canvas."""

    canvas: tf.Tensor  # [B, Ha, Wa, C] float32
    # [L, 5] float32 for each level: row and column of its first (padded) pixel in the canvas, its
    # height and width, and its stride in input pixels.
    layout: tf.Tensor
    inference: bool = False  # nothing is differentiated


def build_atlas(
    features: Dict[str, tf.Tensor], levels: Sequence[str] = ROI_LEVELS, inference: bool = False
) -> Atlas:
    """Lay the levels of a pyramid side by side: the first at the left, the others in a column.

    Args:
        features: [B, h, w, C] maps by level name.
        levels: which of them, in the order of increasing stride.
        inference: no gradient is wanted. Then levels are padded by concatenation, which TensorRT
            converts and which is faster forward; the other way's gradient is faster.
    """
    pad = _edge_pad_by_concat if inference else _edge_pad
    maps = [pad(tf.cast(features[level], tf.float32)) for level in levels]  # [B, h + 2, w + 2, C]
    sizes = [(length(m, 1), length(m, 2)) for m in maps]
    widest = sizes[1][1] if len(maps) > 1 else 0
    columns = [maps[:1], [_fill(m, s[0] + MARGIN, widest) for m, s in zip(maps[1:], sizes[1:])]]
    tops, top = [MARGIN], MARGIN
    for height, _ in sizes[1:]:
        tops.append(top)
        top += height + MARGIN
    height = _larger(sizes[0][0] + 2 * MARGIN, top)
    canvas = [_column(column, height) for column in columns if column]
    lefts = [MARGIN] + [sizes[0][1] + 3 * MARGIN] * (len(maps) - 1)
    layout = [
        (top, left, h - 2, w - 2, level_stride(level))
        for top, left, (h, w), level in zip(tops, lefts, sizes, levels)
    ]
    layout = tf.stack([tf.stack([tf.cast(v, tf.float32) for v in row]) for row in layout])
    return Atlas(tf.concat(canvas, axis=2), layout, inference)


def level_places(atlas: Atlas, level: tf.Tensor) -> Tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Where the rows `level` [B, R] float32 of the layout lie in the canvas.

    Returns:
        Row and column of the first padded pixel [B, R, 2], height and width [B, R, 2], and stride
        in input pixels [B, R, 1]; float32.
    """
    # Picks rows by a sum: a gather needs a cast, and a matmul may round to TF32.
    is_level = one_hot(level, atlas.layout.shape[0])  # [B, R, L]
    place = tf.reduce_sum(tf.expand_dims(is_level, -1) * atlas.layout, axis=2)  # [B, R, 5]
    return place[..., 0:2], place[..., 2:4], place[..., 4:5]


def _edge_pad(features):
    return tf.pad(features, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="SYMMETRIC")


def _edge_pad_by_concat(features):
    features = tf.concat([features[:, :1], features, features[:, -1:]], axis=1)
    return tf.concat([features[:, :, :1], features, features[:, :, -1:]], axis=2)


def _fill(features, height, width):
    """Zeros behind and below, up to `height` x `width`."""
    below, behind = height - length(features, 1), width - length(features, 2)
    return tf.pad(features, [[0, 0], [0, below], [0, behind], [0, 0]])


def _column(maps, height):
    """Maps of one width, one below the other, with margins around, filled up to `height`."""
    column = tf.concat(maps, axis=1) if len(maps) > 1 else maps[0]
    below = height - MARGIN - length(column, 1)
    # One pad: each is a copy of a map of 62 MB.
    return tf.pad(column, [[0, 0], [MARGIN, below], [MARGIN, MARGIN], [0, 0]])


def _larger(a, b):
    return max(a, b) if isinstance(a, int) and isinstance(b, int) else tf.maximum(a, b)
