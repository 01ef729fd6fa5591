"""Weights of torchvision's Mask R-CNN with ResNet and FPN (`maskrcnn_resnet50_fpn` and its like).

So are those of Keypoint R-CNN and Faster R-CNN, which have other heads or fewer.

The models named `_v2` have other heads and are refused with the list of what does not fit.
"""

import re
from typing import Dict, Iterator, Mapping

import numpy as np

from tfmaskrcnn.checkpoints.table import (
    DEPTHS,
    Architecture,
    Weight,
    biased,
    count,
    kernel_after_flatten,
    kernel_of_conv,
    normed,
    yxhw_rows,
)
from tfmaskrcnn.errors import InputError

# How names were written before torchvision 0.13, and how they are now.
_OLD_NAMES = (
    (r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d)\.(weight|bias)$", r"\1.0.\2"),
    (r"^(rpn\.head\.conv)\.(weight|bias)$", r"\1.0.0.\2"),
    *((rf"^(roi_heads\.mask_head)\.mask_fcn{i + 1}\.", rf"\1.{i}.0.") for i in range(8)),
)
_KEYPOINT_LOGITS = "roi_heads.keypoint_predictor.kps_score_lowres"
_COUNTER = ".num_batches_tracked"  # PyTorch's own


def weights_only(tensors: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """`tensors` under the names of torchvision 0.13 and later, without PyTorch's counters."""
    renamed = {}
    for name, tensor in tensors.items():
        for old, new in _OLD_NAMES:
            name = re.sub(old, new, name)
        if not name.endswith(_COUNTER):
            renamed[name] = tensor
    return renamed


def architecture_of(tensors: Mapping[str, np.ndarray], what: str) -> Architecture:
    """The architecture that the names and shapes of `weights_only` belong to.

    Raises:
        InputError: they are no torchvision Mask R-CNN of a plain ResNet; `what` names the file.
    """
    blocks = tuple(count(tensors, rf"backbone\.body\.layer{s}\.(\d+)\.") for s in range(1, 5))
    bottleneck = "backbone.body.layer1.0.conv3.weight" in tensors
    classes = np.shape(tensors.get("roi_heads.box_predictor.cls_score.weight", ()))
    if (blocks, bottleneck) not in DEPTHS or len(classes) != 2:
        raise InputError(
            f"{what} is no Mask R-CNN of torchvision with a ResNet: {blocks} blocks in "
            f"backbone.body.layer1 to layer4, roi_heads.box_predictor.cls_score.weight {classes}."
        )
    num_mask_convs = count(tensors, r"roi_heads\.mask_head\.(\d+)\.0\.")
    keypoints = np.shape(tensors.get(f"{_KEYPOINT_LOGITS}.weight", (0, 0)))[1]
    num_keypoint_convs = count(tensors, r"roi_heads\.keypoint_head\.(\d+)\.")
    depth = DEPTHS[blocks, bottleneck]
    return Architecture(depth, classes[0] - 1, num_mask_convs, num_keypoint_convs, keypoints)


def table_of(architecture: Architecture) -> Iterator[Weight]:
    """Every weight of the model."""
    conv = kernel_of_conv
    yield from _backbone(architecture.depth)
    for i in range(4):
        yield from biased(f"fpn/laterals/{i}", f"backbone.fpn.inner_blocks.{i}.0", conv)
        yield from biased(f"fpn/output_convs/{i}", f"backbone.fpn.layer_blocks.{i}.0", conv)
    yield from biased("rpn/conv", "rpn.head.conv.0.0", conv)
    yield from biased("rpn/objectness", "rpn.head.cls_logits", conv)
    yield from biased("rpn/deltas", "rpn.head.bbox_pred", conv, yxhw_rows)
    box = "roi_heads.box_predictor"
    yield from biased("box_head/fc1", "roi_heads.box_head.fc6", kernel_after_flatten)
    yield from biased("box_head/fc2", "roi_heads.box_head.fc7", np.transpose)
    yield from biased("box_head/class_logits", f"{box}.cls_score", np.transpose)
    yield from biased("box_head/box_deltas", f"{box}.bbox_pred", np.transpose, _box_rows)
    if architecture.num_mask_convs:
        yield from _mask_head(architecture.num_mask_convs)
    if architecture.num_keypoints:
        yield from _keypoint_head(architecture.num_keypoint_convs)


def _mask_head(num_convs: int) -> Iterator[Weight]:
    theirs = "roi_heads.mask_predictor"
    for i in range(num_convs):
        yield from biased(f"mask_head/convs/{i}", f"roi_heads.mask_head.{i}.0", kernel_of_conv)
    yield from biased("mask_head/upsample", f"{theirs}.conv5_mask", kernel_of_conv)
    logits = f"{theirs}.mask_fcn_logits"
    yield from biased("mask_head/logits", logits, kernel_of_conv, _foreground_rows)


def _keypoint_head(num_convs: int) -> Iterator[Weight]:
    for i in range(num_convs):  # every second layer is a ReLU
        theirs = f"roi_heads.keypoint_head.{2 * i}"
        yield from biased(f"keypoint_head/convs/{i}", theirs, kernel_of_conv)
    yield from biased("keypoint_head/logits", _KEYPOINT_LOGITS, kernel_of_conv)


def _backbone(depth: int) -> Iterator[Weight]:
    yield from normed("backbone/stem", "backbone.body.conv1", "backbone.body.bn1")
    blocks, bottleneck = next(key for key, value in DEPTHS.items() if value == depth)
    for stage, number in enumerate(blocks):
        for i in range(number):
            ours = f"backbone/res{stage + 2}/{i}"
            theirs = f"backbone.body.layer{stage + 1}.{i}"
            for k in range(1, 4 if bottleneck else 3):
                yield from normed(f"{ours}/conv{k}", f"{theirs}.conv{k}", f"{theirs}.bn{k}")
            # The shape changes at a stage's first block; in ResNet-18 and -34's first stage not.
            if i == 0 and (bottleneck or stage > 0):
                down = f"{theirs}.downsample"
                yield from normed(f"{ours}/shortcut", f"{down}.0", f"{down}.1")


def _box_rows(array: np.ndarray) -> np.ndarray:
    """[(K + 1) * 4, ...] -> [K * 4, ...]: the background has no box."""
    return yxhw_rows(array[4:])


def _foreground_rows(array: np.ndarray) -> np.ndarray:
    """[K + 1, ...] -> [K, ...]: the background has no mask."""
    return array[1:]
