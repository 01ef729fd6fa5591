"""Which pyramid level a RoI is read from (FPN paper, equation 1)."""

import tensorflow as tf

from tfmaskrcnn.ops.boxes import area
from tfmaskrcnn.ops.structures import ROI_LEVELS


def roi_levels(
    boxes: tf.Tensor, canonical_size=224.0, canonical_level: int = 4, rounding: str = "floor"
) -> tf.Tensor:
    """The row of `ROI_LEVELS` that fits each RoI's size.

    Args:
        boxes: [B, R, 4] float32 yxyx input pixels.
        canonical_size: side in input pixels of a RoI that reads level `canonical_level`; a number
            or a scalar tensor.
        canonical_level: 4 is "p4".
        rounding: "floor" changes the level at sides of 112, 224, 448; "round" (Matterport) half an
            octave earlier, at 158, 317 (halves go to the even level).

    Returns:
        [B, R] float32, a whole number: no casts, for TensorRT.
    """
    octaves = tf.math.log(tf.sqrt(area(boxes)) / canonical_size + 1e-8) / tf.math.log(2.0)
    level = canonical_level + octaves
    level = tf.floor(level) if rounding == "floor" else tf.round(level)
    first, last = int(ROI_LEVELS[0][1:]), int(ROI_LEVELS[-1][1:])
    return tf.clip_by_value(level, first, last) - first
