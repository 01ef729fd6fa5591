"""Which ground-truth object each anchor or RoI stands for (Faster R-CNN, section 3.1.2)."""

from typing import NamedTuple

import tensorflow as tf

from tfmaskrcnn.ops.boxes import covered_share, iou
from tfmaskrcnn.ops.structures import GroundTruth

# A background candidate with more than this share of its area in a crowd region is not used.
CROWD_SHARE = 0.5


class Match(NamedTuple):
    """For each of n candidate boxes of an image, its object. A box may be neither kind."""

    gt_index: tf.Tensor  # [B, n] int32, the row of the ground truth with the highest IoU
    positive: tf.Tensor  # [B, n] bool
    negative: tf.Tensor  # [B, n] bool, background


def match_boxes(
    boxes: tf.Tensor,
    ground_truth: GroundTruth,
    positive_iou: float,
    negative_iou: float,
    keep_best: bool,
) -> Match:
    """Match candidates to objects by IoU.

    Args:
        boxes: [B, n, 4] or [1, n, 4] float32 yxyx pixels.
        ground_truth: padded objects; crowd rows are never matched.
        positive_iou: at or above it a box is positive.
        negative_iou: below it a box is background; in between it is neither.
        keep_best: also make positive the boxes of the highest IoU with each object, ties included
            (RPN), however low it is.

    Returns:
        A `Match`. Without objects every box is background.
    """
    object_rows = ground_truth.valid & ~ground_truth.crowd  # [B, G]
    overlaps = iou(boxes, ground_truth.boxes)  # [B, n, G]
    overlaps = tf.where(tf.expand_dims(object_rows, 1), overlaps, -1.0)
    best = tf.reduce_max(overlaps, axis=2)  # [B, n]
    gt_index = tf.argmax(overlaps, axis=2, output_type=tf.int32)
    positive = best >= positive_iou
    if keep_best:
        # An object that overlaps no box at all must not turn every box positive.
        highest = tf.maximum(tf.reduce_max(overlaps, axis=1, keepdims=True), 1e-6)  # [B, 1, G]
        is_best = overlaps >= highest
        positive |= tf.reduce_any(is_best, axis=2)
    crowd_rows = ground_truth.valid & ground_truth.crowd
    in_crowd = covered_share(boxes, ground_truth.boxes)  # [B, n, G]
    in_crowd = tf.where(tf.expand_dims(crowd_rows, 1), in_crowd, 0.0)
    ignored = tf.reduce_max(in_crowd, axis=2) > CROWD_SHARE
    negative = (best < negative_iou) & ~positive & ~ignored
    return Match(gt_index, positive, negative)
