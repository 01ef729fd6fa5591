"""From the RPN's output to proposals (Faster R-CNN, section 3.1; FPN, section 4.1)."""

import tensorflow as tf

from tfmaskrcnn.model_config import RpnConfig
from tfmaskrcnn.ops.boxes import clip_boxes, decode_boxes, wider_than
from tfmaskrcnn.ops.nms import class_aware_nms
from tfmaskrcnn.ops.tensors import at_most, one_hot, side
from tfmaskrcnn.structures import PYRAMID_LEVELS, RPN_DELTA_WEIGHTS, Proposals, RpnOutput


def select_proposals(
    rpn: RpnOutput, sizes: tf.Tensor, config: RpnConfig, training: bool = False
) -> Proposals:
    """The best anchors of each level, moved, clipped and thinned out by NMS within the level.

    Args:
        rpn: the RPN head's output on all levels, with the anchors.
        sizes: [B, 2] float32, (height, width) of the images without padding.
        config: counts and thresholds.
        training: take the training counts.
    """
    top_k = config.pre_nms_top_k_training if training else config.pre_nms_top_k
    count = config.post_nms_top_k_training if training else config.post_nms_top_k
    logits, deltas, anchors, levels = [], [], [], []
    for row, level in enumerate(PYRAMID_LEVELS):
        k = at_most(top_k, side(rpn.logits[level], 1))
        best, index = tf.math.top_k(rpn.logits[level], k)
        logits.append(best)  # [B, k]
        deltas.append(tf.gather(rpn.deltas[level], index, batch_dims=1))  # [B, k, 4]
        anchors.append(tf.gather(rpn.anchors[level], index))
        levels.append(tf.fill([k], float(row)))
    deltas, anchors = tf.concat(deltas, axis=1), tf.concat(anchors, axis=1)  # [B, n, 4]
    boxes = clip_boxes(decode_boxes(deltas, anchors, RPN_DELTA_WEIGHTS), sizes)
    # Levels play the part of classes in the NMS; -1 keeps a box out of it.
    real = wider_than(boxes, config.min_side)
    scores = tf.sigmoid(tf.concat(logits, axis=1)) * real + real - 1.0  # [B, n]
    own = one_hot(tf.concat(levels, axis=0), len(PYRAMID_LEVELS))  # [n, 5]
    scores = tf.expand_dims(scores, -1) * own + (own - 1.0)  # [B, n, 5]
    boxes, scores = tf.stop_gradient(boxes), tf.stop_gradient(scores)
    kept = class_aware_nms(tf.expand_dims(boxes, 2), scores, config.nms_iou, -0.5, count)
    return Proposals(kept.boxes, kept.scores, kept.valid)
