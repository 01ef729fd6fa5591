"""The heads of a model, as its configuration describes them."""

from tfmaskrcnn.config.heads import mask_channels
from tfmaskrcnn.config.model import ModelConfig
from tfmaskrcnn.model.layers.box_head import BoxHead
from tfmaskrcnn.model.layers.keypoint_head import KeypointHead
from tfmaskrcnn.model.layers.mask_head import MaskHead


def make_box_head(config: ModelConfig) -> BoxHead:
    """The layer for class logits and deltas of RoIs, not built."""
    c = config.box_head
    return BoxHead(
        config.num_classes,
        c.hidden,
        num_fcs=c.num_fcs,
        num_convs=c.num_convs,
        conv_channels=c.conv_channels,
        norm=c.norm,
        class_agnostic=c.class_agnostic,
        name="box_head",
    )


def make_mask_head(config: ModelConfig) -> MaskHead:
    """The layer for masks of RoIs, not built."""
    c = config.mask_head
    masks = mask_channels(c, config.num_classes)
    return MaskHead(masks, c.channels, c.num_convs, c.norm, name="mask_head")


def make_keypoint_head(config: ModelConfig) -> KeypointHead:
    """The layer for keypoints of RoIs, not built."""
    c = config.keypoint_head
    return KeypointHead(c.num_keypoints, c.channels, c.num_convs, name="keypoint_head")
