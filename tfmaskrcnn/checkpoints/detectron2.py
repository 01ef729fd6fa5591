"""Weights of Detectron2's Mask, Faster and Keypoint R-CNN with ResNet or ResNeXt and FPN.

`mask_rcnn_R_50_FPN_3x`, `mask_rcnn_X_101_32x8d_FPN_3x`, `mask_rcnn_R_50_FPN_3x_gn`,
`faster_rcnn_R_101_FPN_3x` and their like.
"""

from typing import Dict, Iterator, Mapping, Tuple

import numpy as np

from tfmaskrcnn.checkpoints.architecture import Architecture, channels_of, side_of
from tfmaskrcnn.checkpoints.presets import DETECTRON2_GN, DETECTRON2_RESNEXT
from tfmaskrcnn.checkpoints.rcnn_table import PREDICTOR, LayerNames, rcnn_table
from tfmaskrcnn.checkpoints.resnet_names import Backbone, backbone_of
from tfmaskrcnn.checkpoints.weight_table import (
    COUNTER,
    Weight,
    conv_rows,
    count,
    norm_of,
)
from tfmaskrcnn.errors import InputError

_BODY = "backbone.bottom_up"
_STEM = f"{_BODY}.stem.conv1"
_RPN, _HEADS = "proposal_generator.rpn_head", "roi_heads"
_BOX_HEAD, _MASK_HEAD = f"{_HEADS}.box_head", f"{_HEADS}.mask_head"
_KEYPOINT_HEAD = f"{_HEADS}.keypoint_head"
# Constants of the model that some versions save with its weights.
_PIXELS = ("pixel_mean", "pixel_std")
_CONSTANTS = (*_PIXELS, "proposal_generator.anchor_generator.")


def weights_only(tensors: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """`tensors` without the constants among them, for images in RGB."""
    weights = {
        name: tensor
        for name, tensor in tensors.items()
        if not name.startswith(_CONSTANTS) and not name.endswith(COUNTER)
    }
    if f"{_STEM}.weight" in weights and _is_bgr(tensors):
        weights[f"{_STEM}.weight"] = np.asarray(weights[f"{_STEM}.weight"])[:, ::-1]
    return weights


def architecture_of(tensors: Mapping[str, np.ndarray], what: str) -> Architecture:
    """The architecture that the names and shapes of a state dict belong to.

    Raises:
        InputError: they are no Detectron2 Mask R-CNN or Faster R-CNN of a ResNet with a pyramid;
            `what` names the file.
    """
    backbone = backbone_of(tensors, _body_name)
    classes = np.shape(tensors.get(f"{PREDICTOR}.cls_score.weight", ()))
    if backbone is None or len(classes) != 2:
        blocks = [count(tensors, rf"backbone\.bottom_up\.res{s}\.(\d+)\.") for s in range(2, 6)]
        raise InputError(
            f"{what} is no Mask R-CNN of Detectron2 with a known ResNet and FPN: {blocks} blocks "
            f"in {_BODY}.res2 to res5, {PREDICTOR}.cls_score.weight {classes}."
        )
    boxes = side_of(tensors, f"{PREDICTOR}.bbox_pred.weight", 0)
    channels = {
        "fpn.channels": "backbone.fpn_lateral2.weight",
        "rpn.channels": f"{_rpn_convs(_num_rpn_convs(tensors))[0]}.weight",
        "box_head.conv_channels": f"{_BOX_HEAD}.conv1.weight",
        "box_head.hidden": f"{_BOX_HEAD}.fc1.weight",
        "mask_head.channels": f"{_MASK_HEAD}.mask_fcn1.weight",
        "keypoint_head.channels": f"{_KEYPOINT_HEAD}.conv_fcn1.weight",
    }
    masks = side_of(tensors, f"{_MASK_HEAD}.predictor.weight", 0)
    return Architecture(
        backbone,
        num_classes=classes[0] - 1,
        num_mask_convs=count(tensors, r"roi_heads\.mask_head\.mask_fcn(\d+)\."),
        mask_norm=norm_of(tensors, f"{_MASK_HEAD}.mask_fcn1.norm."),
        fpn_norm=norm_of(tensors, "backbone.fpn_lateral2.norm."),
        num_rpn_convs=_num_rpn_convs(tensors),
        num_box_convs=count(tensors, r"roi_heads\.box_head\.conv(\d+)\."),
        box_norm=norm_of(tensors, f"{_BOX_HEAD}.conv1.norm."),
        num_box_fcs=count(tensors, r"roi_heads\.box_head\.fc(\d+)\."),
        class_agnostic=boxes == 4 and classes[0] > 2,
        class_agnostic_masks=masks == 1 and classes[0] > 2,
        num_keypoint_convs=count(tensors, r"roi_heads\.keypoint_head\.conv_fcn(\d+)\."),
        num_keypoints=side_of(tensors, f"{_KEYPOINT_HEAD}.score_lowres.weight", 1),
        settings=(*channels_of(tensors, channels), *_dialect(backbone), *_pixels(tensors)),
    )


def table_of(found: Architecture) -> Iterator[Weight]:
    """Every weight of the model."""
    return rcnn_table(found, _NAMES)


def _body_name(name: str) -> str:
    return f"{_BODY}.{name}"


def _conv(ours: str, theirs: str, norm: str) -> Iterator[Weight]:
    return conv_rows(ours, f"{theirs}.", f"{theirs}.norm.", norm)


def _rpn_convs(number: int) -> Tuple[str, ...]:
    several = tuple(f"{_RPN}.conv.conv{i}" for i in range(number))
    return several if number > 1 else (f"{_RPN}.conv",)


def _num_rpn_convs(tensors: Mapping[str, np.ndarray]) -> int:
    return count(tensors, r"proposal_generator\.rpn_head\.conv\.conv(\d+)\.") or 1


def _dialect(backbone: Backbone) -> Tuple[str, ...]:
    """What its model zoo sets beside a backbone of another kind than MSRA's ResNets."""
    if backbone.name.startswith("resnext"):
        return DETECTRON2_RESNEXT
    return DETECTRON2_GN if backbone.norm == "gn" else ()


def _is_bgr(tensors: Mapping[str, np.ndarray]) -> bool:
    """Whether the network takes BGR, as all of the model zoo; only a saved mean may say otherwise.

    Blue has the lowest of ImageNet's means.
    """
    mean = np.ravel(tensors.get("pixel_mean", ()))
    return len(mean) != 3 or mean[0] <= mean[2]


def _pixels(tensors: Mapping[str, np.ndarray]) -> Tuple[str, ...]:
    """Mean and standard deviation in RGB where the file has them."""
    step = -1 if _is_bgr(tensors) else 1
    found = {name: np.ravel(tensors[name])[::step].tolist() for name in _PIXELS if name in tensors}
    return tuple(
        f"input.{name[6:]}={[round(value, 4) for value in values]}"
        for name, values in found.items()
    )


def _last_row_first(array: np.ndarray) -> np.ndarray:
    """[K + 1, ...]: the background is Detectron2's last class and our first."""
    return np.concatenate([array[-1:], array[:-1]])


_NAMES = LayerNames(
    body=_body_name,
    lateral=lambda i: f"backbone.fpn_lateral{i + 2}",
    output=lambda i: f"backbone.fpn_output{i + 2}",
    rpn_convs=_rpn_convs,
    objectness=f"{_RPN}.objectness_logits",
    anchor_deltas=f"{_RPN}.anchor_deltas",
    box_conv=lambda i: f"{_BOX_HEAD}.conv{i + 1}",
    box_fcs=lambda convs, number: [f"{_BOX_HEAD}.fc{i + 1}" for i in range(number)],
    mask_conv=lambda i: f"{_MASK_HEAD}.mask_fcn{i + 1}",
    mask_upsample=f"{_MASK_HEAD}.deconv",
    mask_logits=f"{_MASK_HEAD}.predictor",
    keypoint_conv=lambda i: f"{_KEYPOINT_HEAD}.conv_fcn{i + 1}",
    keypoint_logits=f"{_KEYPOINT_HEAD}.score_lowres",
    conv=_conv,
    class_rows=_last_row_first,
)
