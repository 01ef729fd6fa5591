"""The choice of a backbone by its name in the configuration."""

import keras

from tfmaskrcnn.layers.efficientnet_lite import EfficientNetLite
from tfmaskrcnn.layers.resnet import ResNet
from tfmaskrcnn.model_config import BackboneConfig


def make_backbone(config: BackboneConfig, name: str = "backbone") -> keras.layers.Layer:
    """The layer that `config` describes, not built and without imported weights.

    Every backbone maps [B, H, W, 3] normalised images to {"c2", "c3", "c4", "c5"} of strides 4, 8,
    16, 32 and tells their channels in `out_channels`.
    """
    common = {"norm": config.norm, "freeze_at": config.freeze_at, "name": name}
    if config.norm_epsilon is not None:
        common["epsilon"] = config.norm_epsilon
    family = config.name.rstrip("0123456789")
    number = int(config.name[len(family) :])
    if family == "resnet":
        return ResNet(number, stride_in_1x1=config.stride_in_1x1, **common)
    return EfficientNetLite(number, **common)
