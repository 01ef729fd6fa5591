"""Weights that others made."""

import os

from tfmaskrcnn.checkpoints.efficientnet_lite import load_imagenet
from tfmaskrcnn.checkpoints.keras_applications import load_keras_application
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.layers.efficientnet_lite import EfficientNetLite
from tfmaskrcnn.layers.keras_applications import KerasApplication
from tfmaskrcnn.model_config import BackboneConfig
from tfmaskrcnn.weights import load_weights


def load_backbone(backbone, config: BackboneConfig) -> None:
    """Give a built backbone the weights that `config.weights` names; None leaves it random.

    Raises:
        InputError: there are no such weights, or they do not fit.
    """
    if config.weights is None:
        return
    if isinstance(backbone, KerasApplication) and not config.weights.endswith(".npz"):
        load_keras_application(backbone, config.weights)
    elif config.weights == "imagenet":
        if not isinstance(backbone, EfficientNetLite):
            raise InputError(
                f"There are no packaged ImageNet weights for {config.name}; set "
                "model.backbone.weights to a weights file, or take efficientnet_lite0."
            )
        load_imagenet(backbone)
    elif os.path.exists(config.weights):
        load_weights(backbone, config.weights)
    else:
        raise InputError(
            f"model.backbone.weights {config.weights!r} is neither a file nor 'imagenet'."
        )


__all__ = ["load_backbone", "load_imagenet", "load_keras_application"]
