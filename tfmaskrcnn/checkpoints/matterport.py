"""Weights of Matterport's Mask R-CNN (`mask_rcnn_coco.h5` and its like, ResNet-50 or -101).

All its convolutions have biases. Before a batch normalisation of the backbone the bias goes into
the moving mean, so that the norm can be trained further; the norms of the heads go into kernels and
biases, as our heads have none.
"""

from typing import Callable, Dict, Iterator, Mapping, Tuple

import numpy as np

from tfmaskrcnn.checkpoints.architecture import Architecture
from tfmaskrcnn.checkpoints.resnet_names import DEPTHS, Backbone, block_layers
from tfmaskrcnn.checkpoints.weight_table import Weight, count
from tfmaskrcnn.errors import InputError

_EPSILON = 1e-3  # of all its norms, Keras's default
_NORM = ("gamma:0", "beta:0", "moving_mean:0", "moving_variance:0")
_BRANCHES = {"conv1": "2a", "conv2": "2b", "conv3": "2c", "shortcut": "1"}
_ANCHORS = "anchors/"  # constants that some versions save with the weights


def weights_only(tensors: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """`tensors` without the constants among them."""
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(_ANCHORS)}


def architecture_of(tensors: Mapping[str, np.ndarray], what: str) -> Architecture:
    """The architecture that the names and shapes of `weights_only` belong to.

    Raises:
        InputError: they are no Matterport Mask R-CNN; `what` names the file.
    """
    blocks = tuple(count(tensors, rf"res{stage}([a-z])_branch2a/") for stage in range(2, 6))
    shapes = [_shape(tensors, name) for name in ("mrcnn_class_logits", "rpn_conv_shared")]
    if (blocks, True) not in DEPTHS or [len(shape) for shape in shapes] != [2, 4]:
        raise InputError(
            f"{what} is no Mask R-CNN of Matterport: {blocks} blocks in res2 to res5, "
            f"mrcnn_class_logits/kernel:0 {shapes[0]}, rpn_conv_shared/kernel:0 {shapes[1]}."
        )
    (hidden, classes), rpn = shapes
    num_mask_convs = count(tensors, r"mrcnn_mask_conv(\d+)/")
    settings = (f"rpn.channels={rpn[3]}", f"fpn.channels={rpn[2]}", f"box_head.hidden={hidden}")
    backbone = Backbone(f"resnet{DEPTHS[blocks, True]}", "bn")
    return Architecture(backbone, classes - 1, num_mask_convs, settings=settings)


def table_of(architecture: Architecture) -> Iterator[Weight]:
    """Every weight of the model."""
    yield from _backbone(architecture.backbone.name)
    for i in range(2, 6):
        yield from _layer(f"fpn/laterals/{i - 2}", f"fpn_c{i}p{i}")
        yield from _layer(f"fpn/output_convs/{i - 2}", f"fpn_p{i}")
    yield from _layer("rpn/convs/0", "rpn_conv_shared")
    yield from _layer("rpn/objectness", "rpn_class_raw", _foreground_logit)
    yield from _layer("rpn/deltas", "rpn_bbox_pred")
    yield from _layer_with_norm("box_head/fc1", "mrcnn_class_conv1", "mrcnn_class_bn1", _dense)
    yield from _layer_with_norm("box_head/fc2", "mrcnn_class_conv2", "mrcnn_class_bn2", _dense)
    yield from _layer("box_head/class_logits", "mrcnn_class_logits")
    yield from _layer("box_head/box_deltas", "mrcnn_bbox_fc", lambda array: array[..., 4:])
    for i in range(architecture.num_mask_convs):
        conv = f"mrcnn_mask_conv{i + 1}"
        yield from _layer_with_norm(f"mask_head/convs/{i}", conv, f"mrcnn_mask_bn{i + 1}")
    yield from _layer("mask_head/upsample", "mrcnn_mask_deconv")
    yield from _layer("mask_head/logits", "mrcnn_mask", lambda array: array[..., 1:])


def _backbone(name: str) -> Iterator[Weight]:
    yield from _normed("backbone/stem", "conv1", "bn_conv1")
    for stage, i, layer in block_layers(name):
        theirs = f"{stage}{chr(ord('a') + i)}_branch{_BRANCHES[layer]}"
        yield from _normed(f"backbone/res{stage}/{i}/{layer}", f"res{theirs}", f"bn{theirs}")


def _normed(ours: str, conv: str, norm: str) -> Iterator[Weight]:
    """A convolution with a bias, which its norm takes over."""
    yield Weight(f"{ours}/kernel", f"{conv}/kernel:0", np.asarray)
    for vector in ("gamma", "beta", "moving_variance"):
        yield Weight(f"{ours}/norm/{vector}", f"{norm}/{vector}:0", np.asarray)
    names = f"{norm}/moving_mean:0", f"{conv}/bias:0"
    yield Weight(f"{ours}/norm/moving_mean", names, np.subtract)


def _layer(ours: str, theirs: str, outputs: Callable = np.asarray) -> Iterator[Weight]:
    """Kernel and bias; `outputs` selects among the last axis of both."""
    yield Weight(f"{ours}/kernel", f"{theirs}/kernel:0", outputs)
    yield Weight(f"{ours}/bias", f"{theirs}/bias:0", outputs)


def _layer_with_norm(
    ours: str, conv: str, norm: str, shape: Callable = np.asarray
) -> Iterator[Weight]:
    """Kernel and bias of a convolution and the norm after it; `shape` changes the kernel's."""
    vectors = tuple(f"{norm}/{name}" for name in _NORM)

    def kernel(array, gamma, beta, mean, variance):
        del beta, mean
        return shape(array * _scale(gamma, variance))

    def bias(array, gamma, beta, mean, variance):
        return (array - mean) * _scale(gamma, variance) + beta

    yield Weight(f"{ours}/kernel", (f"{conv}/kernel:0", *vectors), kernel)
    yield Weight(f"{ours}/bias", (f"{conv}/bias:0", *vectors), bias)


def _scale(gamma: np.ndarray, variance: np.ndarray) -> np.ndarray:
    return gamma / np.sqrt(variance + np.float32(_EPSILON))


def _dense(kernel: np.ndarray) -> np.ndarray:
    """[S, S, C, out] of a convolution over the whole RoI -> [S * S * C, out]."""
    return np.reshape(kernel, (-1, kernel.shape[-1]))


def _foreground_logit(array: np.ndarray) -> np.ndarray:
    """[..., 2 * A] -> [..., A]: softmax of (background, object) is the sigmoid of a difference."""
    return array[..., 1::2] - array[..., 0::2]


def _shape(tensors: Mapping[str, np.ndarray], layer: str) -> Tuple[int, ...]:
    """Of the layer's kernel; () if there is none."""
    return np.shape(tensors.get(f"{layer}/kernel:0", 0))
