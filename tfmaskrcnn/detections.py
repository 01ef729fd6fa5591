"""From the box head's output to detections (Fast R-CNN, section 2; Mask R-CNN, section 3.1)."""

from typing import Optional

import tensorflow as tf

from tfmaskrcnn.model_config import BoxHeadConfig
from tfmaskrcnn.ops.boxes import clip_boxes, decode_boxes, wider_than
from tfmaskrcnn.ops.nms import Kept, class_aware_nms
from tfmaskrcnn.ops.tensors import one_hot
from tfmaskrcnn.structures import Proposals


def select_detections(
    logits: tf.Tensor,
    deltas: tf.Tensor,
    proposals: Proposals,
    sizes: tf.Tensor,
    config: BoxHeadConfig,
    score_threshold: Optional[float] = None,
) -> Kept:
    """Each class's boxes moved, clipped and thinned out by NMS within the class.

    Args:
        logits: [B, R, K + 1] float32, 0 is background.
        deltas: [B, R, K, 4] float32.
        proposals: where the deltas start from; a row of padding is an empty box.
        sizes: [B, 2] float32, (height, width) of the images without padding, or [B, 4] the windows
            that they fill.
        config: counts and thresholds.
        score_threshold: instead of the configuration's.

    Returns:
        The detections; `classes` are 0-based, an index into the K foreground classes.
    """
    threshold = config.score_threshold if score_threshold is None else score_threshold
    rois = tf.expand_dims(proposals.boxes, 2)  # [B, R, 1, 4]
    boxes = decode_boxes(deltas, rois, config.delta_weights, config.clamp_deltas)
    boxes = clip_boxes(boxes, sizes)  # [B, R, K, 4]
    scores = _scores(logits, config.detection_rule)  # [B, R, K]
    if config.min_side is None:
        scores *= tf.where(proposals.valid, 1.0, 0.0)[:, :, tf.newaxis]
    else:  # A row of padding is an empty proposal, whose boxes are empty as well.
        scores *= wider_than(boxes, config.min_side)
    return class_aware_nms(boxes, scores, config.nms_iou, threshold, config.max_detections)


def _scores(logits: tf.Tensor, rule: str) -> tf.Tensor:
    """[B, R, K + 1] logits -> [B, R, K] scores of the classes that a RoI may be found as."""
    scores = tf.nn.softmax(logits)
    if rule == "argmax":
        best = tf.cast(tf.argmax(logits, axis=-1, output_type=tf.int32), tf.float32)
        scores *= one_hot(best, logits.shape[2])
    return scores[:, :, 1:]
