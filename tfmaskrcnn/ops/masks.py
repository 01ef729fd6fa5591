"""Mask targets (Mask R-CNN, section 3: the intersection of a RoI and its ground-truth mask)."""

import tensorflow as tf

from tfmaskrcnn.ops.boxes import MIN_SIDE

# Samples of a target's pixel and axis where it says which share of it is covered.
SOFT_SAMPLES = 4


def mask_targets(
    rois: tf.Tensor,
    boxes: tf.Tensor,
    masks: tf.Tensor,
    gt_index: tf.Tensor,
    side: int,
    soft: bool = False,
) -> tf.Tensor:
    """What the mask head should say for each RoI.

    Args:
        rois: [B, R, 4] float32 yxyx pixels.
        boxes: [B, G, 4] float32 yxyx pixels, the objects' boxes.
        masks: [B, G, m, m] uint8 in {0, 1}, each resampled inside its box.
        gt_index: [B, R] int32, the object of each RoI.
        side: M.
        soft: give the share of each pixel that is covered, as torchvision does by RoIAlign, and
            not whether its centre is.

    Returns:
        [B, R, M, M] float32 in {0, 1}, with `soft` in [0, 1]: the object's mask seen through the
        RoI; 0 outside its box.
    """
    of_object = tf.gather(boxes, gt_index, batch_dims=1)  # [B, R, 4]
    mini = tf.gather(masks, gt_index, batch_dims=1)  # [B, R, m, m]
    mini_side = masks.shape[2]
    corner, size = of_object[..., :2], of_object[..., 2:] - of_object[..., :2]
    pixel = tf.maximum(size, MIN_SIDE) / mini_side  # [B, R, 2] image pixels a mask pixel
    low = (rois[..., :2] - corner) / pixel  # the RoI in mask pixels
    count = side * SOFT_SAMPLES if soft else side
    step = (rois[..., 2:] - rois[..., :2]) / pixel / count
    # A ring of zeros makes the mask end exactly at the box's border when halved at 0.5;
    # mask pixel i has its centre at i + 0.5, hence at i + 1 with the ring.
    mini = tf.pad(tf.reshape(mini, [-1, mini_side, mini_side, 1]), [[0, 0], [1, 1], [1, 1], [0, 0]])
    first = low + 0.5 * step + 0.5
    last = first + (count - 1) * step
    corners = tf.reshape(tf.concat([first, last], axis=-1) / (mini_side + 1), [-1, 4])
    target = tf.image.crop_and_resize(mini, corners, tf.range(tf.shape(mini)[0]), [count, count])
    if soft:
        target = tf.nn.avg_pool2d(target, SOFT_SAMPLES, SOFT_SAMPLES, "VALID")
    target = tf.reshape(target, [-1, rois.shape[1] or tf.shape(rois)[1], side, side])
    return target if soft else tf.where(target >= 0.5, 1.0, 0.0)
