"""ResNet of 18 to 152 layers (He et al., arXiv 1512.03385), ResNeXt (Xie et al., arXiv 1611.05431)
and wide ResNet (Zagoruyko and Komodakis, arXiv 1605.07146), without their classifiers.
"""

from typing import Dict, List, NamedTuple

import keras
import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.model.layers.norm import ConvNorm

# Blocks of res2..res5 (the paper's table 1).
BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
_STAGES = ("res2", "res3", "res4", "res5")


class Shape(NamedTuple):
    """What tells one ResNet or ResNeXt from another."""

    depth: int  # layers
    groups: int = 1  # of the bottlenecks' 3x3 convolutions (ResNeXt's cardinality)
    width: int = 64  # channels of a group in res2; twice as many in each stage after it


# The name of each in the configuration.
RESNETS = {
    **{f"resnet{depth}": Shape(depth) for depth in BLOCKS},
    "resnext50_32x4d": Shape(50, 32, 4),
    "resnext101_32x4d": Shape(101, 32, 4),
    "resnext101_32x8d": Shape(101, 32, 8),
    "resnext101_64x4d": Shape(101, 64, 4),
    "wide_resnet50_2": Shape(50, 1, 128),
    "wide_resnet101_2": Shape(101, 1, 128),
}
_STEM_CHANNELS = 64
_EXPANSION = 4  # a bottleneck's output channels over its inner ones


@compat.register
class BasicBlock(keras.layers.Layer):
    """Two 3x3 convolutions and the shortcut (figure 5, left)."""

    def __init__(self, filters, strides=1, norm="frozen_bn", epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.strides, self.norm, self.epsilon = filters, strides, norm, epsilon
        common = {"norm": norm, "epsilon": epsilon}
        self.conv1 = ConvNorm(filters, 3, strides, activation="relu", name="conv1", **common)
        self.conv2 = ConvNorm(filters, 3, name="conv2", **common)
        self.shortcut = None

    def build(self, input_shape):
        """Build the children; a shortcut convolution only where the shape changes."""
        if self.strides != 1 or input_shape[-1] != self.filters:
            self.shortcut = _shortcut(self, self.filters, input_shape)
        self.conv1.build(input_shape)
        self.conv2.build((None, None, None, self.filters))
        self.built = True

    def call(self, x, training=None):
        """[B, H, W, C] -> [B, H / strides, W / strides, filters]."""
        short = x if self.shortcut is None else self.shortcut(x, training=training)
        x = self.conv2(self.conv1(x, training=training), training=training)
        return tf.nn.relu(x + short)

    def get_config(self):
        """All arguments of the constructor."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "strides": self.strides,
            "norm": self.norm,
            "epsilon": self.epsilon,
        }


@compat.register
class Bottleneck(keras.layers.Layer):
    """1x1, 3x3 and 1x1 convolutions and the shortcut (figure 5, right).

    Four times `filters` channels come out. Inside there are `filters`, or in a ResNeXt so many that
    each of the `groups` of the 3x3 has `width` of them for every 64 filters.
    """

    def __init__(
        self,
        filters,
        strides=1,
        stride_in_1x1=True,
        norm="frozen_bn",
        epsilon=1e-5,
        groups=1,
        width=64,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.groups, self.width = groups, width
        self.inner = inner = filters * width * groups // 64
        self.filters, self.strides, self.stride_in_1x1 = filters, strides, stride_in_1x1
        self.norm, self.epsilon = norm, epsilon
        first, second = (strides, 1) if stride_in_1x1 else (1, strides)
        common = {"norm": norm, "epsilon": epsilon}
        self.conv1 = ConvNorm(inner, 1, first, activation="relu", name="conv1", **common)
        self.conv2 = ConvNorm(
            inner, 3, second, activation="relu", groups=groups, name="conv2", **common
        )
        self.conv3 = ConvNorm(_EXPANSION * filters, 1, name="conv3", **common)
        self.shortcut = None

    def build(self, input_shape):
        """Build the children; a shortcut convolution only where the shape changes."""
        out = _EXPANSION * self.filters
        if self.strides != 1 or input_shape[-1] != out:
            self.shortcut = _shortcut(self, out, input_shape)
        self.conv1.build(input_shape)
        self.conv2.build((None, None, None, self.inner))
        self.conv3.build((None, None, None, self.inner))
        self.built = True

    def call(self, x, training=None):
        """[B, H, W, C] -> [B, H / strides, W / strides, 4 * filters]."""
        short = x if self.shortcut is None else self.shortcut(x, training=training)
        x = self.conv2(self.conv1(x, training=training), training=training)
        x = self.conv3(x, training=training)
        return tf.nn.relu(x + short)

    def get_config(self):
        """All arguments of the constructor."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "strides": self.strides,
            "stride_in_1x1": self.stride_in_1x1,
            "norm": self.norm,
            "epsilon": self.epsilon,
            "groups": self.groups,
            "width": self.width,
        }


def _shortcut(block, filters, input_shape):
    layer = ConvNorm(
        filters, 1, block.strides, norm=block.norm, epsilon=block.epsilon, name="shortcut"
    )
    layer.build(input_shape)
    return layer


@compat.register
class ResNet(keras.layers.Layer):
    """Images to the outputs c2..c5 of the four stages, at strides 4, 8, 16, 32 pixels.

    Weights: `stem/...`, then `res2/0/conv1/kernel`, `res2/0/conv1/norm/gamma`,
    `res2/0/shortcut/kernel` and so on.

    Args:
        depth: 18, 34, 50, 101 or 152.
        norm: the kind of norm, see `model.layers.norm.make_norm`.
        stride_in_1x1: a stage's stride is in its first 1x1 convolution (MSRA, Detectron2's R-50)
            rather than in the 3x3 (torchvision); without effect on 18 and 34 layers.
        freeze_at: stages that are not trained: 0 none, 1 the stem, 2 the stem and res2, ...
        epsilon: of the norms.
        groups: of the 3x3 convolutions of a ResNeXt of 50 or more layers.
        width: channels of each group in res2.
        stem_pool: "symmetric", or "same" for TensorFlow's padding of the stem's max pooling.
        recompute: keep only what goes into each block and compute the rest again for the gradient.
            Not for norms with statistics of the batch, which would be updated twice.
    """

    def __init__(
        self,
        depth: int = 50,
        norm: str = "frozen_bn",
        stride_in_1x1: bool = True,
        freeze_at: int = 0,
        epsilon: float = 1e-5,
        groups: int = 1,
        width: int = 64,
        stem_pool: str = "symmetric",
        recompute: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if depth not in BLOCKS:
            raise ValueError(f"depth is {depth}; it must be one of {sorted(BLOCKS)}")
        self.depth, self.norm, self.stride_in_1x1 = depth, norm, stride_in_1x1
        self.freeze_at, self.epsilon, self.stem_pool = freeze_at, epsilon, stem_pool
        self.groups, self.width, self.recompute = groups, width, recompute
        self.stem = ConvNorm(
            _STEM_CHANNELS, 7, 2, norm=norm, epsilon=epsilon, activation="relu", name="stem"
        )
        self.res2, self.res3, self.res4, self.res5 = (self._blocks(i) for i in range(4))

    def _blocks(self, stage):
        filters = _STEM_CHANNELS * 2**stage
        blocks = []
        for i in range(BLOCKS[self.depth][stage]):
            common = {
                "strides": 2 if i == 0 and stage > 0 else 1,
                "norm": self.norm,
                "epsilon": self.epsilon,
                "name": f"{_STAGES[stage]}_{i}",
            }
            if self.depth < 50:
                blocks.append(BasicBlock(filters, **common))
            else:
                common.update(groups=self.groups, width=self.width)
                blocks.append(Bottleneck(filters, stride_in_1x1=self.stride_in_1x1, **common))
        return blocks

    @property
    def out_channels(self) -> Dict[str, int]:
        """Channels of each output, {"c2": ...}."""
        expansion = 1 if self.depth < 50 else _EXPANSION
        return {f"c{2 + i}": _STEM_CHANNELS * 2**i * expansion for i in range(4)}

    @property
    def stages(self) -> List[List[keras.layers.Layer]]:
        """The stem, and the blocks of res2 to res5."""
        return [[self.stem], *(getattr(self, name) for name in _STAGES)]

    def build(self, input_shape):
        """Build all stages for [B, H, W, 3] images and freeze the first `freeze_at`."""
        self.stem.build(input_shape)
        channels = _STEM_CHANNELS
        for name, out in zip(_STAGES, self.out_channels.values()):
            for block in getattr(self, name):
                block.build((None, None, None, channels))
                channels = out
        # After building, because Keras 3 marks only the weights that exist already.
        for layers in self.stages[: self.freeze_at]:
            for layer in layers:
                layer.trainable = False
        self.built = True

    def call(self, images, training=None):
        """[B, H, W, 3] normalised images -> {"c2": [B, ceil(H / 4), ceil(W / 4), C2], ...}."""
        x = self.stem(images, training=training)
        if self.stem_pool == "symmetric":
            # Zero padding is as good as minus infinity after a ReLU; SAME would shift even sizes.
            x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
        x = tf.nn.max_pool2d(x, 3, 2, "VALID" if self.stem_pool == "symmetric" else "SAME")
        outputs = {}
        for name in _STAGES:
            for block in getattr(self, name):
                again = self.recompute and training and block.trainable
                x = _recomputed(block, x) if again else block(x, training=training)
            outputs[f"c{name[-1]}"] = x
        return outputs

    def get_config(self):
        """All arguments of the constructor."""
        return {
            **super().get_config(),
            "depth": self.depth,
            "norm": self.norm,
            "stride_in_1x1": self.stride_in_1x1,
            "freeze_at": self.freeze_at,
            "epsilon": self.epsilon,
            "groups": self.groups,
            "width": self.width,
            "stem_pool": self.stem_pool,
            "recompute": self.recompute,
        }


def _recomputed(block, x):
    """The output of a block in training, without its inner maps being kept for the gradient."""
    return tf.recompute_grad(lambda x: block(x, training=True))(x)
