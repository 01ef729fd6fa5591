"""The loss terms (Mask R-CNN, section 3: L = L_cls + L_box + L_mask, and the RPN's two).

Every function returns a sum and the count it is to be divided by, so that many devices can add
both before they divide and agree with one.
"""

from typing import Callable, Dict, NamedTuple, Optional, Sequence

import tensorflow as tf

from tfmaskrcnn.config.heads import BoxHeadConfig, MaskHeadConfig
from tfmaskrcnn.config.keypoints import KeypointHeadConfig
from tfmaskrcnn.config.model import RpnConfig
from tfmaskrcnn.model.roi_samples import RoiSample
from tfmaskrcnn.ops.boxes import encode_boxes
from tfmaskrcnn.ops.focal import softmax_focal_loss
from tfmaskrcnn.ops.heatmaps import keypoint_targets
from tfmaskrcnn.ops.masks import mask_targets
from tfmaskrcnn.ops.matching import match_boxes
from tfmaskrcnn.ops.sampling import sample_rows
from tfmaskrcnn.ops.structures import GroundTruth, RpnOutput
from tfmaskrcnn.ops.tensors import own_channel, side, with_gradient_of

BOX_LOSS_NAMES = ("rpn_cls_loss", "rpn_box_loss", "cls_loss", "box_loss")
MASK_LOSS_NAMES = ("mask_loss",)
KEYPOINT_LOSS_NAMES = ("keypoint_loss",)
LOSS_NAMES = BOX_LOSS_NAMES + MASK_LOSS_NAMES + KEYPOINT_LOSS_NAMES


class LossTerm(NamedTuple):
    """A loss before division."""

    total: tf.Tensor  # float32 scalar
    count: tf.Tensor  # float32 scalar, may be 0: then the loss is 0


def rpn_losses(
    rpn: RpnOutput,
    truth: GroundTruth,
    seeds: tf.Tensor,
    config: RpnConfig,
    head_at: Optional[Callable] = None,
) -> Dict[str, LossTerm]:
    """Objectness and box loss of sampled anchors (Faster R-CNN, equation 1).

    Both are divided by the number of anchors to sample, as in Detectron2.

    Args:
        rpn: logits, deltas and anchors of all levels.
        truth: in the same pixels.
        seeds: [B, 2] int32.
        config: how anchors are matched and sampled.
        head_at: from rows [B, n] of `rpn.all_levels` to their logits and deltas, by which the
            gradient goes back; None for that of `rpn` itself.
    """
    logits, deltas, anchors = rpn.all_levels()  # [B, N], [B, N, 4], [N, 4]
    match = match_boxes(
        anchors[tf.newaxis], truth, config.positive_iou, config.negative_iou, keep_best=True
    )
    sample = sample_rows(
        match.positive, match.negative, config.samples_per_image, config.positive_fraction, seeds
    )
    gt_index = tf.gather(match.gt_index, sample.index, batch_dims=1)  # [B, n]
    boxes = tf.gather(truth.boxes, gt_index, batch_dims=1)
    targets = encode_boxes(boxes, tf.gather(anchors, sample.index), config.delta_weights)
    logits = tf.gather(logits, sample.index, batch_dims=1)
    deltas = tf.gather(deltas, sample.index, batch_dims=1)
    if head_at is not None:
        twins = head_at(sample.index)
        logits, deltas = map(with_gradient_of, (logits, deltas), twins)
    count = tf.cast(config.samples_per_image * tf.shape(logits)[0], tf.float32)
    objectness = objectness_loss(logits, sample.positive, sample.valid)
    box = delta_loss(deltas, targets, sample.positive, config.smooth_l1_beta)
    return {"rpn_cls_loss": LossTerm(objectness, count), "rpn_box_loss": LossTerm(box, count)}


def box_losses(
    logits: tf.Tensor,
    deltas: tf.Tensor,
    rois: RoiSample,
    truth: GroundTruth,
    config: BoxHeadConfig,
    class_weights: Optional[Sequence[float]] = None,
) -> Dict[str, LossTerm]:
    """L_cls and L_box of the box head's logits [B, R, K + 1] and deltas [B, R, K or 1, 4].

    L_box is divided by all sampled RoIs, so that each object weighs alike however many RoIs are
    positive (Detectron2). `class_weights` are those of `config.class_weights.weights_by_class`.
    """
    gamma = config.focal_gamma if config.loss == "focal" else 0.0
    classification = class_loss(logits, rois.classes, rois.valid, gamma, class_weights)
    own = tf.clip_by_value(rois.classes - 1, 0, deltas.shape[2] - 1)  # 0 if class-agnostic
    deltas = tf.gather(deltas, own, batch_dims=2)  # [B, R, 4]
    boxes = tf.gather(truth.boxes, rois.gt_index, batch_dims=1)
    targets = encode_boxes(boxes, rois.boxes, config.delta_weights)
    box = delta_loss(deltas, targets, rois.positive, config.smooth_l1_beta)
    return {"cls_loss": classification, "box_loss": LossTerm(box, classification.count)}


def mask_losses(
    logits: tf.Tensor,
    rois: RoiSample,
    truth: GroundTruth,
    config: MaskHeadConfig,
) -> Dict[str, LossTerm]:
    """L_mask of the mask head's logits [B, R, M, M, n], n from `config.heads.mask_channels`.

    With sigmoid the true class's channel alone; with softmax all channels compete in each pixel,
    channel 0 for the background (table 2b).
    """
    objects = truth.boxes, truth.masks, rois.gt_index
    targets = mask_targets(rois.boxes, *objects, logits.shape[2], config.soft_targets)
    classes = tf.minimum(rois.classes, 1) if config.class_agnostic else rois.classes  # [B, R]
    if config.loss == "softmax":
        return {"mask_loss": softmax_mask_loss(logits, targets, classes, rois.positive)}
    return {"mask_loss": mask_loss(own_channel(logits, classes - 1), targets, rois.positive)}


def keypoint_losses(
    logits: tf.Tensor,
    rois: RoiSample,
    truth: GroundTruth,
    config: KeypointHeadConfig,
    most: Optional[int] = None,
) -> Dict[str, LossTerm]:
    """Cross-entropy over the positions of each heat map (Mask R-CNN, section 5).

    Only visible keypoints inside their positive RoI count.

    Args:
        logits: [B, R, J, M, M] float32.
        rois: all positive ones, perhaps more.
        truth: with keypoints.
        config: weight of the loss and what it is divided by.
        most: how many RoIs of an image can be positive; None for those that are here.
    """
    target = keypoint_targets(rois.boxes, truth.keypoints, rois.gt_index, logits.shape[3])
    seen = target.visible & rois.positive[..., tf.newaxis]  # [B, R, J]
    flat = tf.reshape(logits, tf.concat([tf.shape(seen), [-1]], axis=0))  # [B, R, J, M * M]
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(target.position, flat)
    total = config.loss_weight * tf.reduce_sum(tf.where(seen, each, 0.0))
    possible = number_of(tf.ones_like(seen[:, 0])) * tf.cast(most or side(seen, 1), tf.float32)
    count = number_of(seen) if config.normalize_by_visible else possible
    return {"keypoint_loss": LossTerm(total, count)}


def objectness_loss(logits: tf.Tensor, positive: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
    """Sum of binary cross-entropies over valid anchors: [B, n] float32, bool, bool -> scalar."""
    labels = tf.cast(positive, tf.float32)
    each = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
    return tf.reduce_sum(tf.where(valid, each, 0.0))


def class_loss(
    logits: tf.Tensor,
    classes: tf.Tensor,
    valid: tf.Tensor,
    gamma: float = 0.0,
    class_weights: Optional[Sequence[float]] = None,
) -> LossTerm:
    """Softmax cross-entropy a sampled RoI, or focal loss.

    It is divided by the number of RoIs, whatever they weigh, as MMDetection's box heads do: so an
    object weighs the same whichever others are in its batch. Divided by the sum of the weights
    (PyTorch's `cross_entropy`), a rare one would make all others of its batch count less.

    Args:
        logits: [B, R, K + 1] float32, 0 is background.
        classes: [B, R] int32, 0..K.
        valid: [B, R] bool.
        gamma: of `softmax_focal_loss`; 0 is the cross-entropy.
        class_weights: K + 1 factors; None for 1.
    """
    each = softmax_focal_loss(logits, classes, gamma)
    if class_weights is not None:
        each *= tf.gather(tf.constant(class_weights, tf.float32), classes)
    return LossTerm(tf.reduce_sum(tf.where(valid, each, 0.0)), number_of(valid))


def delta_loss(
    deltas: tf.Tensor, targets: tf.Tensor, positive: tf.Tensor, beta: float
) -> tf.Tensor:
    """Sum of smooth L1 losses over positive rows (Fast R-CNN, equation 3).

    Args:
        deltas: [B, n, 4] float32; `targets` likewise.
        positive: [B, n] bool.
        beta: where the square meets the line; 0 is the plain L1 loss.
    """
    distance = tf.abs(deltas - tf.stop_gradient(targets))
    if beta > 0:
        square = 0.5 * tf.square(distance) / beta
        distance = tf.where(distance < beta, square, distance - 0.5 * beta)
    return tf.reduce_sum(tf.where(tf.expand_dims(positive, -1), distance, 0.0))


def mask_loss(logits: tf.Tensor, targets: tf.Tensor, positive: tf.Tensor) -> LossTerm:
    """Mean binary cross-entropy of each positive RoI's mask.

    Args:
        logits: [B, R, M, M] float32, of the true class's channel: classes do not compete.
        targets: [B, R, M, M] float32 in {0, 1}.
        positive: [B, R] bool.
    """
    each = tf.nn.sigmoid_cross_entropy_with_logits(tf.stop_gradient(targets), logits)
    return _mean_over_masks(each, positive)


def softmax_mask_loss(
    logits: tf.Tensor, targets: tf.Tensor, classes: tf.Tensor, positive: tf.Tensor
) -> LossTerm:
    """Mean multinomial cross-entropy of each positive RoI's mask: a pixel has one label.

    Args:
        logits: [B, R, M, M, 1 + n] float32, 0 is background.
        targets: [B, R, M, M] float32 in {0, 1}.
        classes: [B, R] int32, the channel of the pixels inside, 1..n; those outside are background.
        positive: [B, R] bool.
    """
    labels = tf.cast(targets, tf.int32) * classes[:, :, tf.newaxis, tf.newaxis]
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return _mean_over_masks(each, positive)


def _mean_over_masks(each: tf.Tensor, positive: tf.Tensor) -> LossTerm:
    """[B, R, M, M] losses of pixels -> their mean in each RoI, summed over the positive ones."""
    each = tf.reduce_mean(each, axis=[2, 3])
    return LossTerm(tf.reduce_sum(tf.where(positive, each, 0.0)), number_of(positive))


def number_of(rows: tf.Tensor) -> tf.Tensor:
    """How many of a bool tensor hold, as a float32 scalar."""
    return tf.reduce_sum(tf.cast(rows, tf.float32))
