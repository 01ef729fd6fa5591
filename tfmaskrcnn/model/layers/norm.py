"""Normalisation, and the convolution that it is folded into.

Inference of batch normalisation is one multiplication and one addition a channel, so both go into
the convolution: y = conv(x, kernel * scale) + shift. That leaves Conv2D + BiasAdd + ReLU, which
grappler and TensorRT fuse in every precision, whereas Conv2D + FusedBatchNorm + ReLU is fused in
float32 alone. ResNet bottlenecks on a CPU, milliseconds: bfloat16 151 against 170, float32 94
against 95; a frozen norm also needs no gradient of its own.
"""

from typing import List, Optional, Sequence

import keras
import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.model.layers.trained_norms import BatchNorm, GroupNorm
from tfmaskrcnn.ops.convolution import conv2d

# Keras' default of 0.99 needs hundreds of steps to forget its initial values; a short fine-tuning
# run on small batches has to follow within tens. PyTorch's default "momentum 0.1" is the same.
BN_MOMENTUM = 0.9

NORM_KINDS = ("none", "frozen_bn", "bn", "sync_bn", "gn")
# Scale, mode and distribution of variance scaling. "he" keeps the variance of the gradient through
# a ReLU (He et al. 2015, equation 14); "xavier" is Detectron2's choice for the FPN.
_INITIALIZERS = {
    "he": (2.0, "fan_out", "untruncated_normal"),
    "xavier": (1.0, "fan_in", "uniform"),
}
_ACTIVATIONS = {None: tf.identity, "relu": tf.nn.relu, "relu6": tf.nn.relu6}


@compat.register
class FrozenBatchNorm(keras.layers.Layer):
    """Batch normalisation with fixed statistics and a fixed affine map.

    Its four vectors are never trained nor updated, whatever `training` says, and are read in
    float32 under any precision policy.
    """

    def __init__(self, epsilon: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape):
        """Create the vectors for [..., C] inputs."""
        for name, initializer in (
            ("gamma", "ones"),
            ("beta", "zeros"),
            ("moving_mean", "zeros"),
            ("moving_variance", "ones"),
        ):
            variable = self.add_weight(
                name=name,
                shape=(input_shape[-1],),
                initializer=initializer,
                trainable=False,
                dtype="float32",
                **compat.NO_AUTOCAST,
            )
            setattr(self, name, variable)
        self.built = True

    def call(self, x):
        """[..., C] -> [..., C] of the same type, normalised."""
        scale, shift = scale_and_shift(self)
        return x * tf.cast(scale, x.dtype) + tf.cast(shift, x.dtype)

    def get_config(self):
        """All arguments of the constructor."""
        return {**super().get_config(), "epsilon": self.epsilon}


def make_norm(
    kind: str, epsilon: float = 1e-5, name: Optional[str] = None
) -> Optional[keras.layers.Layer]:
    """A norm layer. The three kinds of batch normalisation have the same four weights.

    Args:
        kind: "none"; "frozen_bn"; "bn" for batch normalisation that is trained, over the
            batches of all replicas together, and so is "sync_bn"; "gn" for group norm of 32 groups.
        epsilon: added to the variance.
        name: of the layer.
    """
    if kind == "none":
        return None
    if kind == "frozen_bn":
        return FrozenBatchNorm(epsilon, name=name)
    if kind in ("bn", "sync_bn"):
        return BatchNorm(
            momentum=BN_MOMENTUM, epsilon=epsilon, synchronized=kind == "sync_bn", name=name
        )
    if kind == "gn":
        return GroupNorm(epsilon=epsilon, name=name)
    raise ValueError(f"norm is {kind!r}; it must be one of {', '.join(NORM_KINDS)}")


def scale_and_shift(norm: keras.layers.Layer):
    """[C] scale and [C] shift, float32, that a norm in inference mode multiplies with and adds."""
    gamma, beta, mean, variance = (
        tf.cast(tf.convert_to_tensor(vector), tf.float32)
        for vector in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
    )
    scale = gamma * tf.math.rsqrt(variance + norm.epsilon)
    return scale, beta - mean * scale


@compat.register
class ConvNorm(keras.layers.Layer):
    """Convolution, then a norm, then an activation: weights `kernel` and `norm/...`.

    Without a norm the convolution has a bias: `kernel` and `bias`.

    Args:
        filters: output channels C'; ignored when `depthwise`.
        kernel_size: side of the kernel, odd.
        strides: of both axes.
        norm: the kind of norm, see `make_norm`.
        epsilon: of the norm.
        activation: None, "relu" or "relu6".
        padding: "symmetric" puts kernel_size // 2 zeros on every side as PyTorch and Caffe do;
            "same" is TensorFlow's rule, which pads an even input at the bottom and right only.
        depthwise: filter each channel by itself.
        groups: of channels; each group of outputs reads one group of inputs alone (ResNeXt).
        initializer: of the kernel, a key of `_INITIALIZERS`.
    """

    def __init__(
        self,
        filters: Optional[int],
        kernel_size: int,
        strides: int = 1,
        norm: str = "frozen_bn",
        epsilon: float = 1e-5,
        activation: Optional[str] = None,
        padding: str = "symmetric",
        depthwise: bool = False,
        groups: int = 1,
        initializer: str = "he",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if padding not in ("symmetric", "same"):
            raise ValueError(f"padding is {padding!r}; it must be 'symmetric' or 'same'")
        if activation not in _ACTIVATIONS:
            raise ValueError(f"activation is {activation!r}; it must be one of {[*_ACTIVATIONS]}")
        self.filters, self.kernel_size, self.strides = filters, kernel_size, strides
        self.norm_kind, self.epsilon, self.activation = norm, epsilon, activation
        self.padding, self.depthwise = padding, depthwise
        self.groups, self.initializer = groups, initializer
        self.norm = make_norm(norm, epsilon, name="norm")

    def build(self, input_shape):
        """Create the weights for [B, H, W, C] inputs; only C counts."""
        side, channels = self.kernel_size, input_shape[-1]
        if channels % self.groups or (self.filters or 0) % self.groups:
            raise ValueError(
                f"{channels} and {self.filters} channels do not divide into {self.groups} groups"
            )
        out = (channels, 1) if self.depthwise else (channels // self.groups, self.filters)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(side, side, *out),
            initializer=keras.initializers.VarianceScaling(*_INITIALIZERS[self.initializer]),
            dtype="float32",
            **compat.NO_AUTOCAST,
        )
        channels = channels if self.depthwise else self.filters
        if self.norm is not None:
            self.norm.build((None, None, None, channels))
        else:
            self.bias = self.add_weight(
                name="bias",
                shape=(channels,),
                initializer="zeros",
                dtype="float32",
                **compat.NO_AUTOCAST,
            )
        self.built = True

    def call(self, x, training=None, valid: Optional[tf.Tensor] = None):
        """[B, H, W, C] -> [B, ceil(H / strides), ceil(W / strides), C'].

        Images that are not `valid` [B] bool do not count in the statistics of a batch.
        """
        activate = _ACTIVATIONS[self.activation]
        kernel = tf.convert_to_tensor(self.kernel)  # [side, side, C, C'] float32
        if self.norm_kind == "gn":
            return activate(self.norm(self._convolve(x, tf.cast(kernel, x.dtype))))
        if training and isinstance(self.norm, BatchNorm) and self.norm.trainable:
            x = self._convolve(x, tf.cast(kernel, x.dtype))
            return activate(self.norm(x, training=True, valid=valid))
        if self.norm is None:
            shift = tf.convert_to_tensor(self.bias)
        else:
            scale, shift = scale_and_shift(self.norm)
            # In float32, and rounded once below.
            kernel *= scale[:, None] if self.depthwise else scale
        x = self._convolve(x, tf.cast(kernel, x.dtype))
        return activate(tf.nn.bias_add(x, tf.cast(shift, x.dtype)))

    def _convolve(self, x, kernel):
        strides, padding = self.strides, "SAME"
        if self.kernel_size == 1:
            # The gradient of a strided 1x1 convolution of one image corrupts the heap (oneDNN,
            # TensorFlow 2.15 to 2.21 on a CPU). Dropping the unread pixels first is the same; a
            # pooling of single pixels does it in 4 ms where a strided slice takes 46.
            x = tf.nn.avg_pool2d(x, 1, strides, "VALID") if strides > 1 else x
            strides = 1
        elif self.padding == "symmetric" and strides > 1:  # for stride 1 SAME pads just so
            # A pad of its own: TF-TRT does not convert the explicit padding of Conv2D.
            side = [self.kernel_size // 2] * 2
            x, padding = tf.pad(x, [[0, 0], side, side, [0, 0]]), "VALID"
        if self.depthwise:
            return tf.nn.depthwise_conv2d(x, kernel, [1, strides, strides, 1], padding)
        return conv2d(x, kernel, strides, padding)

    def get_config(self):
        """All arguments of the constructor."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "norm": self.norm_kind,
            "epsilon": self.epsilon,
            "activation": self.activation,
            "padding": self.padding,
            "depthwise": self.depthwise,
            "groups": self.groups,
            "initializer": self.initializer,
        }


def conv_stack(num_convs: int, channels: int, norm: str = "none") -> List[ConvNorm]:
    """The 3x3 convolutions with ReLU that a RoI head begins with, named conv1, conv2, ..."""
    return [
        ConvNorm(channels, 3, norm=norm, activation="relu", name=f"conv{i + 1}")
        for i in range(num_convs)
    ]


def build_stack(convs: Sequence[ConvNorm], channels: int) -> int:
    """Build a `conv_stack` for [B, H, W, channels] inputs; returns the channels that come out."""
    for conv in convs:
        conv.build((None, None, None, channels))
        channels = conv.filters
    return channels
