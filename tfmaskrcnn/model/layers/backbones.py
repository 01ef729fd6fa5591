"""The choice of a backbone by its name in the configuration."""

from typing import Optional, Sequence

import keras

from tfmaskrcnn.config.model import KERAS_PREFIX, OWN, BackboneConfig, ModelConfig
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model.layers.efficientnet_lite import EfficientNetLite
from tfmaskrcnn.model.layers.keras_applications import KerasApplication
from tfmaskrcnn.model.layers.own_backbone import OwnBackbone
from tfmaskrcnn.model.layers.resnet import RESNETS, ResNet, Shape


def with_own_backbone(
    config: ModelConfig, model: Optional[keras.Model], feature_layers: Optional[Sequence[str]]
) -> ModelConfig:
    """`config`, as it says that the backbone is a `model` of the caller's own.

    Raises:
        InputError: there are layers and no model.
    """
    if model is None:
        raise InputError(
            "feature_layers=... are layers of backbone=..., a functional keras.Model; those of a "
            "backbone by its name are model.backbone.feature_layers."
        )
    own = {"name": OWN, "feature_layers": tuple(feature_layers or ())}
    return config.model_copy(update={"backbone": config.backbone.model_copy(update=own)})


def make_backbone(
    config: BackboneConfig, name: str = "backbone", model: Optional[keras.Model] = None
) -> keras.layers.Layer:
    """The layer that `config` describes, not built and without imported weights.

    Every backbone maps [B, H, W, 3] normalised images to {"c2", "c3", "c4", "c5"} of strides 4, 8,
    16, 32, tells their channels in `out_channels`, and has five `stages` of layers. A `model` is
    what the name "own" stands for.
    """
    if config.recompute and (config.name not in RESNETS or config.norm in ("bn", "sync_bn")):
        raise InputError(
            "model.backbone.recompute is for ResNets and ResNeXts whose norm is frozen_bn or gn, "
            f"found {config.name} with {config.norm}."
        )
    if config.name == OWN:
        return _own(model, config, name)
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


def _own(model: Optional[keras.Model], config: BackboneConfig, name: str) -> OwnBackbone:
    if model is None:
        raise InputError(
            "model.backbone.name 'own' stands for a keras.Model that Python code has: "
            "mr.MaskRCNN(config, backbone=model, feature_layers=[...]). The command line has none; "
            "a SavedModel of it can be used there."
        )
    norm, freeze_at = config.norm, config.freeze_at
    try:
        return OwnBackbone(model, config.feature_layers, norm=norm, freeze_at=freeze_at, name=name)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"model.backbone: {error}.") from None


def _keras_application(application: str, config: BackboneConfig, name: str) -> KerasApplication:
    layers, norm, freeze_at = config.feature_layers, config.norm, config.freeze_at
    try:
        return KerasApplication(application, layers, norm, freeze_at, name=name)
    except ValueError as error:  # of Keras, too, for models of another kind
        raise InputError(f"model.backbone.name {config.name}: {error}.") from None
