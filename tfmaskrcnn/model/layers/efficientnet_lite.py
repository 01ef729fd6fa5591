"""EfficientNet-Lite 0 to 2 without the classifier: EfficientNet (Tan and Le, arXiv 1905.11946) with
ReLU6 for swish and without squeeze-and-excitation, made for quantised inference on small devices.
"""

import math
from typing import Dict, Iterator, List, Tuple

import keras

from tfmaskrcnn import compat
from tfmaskrcnn.model.layers.norm import ConvNorm

# (width, depth) factors of each variant as published with the TPU models.
_SCALES = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}
# (blocks, kernel size, stride, expansion, filters) of each stage before scaling (B0's table 1).
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM_CHANNELS = 32  # the same in all Lite variants
# The last stage of each stride: its output is c2..c5.
_TAPS = {2: "c2", 3: "c3", 5: "c4", 7: "c5"}


@compat.register
class InvertedResidual(keras.layers.Layer):
    """1x1 expansion, depthwise convolution, linear 1x1 projection (MobileNetV2), and a residual.

    Args:
        filters: output channels.
        kernel_size: of the depthwise convolution.
        strides: of the depthwise convolution.
        expansion: its channels over the input channels; 1 leaves the first convolution out.
        norm: "frozen_bn", "bn" or "sync_bn".
        epsilon: of the norms.
    """

    def __init__(
        self, filters, kernel_size, strides=1, expansion=6, norm="frozen_bn", epsilon=1e-3, **kwargs
    ):
        super().__init__(**kwargs)
        self.filters, self.kernel_size, self.strides = filters, kernel_size, strides
        self.expansion, self.norm, self.epsilon = expansion, norm, epsilon
        common = {"norm": norm, "epsilon": epsilon}
        self.expand = None  # its channels depend on the input's, see build
        self.depthwise = ConvNorm(
            None,
            kernel_size,
            strides,
            activation="relu6",
            padding="same",
            depthwise=True,
            name="depthwise",
            **common,
        )
        self.project = ConvNorm(filters, 1, name="project", **common)
        self.residual = False

    def build(self, input_shape):
        """Build the children for [B, H, W, C] inputs; only C counts."""
        inner = self.expansion * input_shape[-1]
        if self.expansion != 1:
            self.expand = ConvNorm(
                inner,
                1,
                norm=self.norm,
                epsilon=self.epsilon,
                activation="relu6",
                name="expand",
            )
            self.expand.build(input_shape)
        self.depthwise.build((None, None, None, inner))
        self.project.build((None, None, None, inner))
        self.residual = self.strides == 1 and input_shape[-1] == self.filters
        self.built = True

    def call(self, x, training=None):
        """[B, H, W, C] -> [B, ceil(H / strides), ceil(W / strides), filters]."""
        y = x if self.expand is None else self.expand(x, training=training)
        y = self.project(self.depthwise(y, training=training), training=training)
        return x + y if self.residual else y

    def get_config(self):
        """All arguments of the constructor."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "expansion": self.expansion,
            "norm": self.norm,
            "epsilon": self.epsilon,
        }


@compat.register
class EfficientNetLite(keras.layers.Layer):
    """Images to the outputs c2..c5 of stages 2, 3, 5 and 7, at strides 4, 8, 16, 32 pixels.

    Weights: `stem/...`, then `stage1/0/depthwise/kernel`, `stage2/0/expand/norm/gamma` and so on.
    Padding is TensorFlow's SAME, which the published weights were trained with on images of even
    sides; an odd side shifts the sampling of each strided convolution by one of its input pixels.

    Args:
        variant: 0, 1 or 2.
        norm: "frozen_bn", "bn" or "sync_bn".
        freeze_at: what is not trained: 0 nothing, 1 the stem, 2 all up to c2, 3 up to c3, ...
        epsilon: of the norms.
    """

    def __init__(
        self,
        variant: int = 0,
        norm: str = "frozen_bn",
        freeze_at: int = 0,
        epsilon: float = 1e-3,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if variant not in _SCALES:
            raise ValueError(f"variant is {variant}; it must be one of {sorted(_SCALES)}")
        self.variant, self.norm = variant, norm
        self.freeze_at, self.epsilon = freeze_at, epsilon
        self.stem = ConvNorm(
            _STEM_CHANNELS,
            3,
            2,
            norm=norm,
            epsilon=epsilon,
            activation="relu6",
            padding="same",
            name="stem",
        )
        for number in range(1, len(_STAGES) + 1):
            setattr(self, f"stage{number}", self._blocks(number))

    def _blocks(self, number):
        _, kernel_size, strides, expansion, _ = _STAGES[number - 1]
        return [
            InvertedResidual(
                self._filters(number),
                kernel_size,
                strides if i == 0 else 1,
                expansion,
                norm=self.norm,
                epsilon=self.epsilon,
                name=f"stage{number}_{i}",
            )
            for i in range(self._repeats(number))
        ]

    def _repeats(self, number):
        repeats = _STAGES[number - 1][0]
        if number in (1, len(_STAGES)):  # Lite keeps the first and the last stage as they are
            return repeats
        return math.ceil(repeats * _SCALES[self.variant][1])

    def _filters(self, number):
        wanted = _STAGES[number - 1][4] * _SCALES[self.variant][0]
        rounded = int(wanted + 4) // 8 * 8  # to the nearest multiple of 8 ...
        return rounded if rounded >= 0.9 * wanted else rounded + 8  # ... at most a tenth less

    def named_blocks(self) -> Iterator[Tuple[str, InvertedResidual]]:
        """All blocks in order, each with its attribute path such as "stage2/0"."""
        for number in range(1, len(_STAGES) + 1):
            for i, block in enumerate(getattr(self, f"stage{number}")):
                yield f"stage{number}/{i}", block

    @property
    def out_channels(self) -> Dict[str, int]:
        """Channels of each output, {"c2": ...}."""
        return {tap: self._filters(number) for number, tap in _TAPS.items()}

    @property
    def stages(self) -> List[List[keras.layers.Layer]]:
        """The stem, and what lies between two outputs: the blocks of c2 to c5."""
        stages, blocks = [[self.stem]], []
        for number in range(1, len(_STAGES) + 1):
            blocks += getattr(self, f"stage{number}")
            if number in _TAPS:
                stages.append(blocks)
                blocks = []
        return stages

    def build(self, input_shape):
        """Build all stages for [B, H, W, 3] images and freeze the first `freeze_at`."""
        self.stem.build(input_shape)
        channels = _STEM_CHANNELS
        for _, block in self.named_blocks():
            block.build((None, None, None, channels))
            channels = block.filters
        # After building, because Keras 3 marks only the weights that exist already.
        for layers in self.stages[: self.freeze_at]:
            for layer in layers:
                layer.trainable = False
        self.built = True

    def call(self, images, training=None):
        """[B, H, W, 3] normalised images -> {"c2": [B, ceil(H / 4), ceil(W / 4), C2], ...}."""
        x = self.stem(images, training=training)
        outputs = {}
        for number in range(1, len(_STAGES) + 1):
            for block in getattr(self, f"stage{number}"):
                x = block(x, training=training)
            if number in _TAPS:
                outputs[_TAPS[number]] = x
        return outputs

    def get_config(self):
        """All arguments of the constructor."""
        return {
            **super().get_config(),
            "variant": self.variant,
            "norm": self.norm,
            "freeze_at": self.freeze_at,
            "epsilon": self.epsilon,
        }
