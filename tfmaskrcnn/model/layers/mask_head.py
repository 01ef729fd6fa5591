"""FCN mask head (Mask R-CNN, figure 4 right)."""

import keras
import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.model.layers.norm import build_stack, conv_stack
from tfmaskrcnn.ops.tensors import one_hot, side


def he():
    """Normal of variance 2 / fan-out, Detectron2's choice for mask head and backbone."""
    return keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")


@compat.register
class MaskHead(keras.layers.Layer):
    """RoI features -> one mask of logits a class, at twice the features' side.

    `num_classes` are the channels of the logits: one more with a background, 1 for all classes.
    """

    def __init__(self, num_classes, channels=256, num_convs=4, norm="none", **kwargs):
        super().__init__(**kwargs)
        self.num_classes, self.channels, self.num_convs = num_classes, channels, num_convs
        self.norm = norm
        self.convs = conv_stack(num_convs, channels, norm)
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
        channels = build_stack(self.convs, input_shape[4])
        self.upsample.build((None, *input_shape[2:4], channels))
        self.logits.build((None, None, None, self.channels))
        self.built = True

    def call(self, features, training=None, valid=None):
        """[B, R, S, S, C] RoI features -> [B, R, 2S, 2S, K] float32 logits.

        RoIs that are not `valid` [B, R] bool do not count in a trained norm's statistics.
        """
        rois, size = side(features, 1), features.shape[2]
        x = self.logits(self._upsampled(features, training, valid))  # [B*R, S, 4S, K]
        x = _pixels_in_order(x, size, self.num_classes)
        return tf.reshape(x, [-1, rois, 2 * size, 2 * size, self.num_classes])

    def own_logits(self, features, class_index):
        """The logits of each RoI's own class alone, which is all that inference needs.

        Args:
            features: [B, R, S, S, C].
            class_index: [B, R] int32, 0..K-1; a RoI outside this range gets zeros.

        Returns:
            [B, R, 2S, 2S] float32.
        """
        with tf.name_scope(self.name):  # Keras makes one around `call` alone
            rois, size = side(features, 1), features.shape[2]
            chosen = one_hot(tf.cast(class_index, tf.float32), self.num_classes)  # [B, R, K]
            chosen = tf.reshape(chosen, [-1, self.num_classes])
            kernel, bias = (tf.convert_to_tensor(v) for v in (self.logits.kernel, self.logits.bias))
            kernel = tf.matmul(chosen, tf.reshape(kernel, [-1, self.num_classes]), transpose_b=True)
            bias = tf.matmul(chosen, tf.reshape(bias, [-1, 1]))  # [B*R, 1]
            x = tf.cast(self._upsampled(features), tf.float32)
            x = tf.reshape(x, [-1, 4 * size * size, self.channels])
            x = tf.matmul(x, tf.expand_dims(kernel, -1)) + tf.expand_dims(bias, -1)  # [B*R, 4SS, 1]
            x = _pixels_in_order(x, size, 1)
            return tf.reshape(x, [-1, rois, 2 * size, 2 * size])

    def _upsampled(self, features, training=None, valid=None):
        """[B, R, S, S, C] -> [B*R, S, 4S, C']: in place of each pixel the 2x2 that it becomes.

        A transposed convolution of side and stride 2 is a 1x1 convolution to four times the
        channels: unlike the other, it is fused with bias and ReLU, and the pixels need no moving
        before the logits are made of them.
        """
        size, channels = features.shape[2], features.shape[4]
        x = tf.reshape(features, [-1, size, size, channels])  # [B*R, S, S, C]
        valid = None if valid is None else tf.reshape(valid, [-1])
        for conv in self.convs:
            x = conv(x, training=training, valid=valid)
        kernel, bias = (tf.convert_to_tensor(v) for v in (self.upsample.kernel, self.upsample.bias))
        kernel = tf.transpose(tf.cast(kernel, x.dtype), [3, 0, 1, 2])  # [C, 2, 2, C']
        kernel = tf.reshape(kernel, [1, 1, x.shape[3], 4 * self.channels])
        bias = tf.tile(tf.cast(bias, x.dtype), [4])
        x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias))
        return tf.reshape(x, [-1, size, 4 * size, self.channels])

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "channels": self.channels,
            "num_convs": self.num_convs,
            "norm": self.norm,
        }


def _pixels_in_order(x, size, channels):
    """Rows of 2x2 blocks [N, ...], in the order of `_upsampled` -> maps [N, 2S, 2S, channels]."""
    x = tf.reshape(x, [-1, size, 2, 2 * channels])  # [N*S, S, two rows, two columns]
    return tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [-1, 2 * size, 2 * size, channels])
