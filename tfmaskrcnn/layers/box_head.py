"""Two-layer box head (FPN paper, section 4.2; Mask R-CNN, figure 4 right)."""

import keras
import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.layers.fpn import xavier
from tfmaskrcnn.ops.tensors import side


@compat.register
class BoxHead(keras.layers.Layer):
    """RoI features -> class logits and class-specific box deltas."""

    def __init__(self, num_classes, hidden=1024, **kwargs):
        super().__init__(**kwargs)
        self.num_classes, self.hidden = num_classes, hidden
        dense = keras.layers.Dense
        self.fc1 = dense(hidden, activation="relu", kernel_initializer=xavier(), name="fc1")
        self.fc2 = dense(hidden, activation="relu", kernel_initializer=xavier(), name="fc2")
        self.class_logits = dense(
            num_classes + 1,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            dtype="float32",
            name="class_logits",
        )
        self.box_deltas = dense(
            num_classes * 4,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.001),
            dtype="float32",
            name="box_deltas",
        )

    def build(self, input_shape):
        """Build from the shape [B, R, S, S, C]."""
        _, _, rows, columns, channels = input_shape
        self.fc1.build((None, rows * columns * channels))
        for layer in (self.fc2, self.class_logits, self.box_deltas):
            layer.build((None, self.hidden))
        self.built = True

    def call(self, features):
        """[B, R, S, S, C] -> logits [B, R, K + 1], 0 background, deltas [B, R, K, 4]; float32."""
        rois, size = side(features, 1), features.shape[2] * features.shape[3] * features.shape[4]
        x = self.fc2(self.fc1(tf.reshape(features, [-1, size])))  # [B*R, hidden]
        logits = tf.reshape(self.class_logits(x), [-1, rois, self.num_classes + 1])
        return logits, tf.reshape(self.box_deltas(x), [-1, rois, self.num_classes, 4])

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes, "hidden": self.hidden}
