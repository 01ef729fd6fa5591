"""Which ground-truth object each anchor or RoI stands for (Faster R-CNN, section 3.1.2)."""

from typing import NamedTuple

import tensorflow as tf

from tfmaskrcnn.ops.boxes import area
from tfmaskrcnn.ops.structures import GroundTruth
from tfmaskrcnn.ops.tensors import side as length

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

    One object after another: an IoU of all pairs at once would take 120 MB for 240,000 anchors and
    128 objects, several times over.

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
    boxes = tf.stop_gradient(boxes)
    shape = [length(ground_truth.boxes, 0), length(boxes, 1)]  # B, n
    corners, size = tf.unstack(boxes, axis=-1), area(boxes)  # each [B, n] or [1, n]
    objects = ground_truth.valid & ~ground_truth.crowd  # [B, G]
    crowds = ground_truth.valid & ground_truth.crowd

    def with_row(g, best, gt_index, is_best, in_crowd):
        row = ground_truth.boxes[:, g : g + 1]  # [B, 1, 4]
        shared = _shared_area(corners, tf.unstack(row, axis=-1))  # [B, n]
        overlap = tf.math.divide_no_nan(shared, size + area(row) - shared)
        overlap = tf.where(objects[:, g : g + 1], overlap, -1.0)
        # An object that overlaps no box at all must not turn every box positive.
        highest = tf.maximum(tf.reduce_max(overlap, axis=1, keepdims=True), 1e-6)
        covered = tf.math.divide_no_nan(shared, size)
        covered = tf.where(crowds[:, g : g + 1], covered, 0.0)
        return (
            g + 1,
            tf.maximum(best, overlap),
            # Not int32, which has no such kernels on a GPU; a number of rows is exact.
            tf.where(overlap > best, tf.cast(g, tf.float32), gt_index),
            is_best | (overlap >= highest),
            tf.maximum(in_crowd, covered),
        )

    number = tf.range(1, length(ground_truth.boxes, 1) + 1)
    rows = tf.reduce_max(tf.where(ground_truth.valid, number, 0))  # without the padding behind them
    start = (0, tf.fill(shape, -1.0), tf.zeros(shape), tf.zeros(shape, tf.bool), tf.zeros(shape))
    _, best, gt_index, is_best, in_crowd = tf.while_loop(
        lambda g, *_: g < rows, with_row, start, parallel_iterations=1
    )
    positive = best >= positive_iou
    if keep_best:
        positive |= is_best
    negative = (best < negative_iou) & ~positive & ~(in_crowd > CROWD_SHARE)
    return Match(tf.cast(gt_index, tf.int32), positive, negative)


def _shared_area(corners, others) -> tf.Tensor:
    """Square pixels that boxes share, [B, n]; (y1, x1, y2, x2), each [B, n], of the others [B, 1].

    A plane of each coordinate: reading one out of four costs more than all of the arithmetic.
    """
    (top, left, bottom, right), (up, start, down, end) = corners, others
    height = tf.maximum(tf.minimum(bottom, down) - tf.maximum(top, up), 0.0)
    return height * tf.maximum(tf.minimum(right, end) - tf.maximum(left, start), 0.0)
