"""Keypoint head (Mask R-CNN, section 5): a heat map a keypoint, whatever the class."""

import keras
import numpy as np
import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.model.layers.mask_head import he
from tfmaskrcnn.model.layers.norm import build_stack, conv_stack
from tfmaskrcnn.ops.tensors import side


@compat.register
class KeypointHead(keras.layers.Layer):
    """RoI features -> one map of logits a keypoint, at four times the features' side."""

    def __init__(self, num_keypoints, channels=512, num_convs=8, **kwargs):
        super().__init__(**kwargs)
        self.num_keypoints, self.channels, self.num_convs = num_keypoints, channels, num_convs
        self.convs = conv_stack(num_convs, channels)
        self.logits = keras.layers.Conv2DTranspose(
            num_keypoints,
            4,
            strides=2,
            padding="same",
            kernel_initializer=he(),
            dtype="float32",
            name="logits",
        )

    def build(self, input_shape):
        """Build from the shape [B, R, S, S, C]."""
        channels = build_stack(self.convs, input_shape[4])
        self.logits.build((None, *input_shape[2:4], channels))
        self.built = True

    def call(self, features):
        """[B, R, S, S, C] RoI features -> [B, R, J, 4S, 4S] float32 logits."""
        rois, size, channels = side(features, 1), features.shape[2], features.shape[4]
        x = tf.reshape(features, [-1, size, size, channels])  # [B*R, S, S, C]
        for conv in self.convs:
            x = conv(x)
        x = tf.transpose(self.logits(x), [0, 3, 1, 2])  # [B*R, J, 2S, 2S]
        # Doubled bilinearly by two small products: TensorRT converts no ResizeBilinear.
        double = tf.constant(_doubling(2 * size))  # [4S, 2S]
        x = tf.matmul(tf.matmul(double, x), double, transpose_b=True)
        return tf.reshape(x, [-1, rois, self.num_keypoints, 4 * size, 4 * size])

    def get_config(self):
        return {
            **super().get_config(),
            "num_keypoints": self.num_keypoints,
            "channels": self.channels,
            "num_convs": self.num_convs,
        }


def _doubling(size: int) -> np.ndarray:
    """[2 size, size] weights of bilinear enlargement with half-pixel centres."""
    weights = np.zeros((2 * size, size), np.float32)
    for i in range(2 * size):
        near = i // 2
        other = min(max(near + (1 if i % 2 else -1), 0), size - 1)
        weights[i, near] += 0.75
        weights[i, other] += 0.25
    return weights
