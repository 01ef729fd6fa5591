"""Non-maximum suppression: the only file that knows which kernel does it."""

from typing import NamedTuple

import tensorflow as tf

from tfmaskrcnn.ops.tensors import side


class Kept(NamedTuple):
    """Boxes that survive, by descending score; rows after `count` are zeros."""

    boxes: tf.Tensor  # [B, n, 4] float32 yxyx pixels
    scores: tf.Tensor  # [B, n] float32
    # [B, n] float32 whole numbers, index into the last axis of the scores; TensorRT has no casts.
    classes: tf.Tensor
    valid: tf.Tensor  # [B, n] bool


def class_aware_nms(
    boxes: tf.Tensor,
    scores: tf.Tensor,
    iou_threshold: float,
    score_threshold: float,
    max_output: int,
) -> Kept:
    """Greedy suppression within each class; a box may be kept for several classes.

    `CombinedNonMaxSuppression` stops after `max_output` boxes, sorts by score and converts to
    TensorRT, but has no GPU kernel outside an engine; with a GPU in sight the same result comes
    from `NonMaxSuppressionV4`, one call an image, classes moved apart by an offset.

    Args:
        boxes: [B, n, q, 4] float32 yxyx pixels, q = 1 (shared by the classes) or the class count.
        scores: [B, n, k] float32.
        iou_threshold: a box goes when its IoU with a better one exceeds this.
        score_threshold: boxes at or below it are not considered.
        max_output: rows of the result.
    """
    nms = nms_by_offset if tf.config.list_logical_devices("GPU") else nms_combined
    with tf.name_scope("nms"):
        return nms(boxes, scores, iou_threshold, score_threshold, max_output)


def nms_combined(boxes, scores, iou_threshold, score_threshold, max_output) -> Kept:
    """`class_aware_nms` by one `CombinedNonMaxSuppression` for the batch."""
    kept = tf.image.combined_non_max_suppression(
        boxes,
        scores,
        max_output_size_per_class=max_output,
        max_total_size=max_output,
        iou_threshold=iou_threshold,
        score_threshold=score_threshold,
        clip_boxes=False,
        pad_per_class=False,
    )
    valid = tf.expand_dims(kept.valid_detections, 1) > tf.range(max_output)  # [B, n]
    return Kept(kept.nmsed_boxes, kept.nmsed_scores, kept.nmsed_classes, valid)


def nms_by_offset(boxes, scores, iou_threshold, score_threshold, max_output) -> Kept:
    """`class_aware_nms` by one `NonMaxSuppressionV4` an image on boxes moved apart by class."""
    count, classes = side(scores, 1), scores.shape[2]
    boxes = tf.broadcast_to(boxes, [tf.shape(boxes)[0], count, classes, 4])
    boxes = tf.reshape(boxes, [-1, count * classes, 4])
    scores = tf.reshape(scores, [-1, count * classes])
    label = tf.tile(tf.range(float(classes)), [count])  # [n * k]

    def of_one_image(image):
        image_boxes, image_scores = image
        low, high = tf.reduce_min(image_boxes), tf.reduce_max(image_boxes)
        shift = label * (high - low + 1.0)
        # Not tf.image.non_max_suppression_padded: that is a slow loop made for TPUs.
        index, found = tf.raw_ops.NonMaxSuppressionV4(
            boxes=image_boxes + shift[:, tf.newaxis],
            scores=image_scores,
            max_output_size=max_output,
            iou_threshold=iou_threshold,
            score_threshold=score_threshold,
            pad_to_max_output_size=True,
        )
        valid = tf.range(max_output) < found
        index = tf.where(valid, index, 0)
        return (
            tf.where(valid[:, tf.newaxis], tf.gather(image_boxes, index), 0.0),
            tf.where(valid, tf.gather(image_scores, index), 0.0),
            tf.where(valid, tf.gather(label, index), 0.0),
            valid,
        )

    types = (tf.float32, tf.float32, tf.float32, tf.bool)
    kept = tf.map_fn(of_one_image, (boxes, scores), fn_output_signature=types)
    return Kept(*kept)
