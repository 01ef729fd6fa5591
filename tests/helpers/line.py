"""The smallest `TrainableModel` there is, where a network would only take time."""

import keras
import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.model.fit import TrainableModel
from tfmaskrcnn.model.losses import LossTerm

BATCH = {
    "image": tf.constant([[1.0, 2.0], [3.0, -1.0], [0.5, 0.0], [2.0, 2.0]]),
    "image_id": tf.range(4, dtype=tf.int64),
}


@compat.register
class Line(TrainableModel):
    """One dense layer whose output is to be 1; it computes in the global precision."""

    def __init__(self, units: int = 1, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.dense = keras.layers.Dense(units)
        self.track_losses(["square"])
        self.dense.build((None, 2))
        self.built = True

    def call(self, x):
        return self.dense(x)

    def loss_terms(self, batch, training):
        found = tf.cast(self(batch["image"]), tf.float32)
        count = tf.cast(tf.shape(found)[0], tf.float32)
        return {"square": LossTerm(tf.reduce_sum((found - 1.0) ** 2), count)}
