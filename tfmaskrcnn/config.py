"""The configuration: frozen pydantic models with the paper's and Detectron2's baseline as defaults.

A YAML file states only what differs from its `base:`; `--set a.b=c` changes single values; the
resolved whole is written beside every checkpoint as `config.json`.
"""

import difflib
import json
import os
from typing import Any, Dict, List, Literal, Optional, Sequence, Tuple

import pydantic
import yaml

from tfmaskrcnn.errors import InputError


class Section(pydantic.BaseModel):
    """A frozen part of the configuration that refuses unknown keys."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", validate_default=True)


class InputConfig(Section):
    """From an image file to the network's input; the same at training, prediction and export."""

    min_side: int = pydantic.Field(800, gt=0)  # the short side after resizing, pixels ...
    max_side: int = pydantic.Field(1333, gt=0)  # ... unless the long side would exceed this
    # (height, width): fit into this, keep the aspect ratio, pad to it. Replaces min_side/max_side
    # and gives a network of static shape, which TensorRT wants.
    fixed_size: Optional[Tuple[int, int]] = None
    pad_multiple: int = pydantic.Field(32, gt=0, multiple_of=32)  # p5 has stride 32
    mean: Tuple[float, float, float] = (123.675, 116.28, 103.53)  # RGB, ImageNet
    std: Tuple[float, float, float] = (58.395, 57.12, 57.375)
    # Microscopy: stretch each image's own 0.2..99.8 percentiles to 0..255.
    stretch_contrast: bool = False
    # Microscopy: turn an image with a bright background into its negative.
    invert_bright: bool = False

    @pydantic.model_validator(mode="after")
    def _sides_in_order(self):
        if self.max_side < self.min_side:
            raise ValueError(f"max_side {self.max_side} is less than min_side {self.min_side}")
        if self.fixed_size and any(s <= 0 or s % self.pad_multiple for s in self.fixed_size):
            raise ValueError(
                f"fixed_size {self.fixed_size} must be a multiple of pad_multiple {self.pad_multiple}"
            )
        return self


BackboneName = Literal[
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
]


class BackboneConfig(Section):
    """The feature extractor below the pyramid."""

    name: BackboneName = "resnet50"
    # frozen_bn: fixed statistics and scale; bn: trained batch normalisation.
    norm: Literal["frozen_bn", "bn"] = "frozen_bn"
    stride_in_1x1: bool = True  # MSRA's ResNet has the stride in the 1x1, torchvision's in the 3x3
    # Stages that are not trained: 0 none, 1 the stem, 2 the stem and res2 (Detectron's choice).
    freeze_at: int = pydantic.Field(2, ge=0, le=5)
    # Where the starting weights come from: a file, "imagenet" (EfficientNet-Lite0), or nothing.
    weights: Optional[str] = None


class FpnConfig(Section):
    """Feature pyramid (FPN paper, section 3)."""

    channels: int = pydantic.Field(256, gt=0)


class AnchorConfig(Section):
    """Anchors: one tuple of sizes a pyramid level, p2 to p6 (FPN paper, section 4.1)."""

    sizes: Tuple[Tuple[float, ...], ...] = ((32,), (64,), (128,), (256,), (512,))  # sqrt of area
    ratios: Tuple[float, ...] = (0.5, 1.0, 2.0)  # height / width
    offset: float = 0.0  # centre of cell i at (i + offset) * stride; 0 in Detectron2

    @pydantic.model_validator(mode="after")
    def _same_count_on_all_levels(self):
        if len(self.sizes) != 5 or len({len(s) for s in self.sizes}) != 1 or not self.sizes[0]:
            raise ValueError(
                f"sizes {self.sizes} must hold 5 lists (p2 to p6) of the same, non-zero length: "
                "the RPN head is shared by all levels"
            )
        return self


class RpnConfig(Section):
    """Region proposal network (Faster R-CNN, section 3.1; numbers as in Detectron2)."""

    positive_iou: float = 0.7
    negative_iou: float = 0.3
    samples_per_image: int = 256
    positive_fraction: float = 0.5
    pre_nms_top_k: int = pydantic.Field(1000, gt=0, le=3840)  # a level; TensorRT's TopK takes 3840
    pre_nms_top_k_training: int = pydantic.Field(2000, gt=0)
    post_nms_top_k: int = pydantic.Field(1000, gt=0)  # an image
    post_nms_top_k_training: int = pydantic.Field(1000, gt=0)
    nms_iou: float = 0.7
    smooth_l1_beta: float = 0.0  # 0 is the plain L1 loss


class RoiConfig(Section):
    """Where on the pyramid a RoI is read (FPN paper, equation 1) and how."""

    canonical_size: float = 224.0  # a RoI of this side reads ...
    canonical_level: int = 4  # ... this level
    sampling_ratio: int = pydantic.Field(2, ge=1)  # samples a bin and axis
    aligned: bool = True  # shift by half a feature pixel, so that samples lie at pixel centres


class BoxHeadConfig(Section):
    """Two-layer box head, its training samples and its detections."""

    roi_side: int = 7
    hidden: int = 1024
    positive_iou: float = 0.5
    samples_per_image: int = 512
    positive_fraction: float = 0.25
    delta_weights: Tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)  # dy, dx, dh, dw
    smooth_l1_beta: float = 0.0
    score_threshold: float = 0.05
    nms_iou: float = 0.5
    max_detections: int = pydantic.Field(100, gt=0)


class MaskHeadConfig(Section):
    """FCN mask head (Mask R-CNN, figure 4 right)."""

    roi_side: int = 14  # the mask has twice this side
    channels: int = 256
    num_convs: int = 4


class ModelConfig(Section):
    """Everything that shapes the network and its detections."""

    num_classes: int = pydantic.Field(80, gt=0)  # K, foreground only
    class_names: Tuple[str, ...] = ()  # of classes 1..K
    category_ids: Tuple[int, ...] = ()  # the data set's ids of classes 1..K
    input: InputConfig = InputConfig()
    backbone: BackboneConfig = BackboneConfig()
    fpn: FpnConfig = FpnConfig()
    anchors: AnchorConfig = AnchorConfig()
    rpn: RpnConfig = RpnConfig()
    roi: RoiConfig = RoiConfig()
    box_head: BoxHeadConfig = BoxHeadConfig()
    mask_head: MaskHeadConfig = MaskHeadConfig()

    @pydantic.model_validator(mode="after")
    def _labels_fit_the_classes(self):
        for key in ("class_names", "category_ids"):
            found = len(getattr(self, key))
            if found not in (0, self.num_classes):
                raise ValueError(f"{key} has {found} entries, num_classes is {self.num_classes}")
        return self


class AugmentConfig(Section):
    """Random changes of training images; every default leaves the image as it is, but the flip."""

    horizontal_flip: float = pydantic.Field(0.5, ge=0, le=1)  # probability
    vertical_flip: float = pydantic.Field(0.0, ge=0, le=1)
    quarter_turns: bool = False  # turn by 0, 90, 180 or 270 degrees, each as likely
    min_sides: Tuple[int, ...] = ()  # draw input.min_side from these (multi-scale training)
    scale: Tuple[float, float] = (1.0, 1.0)  # multiply the resized image's size, log-uniform
    # (height, width): cut a window of at most this size out of the resized image.
    crop: Optional[Tuple[int, int]] = None
    min_visible: float = 0.1  # an object is left out when a crop shows less than this of its area
    brightness: float = pydantic.Field(0.0, ge=0, lt=1)  # add up to this share of 255
    contrast: float = pydantic.Field(0.0, ge=0, lt=1)  # scale about the mean by 1 +- this


class DataConfig(Section):
    """Where the data lie and how they are read."""

    train_json: Optional[str] = None  # COCO instance annotations
    train_images: Optional[str] = None  # the folder its file names start from
    val_json: Optional[str] = None
    val_images: Optional[str] = None
    max_instances: int = pydantic.Field(100, gt=0)  # G; of more objects a random choice is used
    skip_invalid: bool = False  # leave wrong annotations out instead of stopping
    augment: AugmentConfig = AugmentConfig()


class ScheduleConfig(Section):
    """Learning rate over the run."""

    kind: Literal["steps", "cosine", "constant"] = "steps"
    warmup_steps: int = pydantic.Field(1000, ge=0)
    warmup_factor: float = 0.001  # share of the rate at step 0, rising linearly
    milestones: Tuple[float, ...] = (
        2 / 3,
        8 / 9,
    )  # shares of the run after which to drop (1x: 60k, 80k of 90k)
    gamma: float = 0.1  # factor of each drop


class TrainConfig(Section):
    """The training run."""

    batch_size: int = pydantic.Field(16, gt=0)
    epochs: int = pydantic.Field(12, gt=0)
    seed: int = pydantic.Field(0, ge=0)
    # A run folder or weights file to start from; classes of another name start at random.
    weights: Optional[str] = None
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = pydantic.Field(0.02, gt=0)
    momentum: float = pydantic.Field(0.9, ge=0, lt=1)
    weight_decay: float = pydantic.Field(1e-4, ge=0)  # L2 on kernels only
    clip_norm: Optional[float] = pydantic.Field(None, gt=0)  # of all gradients together
    evaluate_every: int = pydantic.Field(1, gt=0)  # epochs between evaluations on the val split
    early_stop: Optional[int] = pydantic.Field(None, gt=0)  # epochs without a better mask AP
    schedule: ScheduleConfig = ScheduleConfig()


class EvaluationConfig(Section):
    """COCO evaluation."""

    max_detections: Tuple[int, int, int] = (1, 10, 100)  # COCOeval's maxDets
    batch_size: int = pydantic.Field(1, gt=0)


class Config(Section):
    """The whole: model, data, train, evaluation."""

    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()
    evaluation: EvaluationConfig = EvaluationConfig()


def load_config(path: Optional[str] = None, overrides: Sequence[str] = ()) -> Config:
    """Read a configuration.

    Args:
        path: a `.yaml` or `.json` file, or a run folder that holds `config.json`; None takes the
            defaults. A file's `base:` names another one, relative to itself, that it changes.
        overrides: `"key=value"` strings with dotted keys and YAML values, the last one wins. A key
            of a model section may leave out `model.`: `"input.min_side=512"`.

    Raises:
        InputError: the file is missing or no YAML, a key is unknown (with a suggestion), or a
            value has the wrong type.
    """
    raw = _read_with_bases(os.fspath(path), ()) if path else {}
    return parse_config(raw, overrides, os.fspath(path) if path else "the defaults")


def parse_config(
    raw: Dict[str, Any], overrides: Sequence[str] = (), source: str = "config"
) -> Config:
    """Check nested dictionaries against `Config`; errors name `source`, the key and the value."""
    for text in overrides:
        key, value = _split_override(text)
        raw = _merged(raw, _nested(key, value))
    try:
        return Config.model_validate(raw)
    except pydantic.ValidationError as error:
        raise InputError(f"{source}: " + "; ".join(_explained(e) for e in error.errors())) from None


def override(config: Config, overrides: Sequence[str]) -> Config:
    """`config` with `"key=value"` changes, checked again as a whole."""
    return parse_config(config.model_dump(), overrides)


def save_config(config: Config, path: str) -> None:
    """Write the resolved configuration as JSON."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(config.model_dump_json(indent=2) + "\n")


def _read_with_bases(path: str, seen: Tuple[str, ...]) -> Dict[str, Any]:
    if os.path.isdir(path):
        path = os.path.join(path, "config.json")
    real = os.path.realpath(path)
    if real in seen:
        raise InputError(f"{path}: its `base:` leads back to itself.")
    try:
        with open(path, encoding="utf-8") as file:
            raw = json.load(file) if path.endswith(".json") else yaml.safe_load(file)
    except OSError as error:
        raise InputError(f"Cannot read the configuration {path}: {error.strerror}.") from None
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} is not valid YAML or JSON: {reason}.") from None
    raw = {} if raw is None else raw
    if not isinstance(raw, dict):
        raise InputError(f"{path} must hold keys and values, found {type(raw).__name__}.")
    base = raw.pop("base", None)
    if base is None:
        return raw
    if not isinstance(base, str):
        raise InputError(f"{path}: `base` must be a file name, found {base!r}.")
    return _merged(_read_with_bases(os.path.join(os.path.dirname(path), base), (*seen, real)), raw)


def _merged(low: Dict[str, Any], high: Dict[str, Any]) -> Dict[str, Any]:
    out = dict(low)
    for key, value in high.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = _merged(out[key], value) if both else value
    return out


def _split_override(text: str) -> Tuple[List[str], Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(f"{text!r} is no setting; write key=value, such as train.batch_size=4.")
    parts = key.strip().split(".")
    if parts[0] not in Config.model_fields and parts[0] in ModelConfig.model_fields:
        parts.insert(0, "model")
    try:
        return parts, yaml.safe_load(value)
    except yaml.YAMLError:
        raise InputError(f"{text!r}: the value is not valid YAML.") from None


def _nested(parts: List[str], value: Any) -> Dict[str, Any]:
    for part in reversed(parts):
        value = {part: value}
    return value


def _explained(error: Dict[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"]) or "config"
    if error["type"] != "extra_forbidden":
        return (
            f"{where}: {error['msg']}, found {error['input']!r}" if error["loc"] else error["msg"]
        )
    near = difflib.get_close_matches(where, _all_keys(Config), n=1, cutoff=0.6)
    return f"unknown key {where!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def _all_keys(section, prefix: str = "") -> List[str]:
    keys = []
    for name, field in section.model_fields.items():
        keys.append(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            keys += _all_keys(field.annotation, f"{prefix}{name}.")
    return keys
