"""Feature pyramid network (Lin et al., arXiv 1612.03144, section 3)."""

import keras
import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.model.layers.norm import ConvNorm

LEVELS = (2, 3, 4, 5)


@compat.register
class Fpn(keras.layers.Layer):
    """Backbone maps {"c2", ..., "c5"} -> pyramid {"p2", ..., "p6"} of one channel count.

    Sides must be multiples of the stride of c5, so that each map is twice the next one's size.
    `norm` is of a kind of `model.layers.norm.make_norm`; nowhere is there an activation.
    """

    def __init__(self, channels=256, norm="none", **kwargs):
        super().__init__(**kwargs)
        self.channels, self.norm = channels, norm
        common = {"norm": norm, "initializer": "xavier"}
        self.laterals = [ConvNorm(channels, 1, name=f"lateral{i}", **common) for i in LEVELS]
        self.output_convs = [ConvNorm(channels, 3, name=f"output{i}", **common) for i in LEVELS]

    def build(self, input_shape):
        """Build from the shapes {"c2": [B, h, w, C], ...}."""
        for level, lateral, output in zip(LEVELS, self.laterals, self.output_convs):
            lateral.build((None, None, None, input_shape[f"c{level}"][-1]))
            output.build((None, None, None, self.channels))
        self.built = True

    def call(self, features, training=None):
        """{"c2": [B, H/4, W/4, C2], ...} -> {"p2": [B, H/4, W/4, C], ..., "p6": half of p5}."""
        pyramid, top = {}, None
        for level, lateral, output in reversed(list(zip(LEVELS, self.laterals, self.output_convs))):
            merged = lateral(features[f"c{level}"], training=training)
            if top is not None:
                merged += tf.repeat(tf.repeat(top, 2, axis=1), 2, axis=2)  # nearest neighbour
            pyramid[f"p{level}"] = output(merged, training=training)
            top = merged
        pyramid["p6"] = pyramid["p5"][:, ::2, ::2]  # max pooling of size 1 and stride 2
        return pyramid

    def get_config(self):
        return {**super().get_config(), "channels": self.channels, "norm": self.norm}
