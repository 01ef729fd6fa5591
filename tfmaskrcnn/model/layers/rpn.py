"""Region proposal head (Faster R-CNN, section 3.1), shared by all pyramid levels."""

import keras
import tensorflow as tf

from tfmaskrcnn import compat
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

    def get_config(self):
        return {
            **super().get_config(),
            "num_anchors": self.num_anchors,
            "channels": self.channels,
            "num_convs": self.num_convs,
        }
