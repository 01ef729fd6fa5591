"""From the box head's output to detections (Fast R-CNN, section 2; Mask R-CNN, section 3.1)."""

from typing import Optional

import tensorflow as tf

from tfmaskrcnn.config.heads import BoxHeadConfig, MaskHeadConfig
from tfmaskrcnn.ops.boxes import clip_boxes, decode_boxes, wider_than
from tfmaskrcnn.ops.nms import Kept, class_aware_nms
from tfmaskrcnn.ops.structures import Proposals
from tfmaskrcnn.ops.tensors import one_hot, own_channel


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
        deltas: [B, R, K, 4] float32, or [B, R, 1, 4] where all classes share a box.
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
    boxes = clip_boxes(boxes, sizes)  # [B, R, K or 1, 4]
    scores = _scores(logits, config.detection_rule)  # [B, R, K]
    if config.min_side is None:
        scores *= tf.where(proposals.valid, 1.0, 0.0)[:, :, tf.newaxis]
    else:  # A row of padding is an empty proposal, whose boxes are empty as well.
        scores *= wider_than(boxes, config.min_side)
    kept = class_aware_nms(boxes, scores, config.nms_iou, threshold, config.max_detections)
    return _without_empty(kept) if config.drop_empty else kept


def _without_empty(kept: Kept) -> Kept:
    """`kept` without boxes of no area, which took their rows as others did; zeros at the end."""
    real = wider_than(kept.boxes, 0.0)
    scores, order = tf.math.top_k(kept.scores * real, k=kept.scores.shape[1])  # equal ones stay
    boxes, classes, real = (
        tf.gather(x, order, batch_dims=1) for x in (kept.boxes, kept.classes, real)
    )
    return Kept(boxes * tf.expand_dims(real, -1), scores, classes * real, scores > 0.0)


def mask_probabilities(
    head, features: tf.Tensor, class_index: tf.Tensor, config: MaskHeadConfig
) -> tf.Tensor:
    """The mask of each detection's class.

    Args:
        head: a `MaskHead` of `config.heads.mask_channels`; with softmax, channel 0 is background.
        features: [B, D, S, S, C] float32.
        class_index: [B, D] int32, 0..K-1.
        config: which of the mask losses trained the head.

    Returns:
        [B, D, M, M] float32. With softmax the share of the class among all, background included.
    """
    index = tf.zeros_like(class_index) if config.class_agnostic else class_index
    if config.loss == "softmax":
        return own_channel(tf.nn.softmax(head(features)), index + 1)
    return tf.sigmoid(head.own_logits(features, index))


def _scores(logits: tf.Tensor, rule: str) -> tf.Tensor:
    """[B, R, K + 1] logits -> [B, R, K] scores of the classes that a RoI may be found as."""
    scores = tf.nn.softmax(logits)
    if rule == "argmax":
        best = tf.cast(tf.argmax(logits, axis=-1, output_type=tf.int32), tf.float32)
        scores *= one_hot(best, logits.shape[2])
    return scores[:, :, 1:]
