"""Box head of dense layers (FPN paper, section 4.2), or of convolutions and one dense layer
("4conv1fc", Group Normalization, section 4.2).
"""

import keras
import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.model.layers.norm import build_stack, conv_stack
from tfmaskrcnn.ops.tensors import side


def xavier():
    """Uniform of variance 1 / fan-in, Detectron2's choice for the dense layers."""
    return keras.initializers.VarianceScaling(1.0, "fan_in", "uniform")


@compat.register
class BoxHead(keras.layers.Layer):
    """RoI features -> class logits and box deltas.

    Args:
        num_classes: K, foreground only.
        hidden: units of each dense layer.
        num_fcs: 1 or 2 dense layers ...
        num_convs: ... after so many 3x3 convolutions ("4conv1fc")
        conv_channels: of so many channels,
        norm: with this kind of norm, see `model.layers.norm.make_norm`.
        class_agnostic: one box a RoI instead of one a class.
    """

    def __init__(
        self,
        num_classes,
        hidden=1024,
        num_fcs=2,
        num_convs=0,
        conv_channels=256,
        norm="none",
        class_agnostic=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if num_fcs not in (1, 2):
            raise ValueError(f"num_fcs is {num_fcs}; it must be 1 or 2")
        self.num_classes, self.hidden, self.num_fcs = num_classes, hidden, num_fcs
        self.num_convs, self.conv_channels, self.norm = num_convs, conv_channels, norm
        self.class_agnostic = class_agnostic
        self.convs = conv_stack(num_convs, conv_channels, norm)
        dense = keras.layers.Dense
        self.fc1 = dense(hidden, activation="relu", kernel_initializer=xavier(), name="fc1")
        self.fc2 = None
        if num_fcs == 2:
            self.fc2 = dense(hidden, activation="relu", kernel_initializer=xavier(), name="fc2")
        self.class_logits = dense(
            num_classes + 1,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            dtype="float32",
            name="class_logits",
        )
        self.box_deltas = dense(
            4 * self._boxes,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.001),
            dtype="float32",
            name="box_deltas",
        )

    @property
    def _boxes(self):
        return 1 if self.class_agnostic else self.num_classes

    def build(self, input_shape):
        """Build from the shape [B, R, S, S, C]."""
        _, _, rows, columns, channels = input_shape
        channels = build_stack(self.convs, channels)
        self.fc1.build((None, rows * columns * channels))
        for layer in (self.fc2, self.class_logits, self.box_deltas):
            if layer is not None:
                layer.build((None, self.hidden))
        self.built = True

    def call(self, features, training=None, valid=None):
        """[B, R, S, S, C] -> logits [B, R, K + 1], 0 background, deltas [B, R, K or 1, 4]; float32.

        RoIs that are not `valid` [B, R] bool do not count in a trained norm's statistics.
        """
        rois, height, width, channels = side(features, 1), *features.shape[2:]
        x = tf.reshape(features, [-1, height, width, channels])  # [B*R, S, S, C]
        valid = None if valid is None else tf.reshape(valid, [-1])
        for conv in self.convs:
            x = conv(x, training=training, valid=valid)
        x = self.fc1(tf.reshape(x, [-1, height * width * x.shape[-1]]))  # [B*R, hidden]
        x = x if self.fc2 is None else self.fc2(x)
        logits = tf.reshape(self.class_logits(x), [-1, rois, self.num_classes + 1])
        return logits, tf.reshape(self.box_deltas(x), [-1, rois, self._boxes, 4])

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "hidden": self.hidden,
            "num_fcs": self.num_fcs,
            "num_convs": self.num_convs,
            "conv_channels": self.conv_channels,
            "norm": self.norm,
            "class_agnostic": self.class_agnostic,
        }
