"""A TFLite network that has each part of a detector once, small enough to read."""

import numpy as np
import tensorflow as tf

from tfmaskrcnn.inference.runtimes.tflite_file import SIGNATURE

SIDE, CHANNELS, ROIS = 16, 8, 5


class _Small(tf.Module):
    """Features and a residual, scores of anchors, samples of RoIs, two dense layers, a table."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(0)

        def weights(*shape):
            return tf.constant(rng.normal(0, 0.3, shape), tf.float32)

        self.stem, self.branch = weights(3, 3, 3, CHANNELS), weights(3, 3, CHANNELS, CHANNELS)
        self.bias, self.objectness = weights(CHANNELS), weights(1, 1, CHANNELS, 1)
        self.fc, self.logits = weights(CHANNELS * 4, 6), weights(6, 4)
        self.table, self.depthwise = weights(2, 6), weights(3, 3, CHANNELS, 1)
        # A dead channel, as trained networks have some.
        self.bias += tf.constant([0.6] + [0.0] * (CHANNELS - 1))
        dead = tf.constant([1e-9] + [1.0] * (CHANNELS - 1))
        self.stem *= dead
        self.depthwise *= dead[:, None]

    @tf.function(
        autograph=False,
        input_signature=[
            tf.TensorSpec([1, SIDE, SIDE, 3], tf.float32, "images"),
            tf.TensorSpec([1, 2], tf.float32, "sizes"),
        ],
    )
    def network(self, images, sizes):
        """`objectness` [1, 16, 16, 1], `scores` [5, 4] and `row` [1, 6]."""
        stem = tf.nn.relu(tf.nn.conv2d(images, self.stem, 1, "SAME") + self.bias)
        x = tf.nn.relu(tf.nn.conv2d(stem, self.branch, 1, "SAME") + self.bias + stem)
        x = tf.nn.depthwise_conv2d(x, self.depthwise, [1, 1, 1, 1], "SAME") + self.bias
        x = tf.nn.relu(x)
        objectness = tf.nn.conv2d(x, self.objectness, 1, "SAME")
        pixels = tf.reshape(x, [-1, CHANNELS])
        first = tf.reshape(tf.range(ROIS * 16) * 2, [ROIS, 4, 4])
        share = tf.reshape(tf.sigmoid(tf.reduce_sum(sizes)) * tf.ones([ROIS]), [ROIS, 1, 1, 1])
        crops = tf.gather(pixels, first) * share + tf.gather(pixels, first + 1) * (1.0 - share)
        crops = tf.nn.avg_pool2d(crops, 2, 2, "VALID")  # [5, 2, 2, C]
        x = tf.nn.relu(tf.reshape(crops, [ROIS, -1]) @ self.fc)
        scores = tf.nn.softmax(x @ self.logits)
        return {"objectness": objectness, "scores": scores, "row": sizes @ self.table}


def small_tflite(folder) -> bytes:
    """The file in float32; `folder` is for what lies on the way."""
    module = _Small()
    tf.saved_model.save(module, str(folder), {SIGNATURE: module.network})
    return tf.lite.TFLiteConverter.from_saved_model(str(folder), [SIGNATURE]).convert()


def small_tflite_feeds(count=4):
    """Inputs of the network."""
    rng = np.random.default_rng(1)
    for _ in range(count):
        images = rng.normal(size=(1, SIDE, SIDE, 3)).astype(np.float32)
        yield {"images": images, "sizes": np.float32([[1, 0]])}
