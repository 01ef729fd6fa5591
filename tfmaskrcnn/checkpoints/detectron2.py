"""Weights of Detectron2's Mask R-CNN with ResNet and FPN (`mask_rcnn_R_50_FPN_3x` and its like).

So are those of Keypoint R-CNN and Faster R-CNN, which have other heads or fewer.
"""

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

_BODY = "backbone.bottom_up"
_STEM = f"{_BODY}.stem.conv1"
_KEYPOINT_HEAD = "roi_heads.keypoint_head"
# Constants of the model that it saves with its weights.
_CONSTANTS = ("pixel_mean", "pixel_std", "proposal_generator.anchor_generator.")


def weights_only(tensors: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """`tensors` without the constants among them, for images in RGB instead of BGR."""
    weights = {name: t for name, t in tensors.items() if not name.startswith(_CONSTANTS)}
    if f"{_STEM}.weight" in weights:
        weights[f"{_STEM}.weight"] = np.asarray(weights[f"{_STEM}.weight"])[:, ::-1]
    return weights


def architecture_of(tensors: Mapping[str, np.ndarray], what: str) -> Architecture:
    """The architecture that the names and shapes of `weights_only` belong to.

    Raises:
        InputError: they are no Detectron2 Mask R-CNN of a plain ResNet; `what` names the file.
    """
    blocks = tuple(count(tensors, rf"backbone\.bottom_up\.res{s}\.(\d+)\.") for s in range(2, 6))
    bottleneck = f"{_BODY}.res2.0.conv3.weight" in tensors
    classes = np.shape(tensors.get("roi_heads.box_predictor.cls_score.weight", ()))
    if (blocks, bottleneck) not in DEPTHS or len(classes) != 2:
        raise InputError(
            f"{what} is no Mask R-CNN of Detectron2 with a ResNet and FPN: {blocks} blocks in "
            f"{_BODY}.res2 to res5, roi_heads.box_predictor.cls_score.weight {classes}."
        )
    num_mask_convs = count(tensors, r"roi_heads\.mask_head\.mask_fcn(\d+)\.")
    keypoints = np.shape(tensors.get(f"{_KEYPOINT_HEAD}.score_lowres.weight", (0, 0)))[1]
    num_keypoint_convs = count(tensors, r"roi_heads\.keypoint_head\.conv_fcn(\d+)\.")
    depth = DEPTHS[blocks, bottleneck]
    return Architecture(depth, classes[0] - 1, num_mask_convs, num_keypoint_convs, keypoints)


def table_of(architecture: Architecture) -> Iterator[Weight]:
    """Every weight of the model."""
    conv, heads, rpn = kernel_of_conv, "roi_heads", "proposal_generator.rpn_head"
    yield from _backbone(architecture.depth)
    for i in range(4):
        yield from biased(f"fpn/laterals/{i}", f"backbone.fpn_lateral{i + 2}", conv)
        yield from biased(f"fpn/output_convs/{i}", f"backbone.fpn_output{i + 2}", conv)
    yield from biased("rpn/conv", f"{rpn}.conv", conv)
    yield from biased("rpn/objectness", f"{rpn}.objectness_logits", conv)
    yield from biased("rpn/deltas", f"{rpn}.anchor_deltas", conv, yxhw_rows)
    box = f"{heads}.box_predictor"
    yield from biased("box_head/fc1", f"{heads}.box_head.fc1", kernel_after_flatten)
    yield from biased("box_head/fc2", f"{heads}.box_head.fc2", np.transpose)
    yield from biased("box_head/class_logits", f"{box}.cls_score", np.transpose, _last_row_first)
    yield from biased("box_head/box_deltas", f"{box}.bbox_pred", np.transpose, yxhw_rows)
    if architecture.num_mask_convs:
        yield from _mask_head(architecture.num_mask_convs)
    if architecture.num_keypoints:
        yield from _keypoint_head(architecture.num_keypoint_convs)


def _mask_head(num_convs: int) -> Iterator[Weight]:
    theirs = "roi_heads.mask_head"
    for i in range(num_convs):
        yield from biased(f"mask_head/convs/{i}", f"{theirs}.mask_fcn{i + 1}", kernel_of_conv)
    yield from biased("mask_head/upsample", f"{theirs}.deconv", kernel_of_conv)
    yield from biased("mask_head/logits", f"{theirs}.predictor", kernel_of_conv)


def _keypoint_head(num_convs: int) -> Iterator[Weight]:
    for i in range(num_convs):
        theirs = f"{_KEYPOINT_HEAD}.conv_fcn{i + 1}"
        yield from biased(f"keypoint_head/convs/{i}", theirs, kernel_of_conv)
    yield from biased("keypoint_head/logits", f"{_KEYPOINT_HEAD}.score_lowres", kernel_of_conv)


def _backbone(depth: int) -> Iterator[Weight]:
    yield from normed("backbone/stem", _STEM, f"{_STEM}.norm")
    blocks, bottleneck = next(key for key, value in DEPTHS.items() if value == depth)
    for stage, number in enumerate(blocks):
        for i in range(number):
            block = f"res{stage + 2}", str(i)
            ours, theirs = "/".join(("backbone", *block)), ".".join((_BODY, *block))
            layers = [f"conv{k}" for k in range(1, 4 if bottleneck else 3)]
            # The shape changes at a stage's first block; in ResNet-18 and -34's first stage not.
            layers += ["shortcut"] if i == 0 and (bottleneck or stage > 0) else []
            for layer in layers:
                conv = f"{theirs}.{layer}"
                yield from normed(f"{ours}/{layer}", conv, f"{conv}.norm")


def _last_row_first(array: np.ndarray) -> np.ndarray:
    """[K + 1, ...]: the background is Detectron2's last class and our first."""
    return np.concatenate([array[-1:], array[:-1]])
