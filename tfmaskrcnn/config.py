"""The configuration: frozen pydantic models of the model, the data, the run and the evaluation.

`config_files` reads them from YAML and writes the resolved whole beside every checkpoint.
"""

from typing import Literal, Optional, Tuple

import pydantic
from pydantic import Field

from tfmaskrcnn.model_config import Count, ModelConfig, NotNegative, Positive, Section, Share


class AugmentConfig(Section):
    """Random changes of training images; every default leaves the image as it is, but the flip."""

    horizontal_flip: Share = 0.5  # probability
    vertical_flip: Share = 0.0
    quarter_turns: bool = False  # turn by 0, 90, 180 or 270 degrees, each as likely
    min_sides: Tuple[Count, ...] = ()  # draw input.min_side from these (multi-scale training)
    scale: Tuple[Positive, Positive] = (1.0, 1.0)  # multiply the resized image's size, log-uniform
    # (height, width): cut a window of at most this size out of the resized image.
    crop: Optional[Tuple[Count, Count]] = None
    min_visible: Share = 0.1  # an object is left out when a crop shows less than this of its area
    brightness: float = Field(0.0, ge=0, lt=1)  # add up to this share of 255
    contrast: float = Field(0.0, ge=0, lt=1)  # scale about the mean by 1 +- this

    @pydantic.model_validator(mode="after")
    def _scale_in_order(self):
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"scale {self.scale} must be (least, most)")
        return self


class DataConfig(Section):
    """Where the data lie and how they are read."""

    train_json: Optional[str] = None  # COCO instance annotations
    train_images: Optional[str] = None  # the folder its file names start from
    val_json: Optional[str] = None
    val_images: Optional[str] = None
    max_instances: Count = 100  # G; of more objects a random choice is used
    skip_invalid: bool = False  # leave wrong annotations out instead of stopping
    augment: AugmentConfig = AugmentConfig()


class ScheduleConfig(Section):
    """Learning rate over the run."""

    kind: Literal["steps", "cosine", "constant"] = "steps"
    warmup_steps: int = Field(1000, ge=0)
    warmup_factor: Share = 0.001  # share of the rate at step 0, rising linearly
    milestones: Tuple[Share, ...] = (
        2 / 3,
        8 / 9,
    )  # shares of the run after which to drop (1x: 60k, 80k of 90k)
    gamma: Positive = 0.1  # factor of each drop


class TrainConfig(Section):
    """The training run."""

    batch_size: Count = 16  # images an update, over all devices and workers together
    # mirrored: all GPUs of one machine; multi_worker: the processes that TF_CONFIG lists.
    strategy: Literal["none", "mirrored", "multi_worker"] = "none"
    epochs: Count = 12
    seed: int = Field(0, ge=0)
    # A run folder or weights file to start from; classes of another name start at random.
    weights: Optional[str] = None
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: Positive = 0.02
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: NotNegative = 1e-4  # L2 on kernels only
    clip_norm: Optional[Positive] = None  # of all gradients together
    evaluate_every: Count = 1  # epochs between evaluations on the val split
    early_stop: Optional[Count] = None  # epochs without a better AP
    save_every: Optional[Count] = None  # steps between saved states, besides those of each epoch
    keep_states: Count = 2  # the last so many; a damaged one makes way for the one before
    schedule: ScheduleConfig = ScheduleConfig()


class EvaluationConfig(Section):
    """COCO evaluation."""

    max_detections: Tuple[Count, Count, Count] = (1, 10, 100)  # COCOeval's maxDets
    batch_size: Count = 1

    @pydantic.model_validator(mode="after")
    def _ascending(self):
        if tuple(sorted(self.max_detections)) != self.max_detections:
            raise ValueError(f"max_detections {self.max_detections} must ascend")
        return self


class Config(Section):
    """The whole: model, data, train, evaluation."""

    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
