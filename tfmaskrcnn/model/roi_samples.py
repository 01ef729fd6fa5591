"""Which RoIs the heads see in training (Fast R-CNN, section 2.3)."""

from typing import NamedTuple

import tensorflow as tf

from tfmaskrcnn.config.heads import BoxHeadConfig
from tfmaskrcnn.ops.matching import match_boxes
from tfmaskrcnn.ops.sampling import sample_rows
from tfmaskrcnn.ops.structures import GroundTruth, Proposals

# Numbers of RoIs that a training step's mask head may see.
_SHAPES = 8


class RoiSample(NamedTuple):
    """RoIs that the box and mask losses look at, positives first."""

    boxes: tf.Tensor  # [B, R, 4] float32 yxyx pixels
    classes: tf.Tensor  # [B, R] int32, 0 is background
    gt_index: tf.Tensor  # [B, R] int32, row of the ground truth
    positive: tf.Tensor  # [B, R] bool
    valid: tf.Tensor  # [B, R] bool


def sample_rois(
    proposals: Proposals, truth: GroundTruth, seeds: tf.Tensor, config: BoxHeadConfig
) -> RoiSample:
    """Proposals and the ground truth itself, matched and sampled (Fast R-CNN, section 2.3)."""
    boxes = tf.concat([proposals.boxes, truth.boxes], axis=1)
    usable = tf.concat([proposals.valid, truth.valid & ~truth.crowd], axis=1)
    match = match_boxes(boxes, truth, config.positive_iou, config.positive_iou, keep_best=False)
    sample = sample_rows(
        match.positive & usable,
        match.negative & usable,
        config.samples_per_image,
        config.positive_fraction,
        seeds + 1,
    )
    gt_index = tf.gather(match.gt_index, sample.index, batch_dims=1)
    classes = tf.gather(truth.classes, gt_index, batch_dims=1)
    return RoiSample(
        tf.gather(boxes, sample.index, batch_dims=1),
        tf.where(sample.positive, classes, 0),
        gt_index,
        sample.positive,
        sample.valid,
    )


def most_positives(config: BoxHeadConfig) -> int:
    """How many RoIs of an image can be positive."""
    return max(int(config.samples_per_image * config.positive_fraction), 1)


def positives_only(rois: RoiSample, config: BoxHeadConfig, fixed: bool = False) -> RoiSample:
    """The first rows of a sample: all that the mask head must see, and few more.

    As many as the image with most of them has positives, rounded up to an eighth of those that can
    be: a step has one of eight shapes, for each of which a GPU chooses its kernels once. The rest
    would be computed and then left out of the loss.

    Args:
        rois: positives first.
        config: says how many can be positive.
        fixed: take that many, so that the shape is static.
    """
    most = most_positives(config)
    rows = most if fixed else _rounded_up(_most_in_one_image(rois.positive), most)
    return RoiSample(*(part[:, :rows] for part in rois))


def _most_in_one_image(positive: tf.Tensor) -> tf.Tensor:
    return tf.reduce_max(tf.reduce_sum(tf.cast(positive, tf.int32), axis=1))


def _rounded_up(count: tf.Tensor, most: int) -> tf.Tensor:
    step = -(-most // _SHAPES)
    # At least one step: a convolution of no images has no gradient on some devices.
    return tf.clip_by_value((count + step - 1) // step * step, step, most)
