"""Region proposal head (Faster R-CNN, section 3.1), shared by all pyramid levels."""

from typing import Dict

import keras
import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.ops.structures import PYRAMID_LEVELS
from tfmaskrcnn.ops.tensors import side


def _normal(stddev):
    return keras.initializers.RandomNormal(stddev=stddev)


@compat.register
class RpnHead(keras.layers.Layer):
    """3x3 convolutions, then objectness and deltas of each anchor by 1x1 convolutions."""

    def __init__(self, num_anchors=3, channels=256, num_convs=1, **kwargs):
        super().__init__(**kwargs)
        self.num_anchors, self.channels, self.num_convs = num_anchors, channels, num_convs
        conv = keras.layers.Conv2D
        self.convs = [
            conv(
                channels,
                3,
                padding="same",
                activation="relu",
                kernel_initializer=_normal(0.01),
                name=f"conv{i + 1}",
            )
            for i in range(num_convs)
        ]
        self.objectness = conv(
            num_anchors, 1, kernel_initializer=_normal(0.01), dtype="float32", name="objectness"
        )
        self.deltas = conv(
            4 * num_anchors, 1, kernel_initializer=_normal(0.01), dtype="float32", name="deltas"
        )

    def build(self, input_shape):
        """Build from the shape [B, h, w, C] of any level."""
        channels = input_shape[-1]
        for conv in self.convs:
            conv.build((None, None, None, channels))
            channels = self.channels
        self.objectness.build((None, None, None, self.channels))
        self.deltas.build((None, None, None, self.channels))
        self.built = True

    def call(self, features):
        """[B, h, w, C] -> objectness logits [B, h*w*A] and deltas [B, h*w*A, 4], float32.

        Rows are ordered as `ops.anchors.level_anchors`: by row, column, then cell anchor; deltas
        are (dy, dx, dh, dw).
        """
        x = features
        for conv in self.convs:
            x = conv(x)
        rows = side(x, 1) * side(x, 2) * self.num_anchors
        batch = side(x, 0)
        logits = tf.reshape(self.objectness(x), [batch, rows])
        return logits, tf.reshape(self.deltas(x), [batch, rows, 4])

    def at(self, pyramid: Dict[str, tf.Tensor], index: tf.Tensor):
        """What `call` says of a few anchors, computed from the pixels around them alone.

        A loss that looks at 256 anchors of an image has a gradient that is 0 nearly everywhere; the
        way back through `call` would take it through every pixel of every level.

        Args:
            pyramid: all levels, {"p2": [B, h, w, C], ...}.
            index: [B, n] int32, rows of `RpnOutput.all_levels`.

        Returns:
            Logits [B, n] and deltas [B, n, 4], float32, equal to those of `call` but for rounding.
        """
        batch, count = side(index, 0), side(index, 1)
        x, inside = _surroundings(pyramid, index // self.num_anchors, self.num_convs)
        for conv in self.convs:
            x = tf.cast(x, conv.compute_dtype)
            kernel, bias = (tf.convert_to_tensor(v) for v in (conv.kernel, conv.bias))
            x = tf.nn.conv2d(x, tf.cast(kernel, x.dtype), 1, "VALID")
            inside = inside[:, 1:-1, 1:-1]
            x = tf.nn.relu(tf.nn.bias_add(x, tf.cast(bias, x.dtype))) * tf.cast(inside, x.dtype)
        own = tf.one_hot(index % self.num_anchors, self.num_anchors)  # [B, n, A]
        logits = tf.reshape(self.objectness(x), [batch, count, self.num_anchors])
        deltas = tf.reshape(self.deltas(x), [batch, count, self.num_anchors, 4])
        return (
            tf.reduce_sum(logits * own, axis=2),
            tf.reduce_sum(deltas * own[..., tf.newaxis], axis=2),
        )

    def get_config(self):
        return {
            **super().get_config(),
            "num_anchors": self.num_anchors,
            "channels": self.channels,
            "num_convs": self.num_convs,
        }


def _surroundings(pyramid: Dict[str, tf.Tensor], cell: tf.Tensor, reach: int):
    """The pixels up to `reach` away from some cells, zeros beyond the border of their level.

    Args:
        pyramid: all levels, [B, h, w, C].
        cell: [B, n] int32, which pixel of all levels, one after another.

    Returns:
        Pixels [B * n, T, T, C], T = 2 reach + 1, and [B * n, T, T, 1] float32, 1 inside a level.
    """
    shifts = tf.range(-reach, reach + 1)
    batch = side(cell, 0)
    found, inside = 0.0, 0.0
    for level in PYRAMID_LEVELS:
        features = pyramid[level]
        height, width = side(features, 1), side(features, 2)
        row = (cell // width)[:, :, tf.newaxis, tf.newaxis] + shifts[:, tf.newaxis]
        column = (cell % width)[:, :, tf.newaxis, tf.newaxis] + shifts  # [B, n, 1, T]
        here = (cell >= 0) & (cell < height * width)
        here = here[:, :, tf.newaxis, tf.newaxis]
        here &= (row >= 0) & (row < height) & (column >= 0) & (column < width)  # [B, n, T, T]
        image = tf.reshape(tf.range(batch), [-1, 1, 1, 1]) * (height * width)
        place = tf.where(here, image + row * width + column, 0)
        pixels = tf.gather(tf.reshape(features, [-1, features.shape[3]]), place)
        here = here[..., tf.newaxis]
        found += tf.where(here, pixels, tf.zeros([], pixels.dtype))
        inside += tf.cast(here, tf.float32)
        cell -= height * width
    size = 2 * reach + 1
    return (
        tf.reshape(found, [-1, size, size, found.shape[4]]),
        tf.reshape(inside, [-1, size, size, 1]),
    )
