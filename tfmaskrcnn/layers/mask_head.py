"""FCN mask head (Mask R-CNN, figure 4 right)."""

import keras
import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.layers.norm import ConvNorm
from tfmaskrcnn.ops.tensors import side


def he():
    """Normal of variance 2 / fan-out, Detectron2's choice for mask head and backbone."""
    return keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")


@compat.register
class MaskHead(keras.layers.Layer):
    """RoI features -> one mask of logits a class, at twice the features' side."""

    def __init__(self, num_classes, channels=256, num_convs=4, norm="none", **kwargs):
        super().__init__(**kwargs)
        self.num_classes, self.channels, self.num_convs = num_classes, channels, num_convs
        self.norm = norm
        self.convs = [
            ConvNorm(channels, 3, norm=norm, activation="relu", name=f"conv{i + 1}")
            for i in range(num_convs)
        ]
        self.upsample = keras.layers.Conv2DTranspose(
            channels, 2, strides=2, activation="relu", kernel_initializer=he(), name="upsample"
        )
        self.logits = keras.layers.Conv2D(
            num_classes,
            1,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.001),
            dtype="float32",
            name="logits",
        )

    def build(self, input_shape):
        """Build from the shape [B, R, S, S, C]."""
        shape = (None, *input_shape[2:4])
        channels = input_shape[4]
        for conv in self.convs:
            conv.build((*shape, channels))
            channels = self.channels
        self.upsample.build((*shape, channels))
        self.logits.build((None, None, None, self.channels))
        self.built = True

    def call(self, features, training=None, valid=None):
        """[B, R, S, S, C] RoI features -> [B, R, 2S, 2S, K] float32 logits.

        RoIs that are not `valid` [B, R] bool do not count in a trained norm's statistics.
        """
        rois, size, channels = side(features, 1), features.shape[2], features.shape[4]
        x = tf.reshape(features, [-1, size, size, channels])  # [B*R, S, S, C]
        valid = None if valid is None else tf.reshape(valid, [-1])
        for conv in self.convs:
            x = conv(x, training=training, valid=valid)
        x = self.logits(self.upsample(x))  # [B*R, 2S, 2S, K]
        return tf.reshape(x, [-1, rois, 2 * size, 2 * size, self.num_classes])

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "channels": self.channels,
            "num_convs": self.num_convs,
            "norm": self.norm,
        }
