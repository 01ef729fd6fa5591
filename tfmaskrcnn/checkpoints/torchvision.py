"""Weights of torchvision's Mask R-CNN and Faster R-CNN with a ResNet of any kind and FPN.

`maskrcnn_resnet50_fpn`, `maskrcnn_resnet50_fpn_v2`, `fasterrcnn_resnet50_fpn`,
`fasterrcnn_resnet50_fpn_v2`, `keypointrcnn_resnet50_fpn` and what `resnet_fpn_backbone` makes of
the other depths.

torchvision's RoI pooling guesses the strides from the first batch that it gets. If padding makes
the tallest image there over 1.41 times as tall (45 pixels after resizing become 64), it takes half
of each for all images to come. Here they are 4, 8, 16 and 32, as there after any other first batch.
"""

import re
from typing import Dict, Iterator, Mapping, Tuple

import numpy as np

from tfmaskrcnn.checkpoints.architecture import Architecture, channels_of, side_of
from tfmaskrcnn.checkpoints.rcnn_table import PREDICTOR, LayerNames, rcnn_table
from tfmaskrcnn.checkpoints.resnet_names import backbone_of, torchvision_name
from tfmaskrcnn.checkpoints.weight_table import (
    COUNTER,
    Weight,
    conv_rows,
    count,
    norm_of,
    yxhw_rows,
)
from tfmaskrcnn.errors import InputError

# How names were written before torchvision 0.13, and how they are now.
_OLD_NAMES = (
    (r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d)\.(weight|bias)$", r"\1.0.\2"),
    (r"^(rpn\.head\.conv)\.(weight|bias)$", r"\1.0.0.\2"),
    *((rf"^(roi_heads\.mask_head)\.mask_fcn{i + 1}\.", rf"\1.{i}.0.") for i in range(8)),
)
_FPN, _BOX_HEAD, _MASK_HEAD = "backbone.fpn", "roi_heads.box_head", "roi_heads.mask_head"
_MASK_PREDICTOR = "roi_heads.mask_predictor"
_KEYPOINT_LOGITS = "roi_heads.keypoint_predictor.kps_score_lowres"


def weights_only(tensors: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """`tensors` under the names of torchvision 0.13 and later, without PyTorch's counters."""
    renamed = {}
    for name, tensor in tensors.items():
        for old, new in _OLD_NAMES:
            name = re.sub(old, new, name)
        if not name.endswith(COUNTER):
            renamed[name] = tensor
    return renamed


def architecture_of(tensors: Mapping[str, np.ndarray], what: str) -> Architecture:
    """The architecture that the names and shapes of a state dict belong to.

    Raises:
        InputError: they are no torchvision Mask R-CNN or Faster R-CNN of a ResNet; `what` names the
            file.
    """
    tensors = weights_only(tensors)
    backbone = backbone_of(tensors, _body_name)
    classes = np.shape(tensors.get(f"{PREDICTOR}.cls_score.weight", ()))
    if backbone is None or len(classes) != 2:
        blocks = [count(tensors, rf"backbone\.body\.layer{s}\.(\d+)\.") for s in range(1, 5)]
        raise InputError(
            f"{what} is no Mask R-CNN of torchvision with a known ResNet: {blocks} blocks in "
            f"backbone.body.layer1 to layer4, {PREDICTOR}.cls_score.weight {classes}."
        )
    convs = count(tensors, r"roi_heads\.box_head\.(\d+)\.0\.")
    return Architecture(
        backbone,
        num_classes=classes[0] - 1,
        num_mask_convs=count(tensors, r"roi_heads\.mask_head\.(\d+)\.0\."),
        mask_norm=norm_of(tensors, f"{_MASK_HEAD}.0.1."),
        fpn_norm=norm_of(tensors, f"{_FPN}.inner_blocks.0.1."),
        num_rpn_convs=count(tensors, r"rpn\.head\.conv\.(\d+)\.0\."),
        num_box_convs=convs,
        box_norm=norm_of(tensors, f"{_BOX_HEAD}.0.1."),
        num_box_fcs=sum(f"{name}.weight" in tensors for name in _fcs(convs)) or 2,
        num_keypoint_convs=count(tensors, r"roi_heads\.keypoint_head\.(\d+)\."),
        num_keypoints=side_of(tensors, f"{_KEYPOINT_LOGITS}.weight", 1),
        settings=channels_of(
            tensors,
            {
                "fpn.channels": f"{_FPN}.inner_blocks.0.0.weight",
                "rpn.channels": "rpn.head.conv.0.0.weight",
                "box_head.conv_channels": f"{_BOX_HEAD}.0.0.weight",
                "box_head.hidden": f"{_fcs(convs)[0]}.weight",
                "mask_head.channels": f"{_MASK_HEAD}.0.0.weight",
                "keypoint_head.channels": "roi_heads.keypoint_head.0.weight",
            },
        ),
    )


def table_of(found: Architecture) -> Iterator[Weight]:
    """Every weight of the model."""
    return rcnn_table(found, _NAMES)


def _body_name(name: str) -> str:
    return f"backbone.body.{torchvision_name(name)}"


def _block(ours: str, theirs: str, norm: str) -> Iterator[Weight]:
    """A `Conv2dNormActivation`."""
    return conv_rows(ours, f"{theirs}.0.", f"{theirs}.1.", norm)


def _fcs(convs: int) -> Tuple[str, str]:
    """The box head's dense layers: after convolutions come a Flatten, and a ReLU between two."""
    if not convs:
        return f"{_BOX_HEAD}.fc6", f"{_BOX_HEAD}.fc7"
    return f"{_BOX_HEAD}.{convs + 1}", f"{_BOX_HEAD}.{convs + 3}"


def _box_rows(array: np.ndarray) -> np.ndarray:
    """[(K + 1) * 4, ...] -> [K * 4, ...]: the background has no box."""
    return yxhw_rows(array[4:])


def _foreground_rows(array: np.ndarray) -> np.ndarray:
    """[K + 1, ...] -> [K, ...]: the background has no mask."""
    return array[1:]


_NAMES = LayerNames(
    body=_body_name,
    lateral=lambda i: f"{_FPN}.inner_blocks.{i}",
    output=lambda i: f"{_FPN}.layer_blocks.{i}",
    rpn_convs=lambda number: [f"rpn.head.conv.{i}.0" for i in range(number)],
    objectness="rpn.head.cls_logits",
    anchor_deltas="rpn.head.bbox_pred",
    box_conv=lambda i: f"{_BOX_HEAD}.{i}",
    box_fcs=lambda convs, number: _fcs(convs)[:number],
    mask_conv=lambda i: f"{_MASK_HEAD}.{i}",
    mask_upsample=f"{_MASK_PREDICTOR}.conv5_mask",
    mask_logits=f"{_MASK_PREDICTOR}.mask_fcn_logits",
    keypoint_conv=lambda i: f"roi_heads.keypoint_head.{2 * i}",  # a ReLU after each
    keypoint_logits=_KEYPOINT_LOGITS,
    conv=_block,
    box_rows=_box_rows,
    mask_rows=_foreground_rows,
)
