"""The model's part of the configuration: the paper and Detectron2's baseline as defaults.

One section a part of the network; every constant in which torchvision, Detectron2 and Matterport
differ is a value here (`checkpoints/presets.py` sets them).
"""

from typing import Annotated, Literal, Optional, Tuple, Union

import pydantic
from pydantic import Field

from tfmaskrcnn.config.base import (
    MAX_CLASSES,
    Channels,
    Few,
    Finite,
    FourFactors,
    Id,
    Norm,
    NotNegative,
    Objects,
    Positive,
    Section,
    Share,
    Side,
)
from tfmaskrcnn.config.bounds import check_tensors
from tfmaskrcnn.config.class_weights import check_weighed
from tfmaskrcnn.config.heads import BoxHeadConfig, MaskHeadConfig
from tfmaskrcnn.config.keypoints import KeypointHeadConfig
from tfmaskrcnn.errors import quoted


class InputConfig(Section):
    """From an image file to the network's input; the same at training, prediction and export."""

    min_side: Side = 800  # the short side after resizing, pixels ...
    max_side: Side = 1333  # ... unless the long side would exceed this
    # (height, width): fit into this, keep the aspect ratio, pad to it. Replaces min_side/max_side
    # and gives a network of static shape, which TensorRT wants.
    fixed_size: Optional[Tuple[Side, Side]] = None
    pad_multiple: int = Field(32, gt=0, le=1 << 12, multiple_of=32)  # p5 has stride 32
    # Sides after resizing become whole by this; floor is torchvision's, "even" is nearest with
    # halves to the even side (Python's round, Matterport).
    size_rounding: Literal["nearest", "floor", "even"] = "nearest"
    enlarge_only: bool = False  # min_side makes no image smaller, max_side alone does (Matterport)
    # corner: the mean colour at the bottom and the right. centred: black on all sides of the image,
    # up to max_side x max_side or fixed_size (Matterport).
    padding: Literal["corner", "centred"] = "corner"
    # Whose bilinear filter: "torch" does not antialias (torchvision), "pillow" rounds as Pillow
    # does (Detectron2) and is several times slower. See `ops.resize`.
    resize: Literal["tensorflow", "torch", "pillow", "skimage"] = "tensorflow"
    # Turn an image as its EXIF orientation asks (viewers, annotation tools, Detectron2) or take the
    # stored pixels (torchvision, Matterport); so does a SavedModel that gets the bytes of a file.
    exif: Literal["apply", "ignore"] = "apply"
    channels: int = Field(
        3, gt=0, le=1024
    )  # 1 grey, 3 colour, 4 with alpha; others come from .npy files
    order: Literal["rgb", "bgr"] = "rgb"  # of the channels that the network gets, and mean and std
    mean: Tuple[Finite, ...] = (123.675, 116.28, 103.53)  # a channel; RGB, ImageNet
    std: Tuple[Positive, ...] = (58.395, 57.12, 57.375)
    # Microscopy: stretch each image's own 0.2..99.8 percentiles to 0..255.
    stretch_contrast: bool = False
    # Microscopy: turn an image with a bright background into its negative.
    invert_bright: bool = False

    @property
    def static_size(self) -> Optional[Tuple[int, int]]:
        """(height, width) of the padded input if it is the same for all images."""
        square = (self.max_side, self.max_side) if self.padding == "centred" else None
        return self.fixed_size or square

    @pydantic.model_validator(mode="after")
    def _sides_in_order(self):
        if self.max_side < self.min_side:
            raise ValueError(f"max_side {self.max_side} is less than min_side {self.min_side}")
        if self.fixed_size and any(s % self.pad_multiple for s in self.fixed_size):
            raise ValueError(
                f"fixed_size {self.fixed_size} is no multiple of pad_multiple {self.pad_multiple}"
            )
        if self.static_size and any(s % self.pad_multiple for s in self.static_size):
            raise ValueError(
                f"max_side {self.max_side}, the side of the square that padding 'centred' fills, "
                f"is no multiple of pad_multiple {self.pad_multiple}"
            )
        for key in ("mean", "std"):
            if len(getattr(self, key)) != self.channels:
                raise ValueError(
                    f"{key} {quoted(getattr(self, key))} must have one entry for each of "
                    f"{self.channels} channels; set channels, mean and std together"
                )
        if self.order == "bgr" and self.channels != 3:
            raise ValueError(f"order bgr needs 3 channels, found {self.channels}")
        return self


BackboneName = Literal[
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
]


# Before the name of a model of `keras.applications`, such as "keras.EfficientNetB0".
KERAS_PREFIX = "keras."
OWN = "own"  # the name of a model that Python was given


class BackboneConfig(Section):
    """The feature extractor below the pyramid."""

    name: Union[BackboneName, Annotated[str, Field(pattern=r"^(keras\.[A-Z]\w*|own)$")]] = (
        "resnet50"
    )
    # Layers of a keras.* backbone of strides 4, 8, 16, 32; empty takes the last of each stride.
    # Those of an own one are given with it.
    feature_layers: Tuple[str, ...] = ()
    norm: Literal["frozen_bn", "bn", "sync_bn", "gn"] = "frozen_bn"
    # MSRA's ResNet has it in the 1x1 (None), torchvision's and all others (None) in the 3x3.
    stride_in_1x1: Optional[bool] = None
    # Of the stem's max pooling: "same" is TensorFlow's, which pads an even map at the bottom and
    # the right only (Matterport).
    stem_pool: Literal["symmetric", "same"] = "symmetric"
    # Added to the variance; None is the family's own (ResNet 1e-5, EfficientNet-Lite 1e-3).
    norm_epsilon: Optional[NotNegative] = None
    # Stages that are not trained: 0 none, 1 the stem, 2 the stem and res2 (Detectron's choice).
    freeze_at: int = Field(2, ge=0, le=5)
    # Where weights come from at first: a file, a published name, "imagenet" (EfficientNet-Lite0,
    # keras.*), nothing.
    weights: Optional[str] = None
    recompute: bool = False  # of a ResNet: blocks anew for the gradient, for less memory

    @pydantic.model_validator(mode="after")
    def _four_feature_layers(self):
        if self.feature_layers and not self.name.startswith((KERAS_PREFIX, OWN)):
            raise ValueError(f"feature_layers is for keras.* backbones, name is {self.name}")
        if len(self.feature_layers) not in (0, 4):
            raise ValueError(f"feature_layers {quoted(self.feature_layers)} must name 4 layers")
        return self

    @pydantic.model_validator(mode="after")
    def _norm_fits_the_channels(self):
        if self.norm == "gn" and self.name.startswith("efficientnet"):
            raise ValueError(f"norm gn makes 32 groups, which the channels of {self.name} do not")
        return self


class FpnConfig(Section):
    """Feature pyramid (FPN paper, section 3)."""

    channels: Channels = 256
    norm: Norm = "none"


class AnchorConfig(Section):
    """Anchors: one tuple of sizes a pyramid level, p2 to p6 (FPN paper, section 4.1)."""

    sizes: Tuple[Tuple[Positive, ...], ...] = ((32,), (64,), (128,), (256,), (512,))  # sqrt of area
    ratios: Tuple[Positive, ...] = Field(
        (0.5, 1.0, 2.0), min_length=1, max_length=100
    )  # height / width
    offset: Finite = 0.0  # centre of cell i at (i + offset) * stride; 0 in Detectron2
    whole_pixels: bool = False  # round a cell's anchors about its centre (torchvision)
    # Stride = padded side // cells of the level (torchvision), which is less than 64 on a p6 made
    # of an odd p5, instead of 4, 8, .. 64.
    stride_from_size: bool = False
    # With several sizes a level: all sizes of the first ratio first (torchvision), or all ratios of
    # the first size, in the outputs of the RPN.
    ratio_major: bool = False

    @pydantic.model_validator(mode="after")
    def _same_count_on_all_levels(self):
        if len(self.sizes) != 5 or len({len(s) for s in self.sizes}) != 1 or not self.sizes[0]:
            raise ValueError(
                f"sizes {quoted(self.sizes)} must hold 5 lists (p2 to p6) of the same, non-zero "
                "length: the RPN head is shared by all levels"
            )
        return self


class RpnConfig(Section):
    """Region proposal network (Faster R-CNN, section 3.1; numbers as in Detectron2)."""

    num_convs: Few = 1  # 3x3 convolutions before objectness and deltas
    channels: Optional[Channels] = None  # of those; None takes the pyramid's
    positive_iou: Share = 0.7
    negative_iou: Share = 0.3
    samples_per_image: Objects = 256
    positive_fraction: Share = 0.5
    delta_weights: FourFactors = (1.0, 1.0, 1.0, 1.0)  # dy, dx, dh, dw
    clamp_deltas: bool = True  # a box grows to 1000/16 of its anchor at most; Matterport has no cap
    # The counts and the NMS are of each level; or of all together, by scores, whose ties (an object
    # beyond doubt has 1.0) go to the larger map and then by position (Matterport).
    scope: Literal["level", "all"] = "level"
    # TensorRT's TopK takes 3840 at most; beyond that the operation stays outside its engines.
    pre_nms_top_k: Objects = 1000
    pre_nms_top_k_training: Objects = 2000
    # Proposals end at the border of the image, or of the padded input (Matterport).
    clip_to: Literal["image", "input"] = "image"
    post_nms_top_k: Objects = 1000  # an image
    post_nms_top_k_training: Objects = 1000
    nms_iou: Share = 0.7
    # Proposals with a side up to this are left out, pixels; None keeps even empty ones.
    min_side: Optional[NotNegative] = 0.0
    score_threshold: Share = 0.0  # less likely ones are left out before NMS
    smooth_l1_beta: NotNegative = 0.0  # 0 is the plain L1 loss

    @pydantic.model_validator(mode="after")
    def _thresholds_in_order(self):
        if self.negative_iou > self.positive_iou:
            raise ValueError(
                f"negative_iou {self.negative_iou} is above positive_iou {self.positive_iou}"
            )
        return self


class RoiConfig(Section):
    """Where on the pyramid a RoI is read (FPN paper, equation 1) and how."""

    canonical_size: Positive = 224.0  # a RoI of this side reads ...
    canonical_level: int = Field(4, ge=-100, le=100)  # ... this level
    level_rounding: Literal["floor", "round"] = "floor"  # of log2(side / canonical_size)
    # crop_and_resize: one sample a bin, the first and last on the RoI's border (Matterport).
    # roi_pool: Fast R-CNN's maxima over whole feature pixels, for comparison (tables 2c, 2d).
    method: Literal["roi_align", "roi_pool", "crop_and_resize"] = "roi_align"
    # Samples a bin and axis; 0 as many as a bin covers feature pixels (Detectron2; inference only).
    sampling_ratio: int = Field(2, ge=0, le=32)
    aligned: bool = True  # shift by half a feature pixel, so that samples lie at pixel centres


class ModelConfig(Section):
    """Everything that shapes the network and its detections."""

    num_classes: int = Field(80, gt=0, le=MAX_CLASSES)  # K, foreground only
    class_names: Tuple[str, ...] = ()  # of classes 1..K
    category_ids: Tuple[Id, ...] = ()  # the data set's ids of classes 1..K
    # Inside the network a box ends at the index of its last pixel, y2 - 1, and an image of H pixels
    # spans H - 1 (Matterport); results and ground truth are the usual boxes all the same.
    inclusive_boxes: bool = False
    input: InputConfig = InputConfig()
    backbone: BackboneConfig = BackboneConfig()
    fpn: FpnConfig = FpnConfig()
    anchors: AnchorConfig = AnchorConfig()
    rpn: RpnConfig = RpnConfig()
    roi: RoiConfig = RoiConfig()
    box_head: BoxHeadConfig = BoxHeadConfig()
    mask_head: MaskHeadConfig = MaskHeadConfig()
    keypoint_head: KeypointHeadConfig = KeypointHeadConfig()

    @pydantic.model_validator(mode="after")
    def _groups_fit_the_channels(self):
        box, fpn, mask = self.box_head, self.fpn, self.mask_head
        for part, count in ((box, box.conv_channels), (fpn, fpn.channels), (mask, mask.channels)):
            if part.norm == "gn" and count % 32:
                raise ValueError(f"norm gn makes 32 groups, which {count} channels do not")
        return self

    @pydantic.model_validator(mode="after")
    def _labels_fit_the_classes(self):
        for key in ("class_names", "category_ids"):
            found = len(getattr(self, key))
            if found not in (0, self.num_classes):
                raise ValueError(f"{key} has {found} entries, num_classes is {self.num_classes}")
        check_weighed(self.box_head.class_weights, self.class_names)
        return self

    @pydantic.model_validator(mode="after")
    def _tensors_fit_a_memory(self):
        check_tensors(self)
        return self
