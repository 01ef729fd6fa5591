"""The weights of an R-CNN with a pyramid, layer by layer, for frameworks built on PyTorch."""

from typing import Callable, Iterator, NamedTuple, Sequence

import numpy as np

from tfmaskrcnn.checkpoints.architecture import Architecture
from tfmaskrcnn.checkpoints.resnet_names import backbone_table
from tfmaskrcnn.checkpoints.weight_table import (
    Weight,
    biased,
    kernel_after_flatten,
    kernel_of_conv,
    yxhw_rows,
)

PREDICTOR = "roi_heads.box_predictor"  # in both frameworks


class LayerNames(NamedTuple):
    """What a framework calls the layers; i counts from 0."""

    body: Callable[[str], str]  # from a layer's name in `resnet_names`
    lateral: Callable[[int], str]  # of the pyramid, from p2
    output: Callable[[int], str]
    rpn_convs: Callable[[int], Sequence[str]]  # from their number
    objectness: str
    anchor_deltas: str
    box_conv: Callable[[int], str]
    # From the number of convolutions before them, and theirs.
    box_fcs: Callable[[int, int], Sequence[str]]
    mask_conv: Callable[[int], str]
    mask_upsample: str
    mask_logits: str
    keypoint_conv: Callable[[int], str]
    keypoint_logits: str
    # (ours, theirs, norm) -> the rows of a convolution that may have a norm.
    conv: Callable[[str, str, str], Iterator[Weight]]
    # What is selected among the outputs of the last layers: where the background is.
    class_rows: Callable[[np.ndarray], np.ndarray] = np.asarray
    box_rows: Callable[[np.ndarray], np.ndarray] = yxhw_rows
    mask_rows: Callable[[np.ndarray], np.ndarray] = np.asarray


def rcnn_table(found: Architecture, names: LayerNames) -> Iterator[Weight]:
    """Every weight of the model."""
    yield from backbone_table(found.backbone, names.body)
    for i in range(4):
        yield from names.conv(f"fpn/laterals/{i}", names.lateral(i), found.fpn_norm)
        yield from names.conv(f"fpn/output_convs/{i}", names.output(i), found.fpn_norm)
    for i, theirs in enumerate(names.rpn_convs(found.num_rpn_convs)):
        yield from biased(f"rpn/convs/{i}", theirs, kernel_of_conv)
    yield from biased("rpn/objectness", names.objectness, kernel_of_conv)
    yield from biased("rpn/deltas", names.anchor_deltas, kernel_of_conv, yxhw_rows)
    yield from _box_head(found, names)
    if found.num_mask_convs:
        for i in range(found.num_mask_convs):
            yield from names.conv(f"mask_head/convs/{i}", names.mask_conv(i), found.mask_norm)
        yield from biased("mask_head/upsample", names.mask_upsample, kernel_of_conv)
        rows = names.mask_rows
        yield from biased("mask_head/logits", names.mask_logits, kernel_of_conv, rows)
    if found.num_keypoints:
        for i in range(found.num_keypoint_convs):
            yield from biased(f"keypoint_head/convs/{i}", names.keypoint_conv(i), kernel_of_conv)
        yield from biased("keypoint_head/logits", names.keypoint_logits, kernel_of_conv)


def _box_head(found: Architecture, names: LayerNames) -> Iterator[Weight]:
    for i in range(found.num_box_convs):
        yield from names.conv(f"box_head/convs/{i}", names.box_conv(i), found.box_norm)
    for i, theirs in enumerate(names.box_fcs(found.num_box_convs, found.num_box_fcs)):
        kernel = np.transpose if i else kernel_after_flatten
        yield from biased(f"box_head/fc{i + 1}", theirs, kernel)
    logits, deltas = f"{PREDICTOR}.cls_score", f"{PREDICTOR}.bbox_pred"
    yield from biased("box_head/class_logits", logits, np.transpose, names.class_rows)
    yield from biased("box_head/box_deltas", deltas, np.transpose, names.box_rows)
