"""The configuration: frozen pydantic models of the model, the data, the run and the evaluation.

`yaml_files` reads them from YAML and writes the resolved whole beside every checkpoint.
"""

from typing import Annotated, Dict, Literal, Optional, Tuple

import pydantic
from pydantic import Field

from tfmaskrcnn.config.base import Count, NotNegative, Objects, Positive, Section, Share, Side
from tfmaskrcnn.config.bounds import check_batch, input_pixels
from tfmaskrcnn.config.class_sources import ClassSources, class_sources
from tfmaskrcnn.config.model import ModelConfig
from tfmaskrcnn.config.phases import Phases, checked_phases

Batch = Annotated[int, Field(gt=0, le=1 << 16)]  # images at a time
Limit = Annotated[int, Field(gt=0, le=1_000_000_000)]  # images or steps; more means all of them
Factor = Annotated[float, Field(gt=0, le=100)]  # of an image's sides


class AugmentConfig(Section):
    """Random changes of training images; every default leaves the image as it is, but the flip."""

    horizontal_flip: Share = 0.5  # probability
    vertical_flip: Share = 0.0
    quarter_turns: bool = False  # turn by 0, 90, 180 or 270 degrees, each as likely
    min_sides: Tuple[Side, ...] = ()  # draw input.min_side from these (multi-scale training)
    scale: Tuple[Factor, Factor] = (1.0, 1.0)  # multiply the resized image's size by a factor
    # log: as likely to halve the size as to double it; uniform: each factor as likely (Detectron2).
    scale_law: Literal["log", "uniform"] = "log"
    # Turn about the image's centre by up to this many degrees either way. The frame keeps its size;
    # what is new in it looks like padding.
    rotation: float = Field(0.0, ge=0, le=180)
    shear: float = Field(0.0, ge=0, lt=45)  # slant each axis by up to this many degrees either way
    # (height, width): cut a window of at most this size out of the resized image.
    crop: Optional[Tuple[Side, Side]] = None
    object_crops: Share = 0.8  # of the windows show the centre of an object; others lie anywhere
    # An object is left out when less than this share of its area is inside the window, or is not
    # hidden by a pasted object.
    min_visible: Share = 0.1
    brightness: float = Field(0.0, ge=0, lt=1)  # add up to this share of 255
    contrast: float = Field(0.0, ge=0, lt=1)  # scale about the mean by 1 +- this
    saturation: Share = 0.0  # scale colours about their grey by 1 +- this
    hue: float = Field(0.0, ge=0, le=0.5)  # turn colours by up to this share of the colour circle
    copy_paste: Share = 0.0  # probability: objects of another image are pasted into this one
    # "module:function" of your own, called for every training image first of all; see
    # docs/augmentation.md.
    function: Optional[Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]] = None

    @pydantic.model_validator(mode="after")
    def _scale_in_order(self):
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"scale {self.scale} must be (least, most)")
        return self


class DataConfig(Section):
    """Where the data lie and how they are read."""

    train_json: Optional[str] = None  # COCO instance annotations
    train_images: Optional[str] = None  # the folder its file names start from
    # Instead of both: shards of `tfmaskrcnn write-tfrecord`, such as records/train-*.tfrecord.
    train_tfrecord: Optional[str] = None
    # Without them nothing is evaluated, and the last epoch's weights are kept.
    val_json: Optional[str] = None
    val_images: Optional[str] = None
    # Learn these categories only, by name: [car, person]; or some as one class:
    # {vehicle: [car, truck], person: person}. Objects of all others are background.
    classes: Optional[ClassSources] = None
    max_instances: int = Field(100, gt=0, le=10_000)  # G; of more objects a random choice is used
    # Show images of rare classes more often: those of a class in a share f of all images
    # sqrt(t / f) times an epoch, where that is above 1 (LVIS, Gupta et al. 2019, has t = 0.001).
    repeat_threshold: Optional[Annotated[float, Field(gt=0, le=1)]] = None
    # Of crowd regions (COCO's iscrowd) in training: not used, neither as objects nor as background,
    # or background like all else, as in torchvision and Detectron2.
    crowds: Literal["unused", "background"] = "unused"
    skip_invalid: bool = False  # leave wrong annotations out instead of stopping
    # For a trial: use so many images of each split, those with objects before the others.
    limit: Optional[Limit] = None
    augment: AugmentConfig = AugmentConfig()

    @pydantic.field_validator("classes", mode="before")
    @classmethod
    def _named(cls, value):
        return None if value is None else class_sources(value)


class ScheduleConfig(Section):
    """Learning rate over the run."""

    # "ramp" is for `find-rate`: exponentially from warmup_factor times the rate up to the rate.
    kind: Literal["steps", "cosine", "constant", "ramp"] = "steps"
    warmup_steps: int = Field(1000, ge=0, le=1_000_000_000)
    warmup_factor: Share = 0.001  # share of the rate at step 0, rising linearly
    milestones: Tuple[Share, ...] = (
        2 / 3,
        8 / 9,
    )  # shares of the run after which to drop (1x: 60k, 80k of 90k)
    gamma: Positive = 0.1  # factor of each drop


class TrainConfig(Section):
    """The training run."""

    # Choose from the data what nobody has set of input, anchors, limits, batch, epochs and rate.
    auto: bool = False
    batch_size: Batch = 16  # images an update, over all devices and workers together
    # mirrored: all GPUs of one machine; multi_worker: the processes that TF_CONFIG lists.
    strategy: Literal["none", "mirrored", "multi_worker"] = "none"
    epochs: Count = 12
    seed: int = Field(0, ge=0, lt=1 << 32)
    # A run folder, weights file or published name to start from; classes of another name start at
    # random.
    weights: Optional[str] = None
    # The last three come from tensorflow-addons, on TensorFlow 2.14 and 2.15.
    optimizer: Literal["sgd", "adamw", "lamb", "novograd", "sgdw"] = "sgd"
    learning_rate: Positive = 0.02
    # learning_rate is that of batches of this size, for others in proportion (Goyal et al., 2.1).
    reference_batch: Optional[Count] = None
    momentum: float = Field(0.9, ge=0, lt=1)
    # What SGD's momentum keeps: keras the steps, pytorch the gradients, whose sum the rate of each
    # step multiplies. They differ where the rate changes.
    momentum_of: Literal["keras", "pytorch"] = "keras"
    weight_decay: NotNegative = 1e-4  # L2 on kernels only
    clip_norm: Optional[Positive] = None  # of all gradients together
    # Factors of the learning rate by how a weight's path begins: {backbone: 0.1}.
    rates: Dict[str, Positive] = {}
    # mixed_*: layers compute in 16 bits; weights, boxes, losses and statistics keep 32.
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    # Go through a batch in so many parts, for less memory; None is as many as a run's device needs,
    # and 1 where batch normalisation is trained.
    accumulate: Optional[Count] = None
    xla: bool = False  # compile backbone, FPN and heads for each size of image
    # Evaluate and keep a moving average of the weights, of this decay.
    ema: Optional[float] = Field(None, gt=0, lt=1)
    evaluate_every: Count = 1  # epochs between evaluations on the val split
    validation_loss: bool = False  # with each evaluation compute the val split's losses too
    # What says which epoch is the best, whose weights are kept: the highest AP, or the lowest loss.
    early_stop_on: Literal["ap", "loss"] = "ap"
    early_stop: Optional[Count] = None  # epochs without a better one
    save_every: Optional[Limit] = None  # steps between saved states, besides those of each epoch
    keep_states: Count = 2  # the last so many; a damaged one makes way for the one before
    tensorboard: bool = True  # write tensorboard/ into the run's folder
    schedule: ScheduleConfig = ScheduleConfig()
    # Stages that train parts of the network, one after another, as Matterport's `layers`:
    # [{part: heads, until: 10}, {part: all, rate: 0.1}]; none train all of it in all epochs.
    phases: Phases = ()

    @pydantic.model_validator(mode="after")
    def _phases_in_order(self):
        checked_phases(self.phases, self.optimizer)
        return self

    @pydantic.model_validator(mode="after")
    def _whole_parts(self):
        if self.batch_size % (self.accumulate or 1):
            raise ValueError(
                f"batch_size {self.batch_size} does not divide into {self.accumulate} equal parts "
                "(accumulate)"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _there_is_a_loss_to_stop_on(self):
        if self.early_stop_on == "loss" and not self.validation_loss:
            raise ValueError("early_stop_on is loss, which needs validation_loss=true")
        return self


class EvaluationConfig(Section):
    """COCO evaluation."""

    max_detections: Tuple[Objects, Objects, Objects] = (1, 10, 100)  # COCOeval's maxDets
    batch_size: Batch = 1

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
    # The file of a run that names data.augment.function, unless it was asked for; see `trust`.
    _unasked_code: Optional[str] = pydantic.PrivateAttr(None)
    # What `train.auto` has chosen and why, in lines; see `train.auto`.
    _choices: Tuple[str, ...] = pydantic.PrivateAttr(())

    @pydantic.model_validator(mode="after")
    def _augmentation_fits_the_model(self):
        augment, model = self.data.augment, self.model
        keypoints, masks = model.keypoint_head.enabled, model.mask_head.enabled
        if augment.copy_paste and (keypoints or not masks):
            found = "keypoint_head.enabled is true" if keypoints else "mask_head.enabled is false"
            raise ValueError(f"augment.copy_paste moves masks and no keypoints; {found}")
        if augment.function and keypoints:
            raise ValueError("augment.function moves no keypoints; keypoint_head.enabled is true")
        if (augment.saturation or augment.hue) and model.input.channels != 3:
            raise ValueError(
                f"augment.saturation and augment.hue want 3 channels, input.channels is "
                f"{model.input.channels}"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _xla_does_not_synchronise(self):
        m = self.model
        norms = [part.norm for part in (m.backbone, m.fpn, m.box_head, m.mask_head)]
        if self.train.xla and "sync_bn" in norms:
            raise ValueError("train.xla compiles parts in which sync_bn cannot sum over devices")
        return self

    @pydantic.model_validator(mode="after")
    def _images_fit_a_memory(self):
        c, augment = self.model.input, self.data.augment
        longest = max((c.min_side, *augment.min_sides))
        pixels = max(input_pixels(c), longest * max(longest, c.max_side))
        grown = round(pixels * max(1.0, augment.scale[1]) ** 2)
        check_batch(grown, 1, c.channels, "model.input's sizes and data.augment.scale")
        seen = min(pixels, augment.crop[0] * augment.crop[1]) if augment.crop else grown
        part = self.train.batch_size // (self.train.accumulate or 1)
        check_batch(seen, part, c.channels, "model.input's sizes and train.batch_size")
        batch = self.evaluation.batch_size
        check_batch(pixels, batch, c.channels, "model.input's sizes and evaluation.batch_size")
        return self
