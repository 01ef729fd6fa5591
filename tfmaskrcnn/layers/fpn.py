"""Feature pyramid network (Lin et al., arXiv 1612.03144, section 3)."""

import keras
import tensorflow as tf

from tfmaskrcnn import compat

LEVELS = (2, 3, 4, 5)


def xavier():
    """Uniform of variance 1 / fan-in, Detectron2's choice for FPN and box head."""
    return keras.initializers.VarianceScaling(1.0, "fan_in", "uniform")


@compat.register
class Fpn(keras.layers.Layer):
    """Backbone maps {"c2", ..., "c5"} -> pyramid {"p2", ..., "p6"} of one channel count.

    Sides must be multiples of the stride of c5, so that each map is twice the next one's size.
    """

    def __init__(self, channels=256, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        conv = keras.layers.Conv2D
        self.laterals = [
            conv(channels, 1, kernel_initializer=xavier(), name=f"lateral{i}") for i in LEVELS
        ]
        self.output_convs = [
            conv(channels, 3, padding="same", kernel_initializer=xavier(), name=f"output{i}")
            for i in LEVELS
        ]

    def build(self, input_shape):
        """Build from the shapes {"c2": [B, h, w, C], ...}."""
        for level, lateral, output in zip(LEVELS, self.laterals, self.output_convs):
            lateral.build((None, None, None, input_shape[f"c{level}"][-1]))
            output.build((None, None, None, self.channels))
        self.built = True

    def call(self, features):
        """{"c2": [B, H/4, W/4, C2], ...} -> {"p2": [B, H/4, W/4, C], ..., "p6": half of p5}."""
        pyramid, top = {}, None
        for level, lateral, output in reversed(list(zip(LEVELS, self.laterals, self.output_convs))):
            merged = lateral(features[f"c{level}"])
            if top is not None:
                merged += tf.repeat(tf.repeat(top, 2, axis=1), 2, axis=2)  # nearest neighbour
            pyramid[f"p{level}"] = output(merged)
            top = merged
        pyramid["p6"] = pyramid["p5"][:, ::2, ::2]  # max pooling of size 1 and stride 2
        return pyramid

    def get_config(self):
        return {**super().get_config(), "channels": self.channels}
