"""From the RPN's output to proposals (Faster R-CNN, section 3.1; FPN, section 4.1)."""

import tensorflow as tf

from tfmaskrcnn.config.model import RpnConfig
from tfmaskrcnn.ops.boxes import clip_boxes, decode_boxes, wider_than
from tfmaskrcnn.ops.nms import class_aware_nms
from tfmaskrcnn.ops.structures import PYRAMID_LEVELS, Proposals, RpnOutput
from tfmaskrcnn.ops.tensors import at_most, one_hot, side


def select_proposals(
    rpn: RpnOutput, sizes: tf.Tensor, config: RpnConfig, training: bool = False
) -> Proposals:
    """The best anchors, moved, clipped and thinned out by NMS; `config.scope` says among which.

    Args:
        rpn: the RPN head's output on all levels, with the anchors.
        sizes: [B, 2] float32, (height, width) of the images without padding, or [B, 4] the windows
            that they fill.
        config: counts, thresholds and the scope.
        training: take the training counts.
    """
    top_k = config.pre_nms_top_k_training if training else config.pre_nms_top_k
    count = config.post_nms_top_k_training if training else config.post_nms_top_k
    select = _of_all_levels if config.scope == "all" else _of_each_level
    return select(rpn, sizes, config, top_k, count)


def _of_each_level(rpn, sizes, config, top_k, count) -> Proposals:
    logits, deltas, anchors, levels = [], [], [], []
    for row, level in enumerate(PYRAMID_LEVELS):
        k = at_most(top_k, side(rpn.logits[level], 1))
        best, index = tf.math.top_k(rpn.logits[level], k)
        logits.append(best)  # [B, k]
        deltas.append(tf.gather(rpn.deltas[level], index, batch_dims=1))  # [B, k, 4]
        anchors.append(tf.gather(rpn.anchors[level], index))
        levels.append(tf.fill([k], float(row)))
    deltas, anchors = tf.concat(deltas, axis=1), tf.concat(anchors, axis=1)  # [B, n, 4]
    boxes = decode_boxes(deltas, anchors, config.delta_weights, config.clamp_deltas)
    boxes = clip_boxes(boxes, sizes)
    # Levels play the part of classes in the NMS; -1 keeps a box out of it.
    rank = _rank(tf.concat(logits, axis=1))
    scores = _if_eligible(rank, _probability(rank), boxes, config)  # [B, n]
    own = one_hot(tf.concat(levels, axis=0), len(PYRAMID_LEVELS))  # [n, 5]
    scores = tf.expand_dims(scores, -1) * own + (own - 1.0)  # [B, n, 5]
    boxes, scores = tf.stop_gradient(boxes), tf.stop_gradient(scores)
    kept = class_aware_nms(tf.expand_dims(boxes, 2), scores, config.nms_iou, -0.5, count)
    return Proposals(kept.boxes, _probability(kept.scores), kept.valid)


def _of_all_levels(rpn, sizes, config, top_k, count) -> Proposals:
    logits, deltas = (
        tf.stop_gradient(tf.concat([part[level] for level in PYRAMID_LEVELS], axis=1))
        for part in (rpn.logits, rpn.deltas)
    )
    anchors = tf.concat([rpn.anchors[level] for level in PYRAMID_LEVELS], axis=0)
    # Not a sigmoid: it differs in the last bit, which decides what is tied.
    scores = tf.nn.softmax(tf.stack([tf.zeros_like(logits), logits], axis=-1))[..., 1]
    top_k = at_most(top_k, side(logits, 1))
    scores, index = tf.math.top_k(scores, top_k)
    boxes = _decoded(deltas, anchors, index, sizes, config)
    # The NMS sees the place in this order, since it orders ties at will.
    step = 1.0 / tf.cast(top_k, tf.float32)
    order = tf.ones_like(scores) - step * tf.cast(tf.range(top_k), tf.float32)
    order = _if_eligible(order, scores, boxes, config)[:, :, tf.newaxis]
    kept = class_aware_nms(tf.expand_dims(boxes, 2), order, config.nms_iou, -0.5, count)
    place = tf.cast(tf.round((1.0 - kept.scores) / step), tf.int32)
    scores = tf.gather(scores, tf.minimum(place, top_k - 1), batch_dims=1)
    return Proposals(kept.boxes, tf.where(kept.valid, scores, 0.0), kept.valid)


def _decoded(deltas, anchors, index, sizes, config) -> tf.Tensor:
    """Boxes [B, k, 4] of the rows `index` [B, k], clipped."""
    deltas, anchors = tf.gather(deltas, index, batch_dims=1), tf.gather(anchors, index)
    boxes = decode_boxes(deltas, anchors, config.delta_weights, config.clamp_deltas)
    return clip_boxes(boxes, sizes)


def _if_eligible(order, scores, boxes, config) -> tf.Tensor:
    """`order` [B, k], but -1, which keeps a box out of the NMS, if it is too narrow or unlikely."""
    if config.min_side is not None:
        real = wider_than(boxes, config.min_side)
        order = order * real + (real - 1.0)
    if config.score_threshold > 0.0:
        order = tf.where(scores >= config.score_threshold, order, -1.0)
    return order


def _rank(logits):
    """Scores >= 0 in the order of the logits, to the last bit: sigmoids above 17 are all 1."""
    return tf.sigmoid(tf.minimum(logits, 0.0)) + tf.maximum(logits, 0.0)


def _probability(rank):
    """The sigmoid of the logits that `_rank` was given; 0 for 0."""
    return (tf.sigmoid(tf.maximum(rank - 0.5, 0.0)) - 0.5) + tf.minimum(rank, 0.5)
