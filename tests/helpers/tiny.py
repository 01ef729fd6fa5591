"""A model and a data set small enough to train within a test."""

import os

from tfmaskrcnn.config.yaml_files import load_config
from tfmaskrcnn.data import write_shapes

OVERRIDES = (
    "model.num_classes=3",
    "input.min_side=96",
    "input.max_side=128",
    "backbone={name: resnet18, norm: bn, freeze_at: 0}",
    "fpn.channels=16",
    "anchors.sizes=[[16], [32], [64], [96], [128]]",
    "rpn={post_nms_top_k_training: 60, post_nms_top_k: 60, samples_per_image: 64}",
    "box_head={hidden: 32, samples_per_image: 16, max_detections: 20}",
    "mask_head={channels: 16, num_convs: 1}",
    "data.max_instances=8",
    "train={batch_size: 2, epochs: 2, clip_norm: 5, schedule: {warmup_steps: 5}}",
)


def tiny_config(*overrides):
    """A ResNet-18 of thin heads for 96 x 128 images of three classes."""
    return load_config(None, [*OVERRIDES, *overrides])


def tiny_data(folder, num_images=4, seed=0, num_objects=(2, 4)):
    """(json, image folder) of shapes in 96 x 128 images."""
    return write_shapes(
        os.fspath(folder),
        num_images=num_images,
        height=96,
        width=128,
        num_objects=num_objects,
        seed=seed,
    )
