"""The weights that a backbone starts from: packaged, published by name, or in a file."""

import os
from typing import Optional

from tfmaskrcnn.checkpoints.applications import load_keras_application
from tfmaskrcnn.checkpoints.fetching import fetched
from tfmaskrcnn.checkpoints.imagenet import load_resnet
from tfmaskrcnn.checkpoints.lite_packages import load_imagenet
from tfmaskrcnn.checkpoints.published import BACKBONES
from tfmaskrcnn.config.model import BackboneConfig, InputConfig
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model.layers.efficientnet_lite import EfficientNetLite
from tfmaskrcnn.model.layers.keras_applications import KerasApplication
from tfmaskrcnn.model.layers.resnet import ResNet
from tfmaskrcnn.model.weights import load_weights
from tfmaskrcnn.support.given import takes


@takes(config=BackboneConfig)
def load_backbone(
    backbone, config: BackboneConfig, input_config: Optional[InputConfig] = None
) -> None:
    """Give a built backbone the weights that `config.weights` names; None leaves it random.

    Args:
        backbone: what `config` describes.
        config: a file ending in .pkl or .pth is a classifier of MSRA, Detectron2 or torchvision; a
            name of `published.BACKBONES` is fetched at first use.
        input_config: to say where it does not normalise images as the weights want it.

    Raises:
        InputError: there are no such weights, or they do not fit.
    """
    if config.weights is None:
        return
    by_name = config.weights in BACKBONES and not os.path.exists(config.weights)
    if by_name and isinstance(backbone, ResNet):
        config = config.model_copy(update={"weights": fetched(config.weights)})
    if isinstance(backbone, KerasApplication) and not config.weights.endswith(".npz"):
        load_keras_application(backbone, config.weights)
    elif config.weights == "imagenet":
        if not isinstance(backbone, EfficientNetLite):
            raise InputError(
                f"There are no packaged ImageNet weights for {config.name}; set "
                "model.backbone.weights to a weights file or a name of `tfmaskrcnn weights`, or "
                "take efficientnet_lite0."
            )
        load_imagenet(backbone)
    elif isinstance(backbone, ResNet) and config.weights.endswith((".pkl", ".pth", ".pt")):
        load_resnet(backbone, config, input_config)
    elif os.path.exists(config.weights):
        load_weights(backbone, config.weights)
    else:
        raise InputError(
            f"model.backbone.weights {config.weights!r} is neither a file nor 'imagenet' nor, for "
            f"{config.name}, a name of `tfmaskrcnn weights`."
        )
