"""How many numbers a network holds: weights, and for each image the maps that training keeps."""

from typing import NamedTuple, Sequence, Tuple

from tfmaskrcnn.config.heads import mask_channels
from tfmaskrcnn.config.model import ModelConfig
from tfmaskrcnn.model.backbone_sizes import TRAINED_NORMS, Held, backbone_sizes
from tfmaskrcnn.ops.atlas import MARGIN

Size = Tuple[int, int]  # height and width of the padded input, pixels

_ALL_LEVELS = 4 / 3  # cells of p2 to p6 for one of p2: 1 + 1/4 + 1/16 + ...
_P2_STRIDE = 4
_SAMPLES = 2  # a bin and axis; adaptive sampling takes some more, in turns


class NetworkSizes(NamedTuple):
    """Numbers that training on images of one size holds; but for weights, of an image."""

    weights: float
    trained: float  # of the weights
    backbone: float  # its maps that wait for their gradient
    pyramid: float  # such maps of FPN and RPN, and the atlas
    heads: float  # such maps of the heads on all RoIs
    samples: float  # that RoIAlign reads for the box head in prediction
    image: float


def network_sizes(model: ModelConfig, size: Size) -> NetworkSizes:
    """What a network holds in training on images of `size`."""
    pixels = size[0] * size[1]
    cells = pixels / _P2_STRIDE**2
    backbone, widths = backbone_sizes(model.backbone, model.input.channels, pixels)
    pyramid, heads = _pyramid(model, widths, cells), _heads(model)
    weights = backbone.weights + pyramid.weights + heads.weights
    trained = backbone.trained + pyramid.trained + heads.trained
    box, channels = model.box_head, model.fpn.channels
    samples = model.rpn.post_nms_top_k * (_SAMPLES * box.roi_side) ** 2 * channels
    image = pixels * model.input.channels
    maps = backbone.kept, pyramid.kept, heads.kept
    return NetworkSizes(weights, trained, *maps, samples, image)


def _cell_anchors(model: ModelConfig) -> int:
    return len(model.anchors.sizes[0]) * len(model.anchors.ratios)


def _norm_maps(norm: str) -> int:
    """Maps that a convolution with this norm and a ReLU keeps."""
    return 2 if norm in TRAINED_NORMS else 1


def _pyramid(model: ModelConfig, widths: Sequence[int], cells: float) -> Held:
    """FPN on c2 to c5 of `widths` channels, RPN and atlas; `cells` of p2."""
    channels, rpn = model.fpn.channels, model.rpn
    inner = rpn.channels or channels
    outputs = 5 * _cell_anchors(model)  # objectness and deltas
    weights = 4 * 9 * channels**2 + channels * sum(widths)
    weights += 9 * channels * inner + (rpn.num_convs - 1) * 9 * inner**2 + inner * outputs
    # Merged maps and the pyramid, with trained norms also what goes into them. The RPN's own maps
    # wait for no gradient, which goes back by the surroundings of a few anchors.
    maps = 2 * _norm_maps(model.fpn.norm) * channels + outputs
    return Held(weights, weights, cells * _ALL_LEVELS * maps + _atlas(model, cells))


def _atlas(model: ModelConfig, cells: float) -> float:
    """Numbers of the canvas: p2 with a column as wide as p3 beside it."""
    side = cells**0.5
    return (side + 2 + 2 * MARGIN) * (1.5 * side + 4 + 4 * MARGIN) * model.fpn.channels


def _heads(model: ModelConfig) -> Held:
    """Box, mask and keypoint head on the RoIs sampled of an image."""
    box = model.box_head
    rois = box.samples_per_image
    positive = round(rois * box.positive_fraction)
    each = [_box_head(model, rois)]
    if model.mask_head.enabled:
        each.append(_mask_head(model, positive))
    if model.keypoint_head.enabled:
        each.append(_keypoint_head(model, positive))
    return Held(*(sum(part) for part in zip(*each)))


def _box_head(model: ModelConfig, rois: int) -> Held:
    c, channels = model.box_head, model.fpn.channels
    area = c.roi_side**2
    maps = area * channels
    weights = 0
    for _ in range(c.num_convs):
        weights += 9 * channels * c.conv_channels
        maps += area * c.conv_channels * _norm_maps(c.norm)
        channels = c.conv_channels
    boxes = 1 if c.class_agnostic else model.num_classes
    outputs = model.num_classes + 1 + 4 * boxes
    weights += area * channels * c.hidden + (c.num_fcs - 1) * c.hidden**2 + c.hidden * outputs
    maps += c.num_fcs * c.hidden + outputs
    return Held(weights, weights, rois * maps)


def _mask_head(model: ModelConfig, rois: int) -> Held:
    c, channels = model.mask_head, model.fpn.channels
    area = c.roi_side**2
    maps, weights = area * channels, 0
    for _ in range(c.num_convs):
        weights += 9 * channels * c.channels
        maps += area * c.channels * _norm_maps(c.norm)
        channels = c.channels
    outputs = mask_channels(c, model.num_classes)
    weights += 4 * channels * c.channels + c.channels * outputs
    maps += 4 * area * (c.channels + 2 * outputs)  # logits, and again with their pixels in order
    return Held(weights, weights, rois * maps)


def _keypoint_head(model: ModelConfig, rois: int) -> Held:
    c, channels = model.keypoint_head, model.fpn.channels
    area = c.roi_side**2
    weights = 9 * channels * c.channels + (c.num_convs - 1) * 9 * c.channels**2
    weights += 16 * c.channels * c.num_keypoints
    maps = area * (channels + c.num_convs * c.channels)
    maps += (4 + 8 + 16 + 16) * area * c.num_keypoints  # logits, doubled along an axis, both, loss
    return Held(weights, weights, rois * maps)
