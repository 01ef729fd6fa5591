"""Named groups of tensors, and the legend of shape letters used in every docstring.

| letter | means                        | letter | means                          |
| ------ | ---------------------------- | ------ | ------------------------------ |
| `B`    | images of a batch            | `D`    | detections an image            |
| `H W`  | padded input size, pixels    | `K`    | foreground classes             |
| `A`    | anchors of a cell            | `C`    | channels                       |
| `N`    | anchors of an image, in all  | `S`    | side of a RoI's sampling grid  |
| `R`    | RoIs an image                | `M`    | side of a predicted mask       |
| `G`    | ground-truth objects         | `L`    | pyramid levels                 |
| `J`    | keypoints of an object       |        |                                |

Boxes are (y1, x1, y2, x2) float32 pixels of the padded input, continuous, without a legacy +1.
"""

from typing import Dict, NamedTuple, Optional, Tuple

import tensorflow as tf

# Pyramid levels by name; level l has stride 2**l pixels.
PYRAMID_LEVELS = ("p2", "p3", "p4", "p5", "p6")
# Levels that RoIs are read from; p6 exists for the RPN alone (FPN paper, section 4.1).
ROI_LEVELS = ("p2", "p3", "p4", "p5")


class GroundTruth(NamedTuple):
    """Annotated objects of a batch; rows where `valid` is False are padding."""

    boxes: tf.Tensor  # [B, G, 4] float32, yxyx pixels
    classes: tf.Tensor  # [B, G] int32, 1..K; 0 on padding
    # [B, G, 112, 112] uint8 in {0, 1}: the mask inside its box, resampled; None where the batch
    # has none, which is enough without a mask branch.
    masks: Optional[tf.Tensor]
    valid: tf.Tensor  # [B, G] bool
    crowd: tf.Tensor  # [B, G] bool: a region of many objects, never a target (COCO's iscrowd)
    # [B, G, J, 3] float32 (y, x, visibility), pixels; seen above 0. None without a keypoint head.
    keypoints: Optional[tf.Tensor] = None


class RpnOutput(NamedTuple):
    """What the RPN head says about the anchors of each level, by level name."""

    logits: Dict[str, tf.Tensor]  # [B, n] float32
    deltas: Dict[str, tf.Tensor]  # [B, n, 4] float32 (dy, dx, dh, dw)
    anchors: Dict[str, tf.Tensor]  # [n, 4] float32 yxyx pixels

    def all_levels(self) -> Tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Logits [B, N], deltas [B, N, 4] and anchors [N, 4], level after level."""
        parts = ((self.logits, 1), (self.deltas, 1), (self.anchors, 0))
        return tuple(tf.concat([p[level] for level in PYRAMID_LEVELS], axis) for p, axis in parts)


class Proposals(NamedTuple):
    """RPN output for a batch; rows after the last real proposal are padding."""

    boxes: tf.Tensor  # [B, R, 4] float32, yxyx pixels, clipped to the image
    scores: tf.Tensor  # [B, R] float32, objectness in [0, 1], descending
    valid: tf.Tensor  # [B, R] bool, False on padding


class Detections(NamedTuple):
    """What the model found in a batch; rows where `valid` is False are padding."""

    boxes: tf.Tensor  # [B, D, 4] float32, yxyx pixels of the resized image without its padding
    scores: tf.Tensor  # [B, D] float32, descending; 0 on padding
    # [B, D] float32 whole numbers 1..K, 0 on padding; TensorRT converts no casts.
    classes: tf.Tensor
    valid: tf.Tensor  # [B, D] bool
    # [B, D, M, M] float32, probabilities of the detected class inside the box; None without a
    # mask branch.
    masks: Optional[tf.Tensor] = None
    # [B, D, J, 3] float32 (y, x, score), pixels of the padded input; None without a keypoint head.
    keypoints: Optional[tf.Tensor] = None


def ground_truth_of(batch: Dict[str, tf.Tensor]) -> GroundTruth:
    """The `GroundTruth` of a training batch: its keys `gt_boxes`, `gt_classes`, ... by name."""
    keys = {name: f"gt_{name}" for name in GroundTruth._fields}
    optional = {name: batch.get(keys.pop(name)) for name in ("masks", "keypoints")}
    return GroundTruth(**optional, **{name: batch[key] for name, key in keys.items()})
