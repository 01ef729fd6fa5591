"""The configuration of the box head and the mask head."""

from typing import Literal, Optional

import pydantic
from pydantic import Field

from tfmaskrcnn.config.base import (
    Channels,
    Few,
    FourFactors,
    Norm,
    NotNegative,
    Objects,
    Section,
    Share,
)
from tfmaskrcnn.config.class_weights import ClassWeights, checked_weights


class BoxHeadConfig(Section):
    """Box head, its training samples and its detections."""

    roi_side: Few = 7
    num_convs: int = Field(0, ge=0, le=100)  # 3x3 convolutions ...
    conv_channels: Channels = 256
    norm: Norm = "none"  # ... with this norm,
    num_fcs: int = Field(2, ge=1, le=2)  # and dense layers after them
    hidden: Channels = 1024
    class_agnostic: bool = False  # one box a RoI instead of one a class
    positive_iou: Share = 0.5
    samples_per_image: Objects = 512
    positive_fraction: Share = 0.25
    delta_weights: FourFactors = (10.0, 10.0, 5.0, 5.0)  # dy, dx, dh, dw
    clamp_deltas: bool = True  # as in rpn
    smooth_l1_beta: NotNegative = 0.0
    # focal: objects and background that are told with confidence count less, by (1 - p)^focal_gamma
    # (Lin et al. 2017); for rare classes, as are ...
    loss: Literal["softmax", "focal"] = "softmax"
    focal_gamma: float = Field(2.0, ge=0, le=100)
    # ... factors of the loss of classes by name: {star: 3.0}; or balanced, which the training data
    # turn into such numbers. Background, and classes that are not named, have 1.
    class_weights: ClassWeights = {}
    score_threshold: Share = 0.05
    nms_iou: Share = 0.5
    # Boxes with a side up to this are left out before NMS, pixels; None keeps even empty ones.
    min_side: Optional[NotNegative] = 0.0
    # Leave empty boxes out when the best max_detections are chosen (Detectron2, min_side null).
    drop_empty: bool = False
    # A RoI may be found as several classes, or (argmax, Matterport) as its best class alone.
    detection_rule: Literal["per_class", "argmax"] = "per_class"
    whole_pixels: bool = False  # round boxes in the image as given (Matterport)
    max_detections: Objects = 100

    @pydantic.field_validator("class_weights", mode="before")
    @classmethod
    def _weights_by_name(cls, value):
        return checked_weights(value)

    @pydantic.model_validator(mode="after")
    def _gamma_is_used(self):
        if self.loss == "softmax" and self.focal_gamma != 2.0:
            raise ValueError("focal_gamma has no effect where loss is softmax; set loss to focal")
        return self


class MaskHeadConfig(Section):
    """FCN mask head (Mask R-CNN, figure 4 right)."""

    enabled: bool = True  # False leaves Faster R-CNN (the paper's table 3)
    roi_side: Few = 14  # the mask has twice this side
    channels: Channels = 256
    num_convs: Few = 4
    # softmax: classes and background compete in each pixel, for comparison (table 2b).
    loss: Literal["sigmoid", "softmax"] = "sigmoid"
    class_agnostic: bool = False  # one mask whatever the class (section 4.2)
    soft_targets: bool = False  # learn how much of a pixel is covered, not whether (torchvision)
    norm: Norm = "none"  # of the convolutions
    # How M x M probabilities become pixels, see `ops.paste`.
    paste_rule: Literal["aligned", "torchvision", "matterport"] = "aligned"

    @pydantic.model_validator(mode="after")
    def _labels_are_hard(self):
        if self.soft_targets and self.loss == "softmax":
            raise ValueError("soft_targets needs loss sigmoid: softmax gives each pixel one label")
        return self


def mask_channels(config: MaskHeadConfig, num_classes: int) -> int:
    """Channels of the mask head's logits: one a class or one for all; softmax has a background."""
    masks = 1 if config.class_agnostic else num_classes
    return masks + 1 if config.loss == "softmax" else masks
