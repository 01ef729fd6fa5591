"""The choice of a backbone by its name in the configuration."""

import keras

from tfmaskrcnn.config.model import KERAS_PREFIX, BackboneConfig
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model.layers.efficientnet_lite import EfficientNetLite
from tfmaskrcnn.model.layers.keras_applications import KerasApplication
from tfmaskrcnn.model.layers.resnet import RESNETS, ResNet, Shape


def make_backbone(config: BackboneConfig, name: str = "backbone") -> keras.layers.Layer:
    """The layer that `config` describes, not built and without imported weights.

    Every backbone maps [B, H, W, 3] normalised images to {"c2", "c3", "c4", "c5"} of strides 4, 8,
    16, 32 and tells their channels in `out_channels`.
    """
    if config.recompute and (config.name not in RESNETS or config.norm in ("bn", "sync_bn")):
        raise InputError(
            "model.backbone.recompute is for ResNets and ResNeXts whose norm is frozen_bn or gn, "
            f"found {config.name} with {config.norm}."
        )
    if config.name.startswith(KERAS_PREFIX):
        application = config.name[len(KERAS_PREFIX) :]
        return _keras_application(application, config, name)
    common = {"norm": config.norm, "freeze_at": config.freeze_at, "name": name}
    if config.norm_epsilon is not None:
        common["epsilon"] = config.norm_epsilon
    if config.name in RESNETS:
        shape, stride_in_1x1 = RESNETS[config.name], config.stride_in_1x1
        common["stem_pool"] = config.stem_pool
        if stride_in_1x1 is None:
            stride_in_1x1 = shape == Shape(shape.depth)
        common["recompute"] = config.recompute
        return ResNet(stride_in_1x1=stride_in_1x1, **shape._asdict(), **common)
    return EfficientNetLite(int(config.name[-1]), **common)


def _keras_application(application: str, config: BackboneConfig, name: str) -> KerasApplication:
    layers, norm, freeze_at = config.feature_layers, config.norm, config.freeze_at
    try:
        return KerasApplication(application, layers, norm, freeze_at, name=name)
    except ValueError as error:  # of Keras, too, for models of another kind
        raise InputError(f"model.backbone.name {config.name}: {error}.") from None
