"""From the RPN's output to proposals (Faster R-CNN, section 3.1; FPN, section 4.1)."""

from typing import List, Tuple

import tensorflow as tf

from tfmaskrcnn.model_config import RpnConfig
from tfmaskrcnn.ops.boxes import clip_boxes, decode_boxes, wider_than
from tfmaskrcnn.ops.nms import class_aware_nms
from tfmaskrcnn.ops.tensors import at_most, side
from tfmaskrcnn.structures import PYRAMID_LEVELS, Proposals, RpnOutput


def select_proposals(
    rpn: RpnOutput, sizes: tf.Tensor, config: RpnConfig, training: bool = False
) -> Proposals:
    """The best anchors, moved, clipped and thinned out by NMS; both within each level or over all.

    Args:
        rpn: the RPN head's output on all levels, with the anchors.
        sizes: [B, 2] float32, (height, width) of the images without padding, or [B, 4] the window
            to clip to.
        config: counts, thresholds and scopes.
        training: take the training counts.
    """
    count = config.post_nms_top_k_training if training else config.post_nms_top_k
    boxes, scores = [], []
    for logits, deltas, anchors in _best(rpn, config, training):
        decoded = decode_boxes(deltas, anchors, config.delta_weights, config.clamp_deltas)
        decoded = clip_boxes(decoded, sizes)
        score = tf.sigmoid(logits)
        if config.min_side is not None:
            real = wider_than(decoded, config.min_side)
            score = score * real + real - 1.0  # -1 keeps a box out of the NMS
        boxes.append(decoded)
        scores.append(score)
    boxes = tf.stop_gradient(tf.concat(boxes, axis=1))
    scores = tf.stop_gradient(_columns(scores, config))
    kept = class_aware_nms(tf.expand_dims(boxes, 2), scores, config.nms_iou, -0.5, count)
    return Proposals(kept.boxes, kept.scores, kept.valid)


def _best(rpn: RpnOutput, config: RpnConfig, training: bool) -> List[Tuple[tf.Tensor, ...]]:
    """Logits [B, k], deltas and anchors [B, k, 4] of the top k, of each level or of all levels."""
    top_k = config.pre_nms_top_k_training if training else config.pre_nms_top_k
    groups = [[level] for level in PYRAMID_LEVELS]
    if config.top_k_scope == "all":
        groups = [list(PYRAMID_LEVELS)]
    best = []
    for levels in groups:
        logits = _joined([rpn.logits[level] for level in levels], axis=1)
        deltas = _joined([rpn.deltas[level] for level in levels], axis=1)
        anchors = _joined([rpn.anchors[level] for level in levels], axis=0)
        logits, index = tf.math.top_k(logits, at_most(top_k, side(logits, 1)))
        best.append((logits, tf.gather(deltas, index, batch_dims=1), tf.gather(anchors, index)))
    return best


def _columns(scores: List[tf.Tensor], config: RpnConfig) -> tf.Tensor:
    """[B, k] scores of each group -> [B, n, L] for the NMS, in which levels play the classes."""
    if config.nms_scope == "all":
        return tf.expand_dims(_joined(scores, axis=1), -1)
    columns = []
    for row, score in enumerate(scores):
        others = -tf.ones_like(score)
        columns.append(
            tf.stack([score if i == row else others for i in range(len(scores))], axis=-1)
        )
    return tf.concat(columns, axis=1)


def _joined(parts: List[tf.Tensor], axis: int) -> tf.Tensor:
    return parts[0] if len(parts) == 1 else tf.concat(parts, axis)
