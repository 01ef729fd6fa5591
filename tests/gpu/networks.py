"""The networks and images that the parts use."""

import functools
import json
import os
from typing import Tuple

import numpy as np

import tfmaskrcnn as mr
from golden.weights_by_name import image, weight, with_statistics
from gpu.rows import Size
from helpers.paths import GOLDEN
from helpers.thin_torchvision import THIN_HEADS, thin_state_dict
from helpers.tiny import tiny_config
from tfmaskrcnn.config.yaml_files import load_config
from tfmaskrcnn.data import from_coco, write_shapes

# Steps of other devices are compared: nothing in them may turn on the last digit of a number.
STEADY = (
    "backbone={name: resnet18, norm: frozen_bn, freeze_at: 2}",
    "train.schedule={kind: constant, warmup_steps: 0}",
    "train.learning_rate=0.01",
    "train.clip_norm=null",
)


@functools.cache
def detector(size: Size, precision: str = "float32") -> mr.MaskRCNN:
    """A network in torchvision's dialect whose drawn weights find a hundred objects an image."""
    overrides = ["input.min_side=256", "input.max_side=320"]
    if size.miniature:
        state = thin_state_dict()
        overrides = ["input.min_side=96", "input.max_side=128", "rpn.post_nms_top_k=60"]
        overrides += THIN_HEADS
    else:
        manifest = json.loads(str(np.load(GOLDEN / "torchvision_maskrcnn.npz")["manifest"]))
        state = with_statistics({name: weight(name, shape) for name, shape in manifest}, 1e-5)
    with mr.compat.precision(precision):
        return mr.from_checkpoint(state, source="torchvision", overrides=overrides)


def pictures(size: Size):
    """Two drawn uint8 pictures of different sizes."""
    sides = ((64, 96), (96, 60)) if size.miniature else ((213, 317), (256, 200))
    return [image(*each, seed) for seed, each in enumerate(sides)]


def steady_config(*overrides: str):
    """A small network whose first step hardly depends on the device."""
    return tiny_config(*STEADY, *overrides)


def shapes(folder: str, sides: Tuple[int, int], count: int) -> Tuple[str, str]:
    """(json, image folder) of drawn pictures; the same ones whenever they are asked for."""
    name = os.path.join(folder, f"shapes-{sides[0]}x{sides[1]}-{count}")
    if not os.path.exists(name):
        write_shapes(name, count, height=sides[0], width=sides[1], num_objects=(2, 4), seed=0)
    return os.path.join(name, "instances.json"), os.path.join(name, "images")


def whole_config(size: Size, *overrides: str):
    """R50-FPN as on COCO, in miniature a tiny network; its images are not resized."""
    height, width = size.sides
    own = [f"input={{min_side: {height}, max_side: {width}}}", "model.num_classes=3"]
    own += ["data.augment={min_sides: [], scale: [1, 1]}", *overrides]
    if size.miniature:
        return tiny_config(*own)
    return load_config("maskrcnn_r50_fpn_1x_coco", own)


def one_batch(config, folder: str, sides: Tuple[int, int], count: int):
    """A training batch of `count` images as the pipeline makes it."""
    data = shapes(folder, sides, count)
    return next(iter(from_coco(*data, config, training=True)))
