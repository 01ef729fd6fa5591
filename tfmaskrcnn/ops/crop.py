"""RoI features by a plain `crop_and_resize`, as Matterport reads them.

One bilinear sample a bin; the first and the last lie on the RoI's border, and nothing is averaged.
"""

import tensorflow as tf

from tfmaskrcnn.config.model import RoiConfig
from tfmaskrcnn.ops.atlas import Atlas, level_places
from tfmaskrcnn.ops.roi_align import pool_samples
from tfmaskrcnn.ops.roi_levels import roi_levels
from tfmaskrcnn.ops.tensors import side as length

# Feature pixels; rounding errors are a hundredth of it.
_EDGE = 1e-3


def pyramid_crop(
    atlas: Atlas, boxes: tf.Tensor, side: int, config: RoiConfig, inclusive: bool = False
) -> tf.Tensor:
    """Features of RoIs, each read from the level that fits its size.

    The border of the input falls on the centres of a map's first and last pixels: a coordinate p
    of an input of H pixels is read at p / H * (h - 1).

    Args:
        atlas: from `build_atlas` on `ROI_LEVELS`.
        boxes: [B, R, 4] float32 yxyx input pixels; no gradient flows to them.
        side: S, samples a side, 2 at least.
        config: how the level is chosen.
        inclusive: the boxes end at the index of their last pixel, and the input spans H - 1.

    Returns:
        [B, R, S, S, C] float32.
    """
    boxes = tf.stop_gradient(boxes)
    whole = atlas.layout[0, 2:4] * atlas.layout[0, 4]  # [2] (H, W)
    span = whole - 1.0 if inclusive else whole
    # Matterport's equation has the share of the input, and the input's size apart from it.
    canonical_size = config.canonical_size * tf.sqrt(tf.reduce_prod(span / whole))
    level = roi_levels(boxes, canonical_size, config.canonical_level, config.level_rounding)
    origin, size, _ = level_places(atlas, level)
    first = boxes[..., :2] / span * (size - 1.0)  # [B, R, 2] feature pixels
    last = boxes[..., 2:] / span * (size - 1.0)
    shares = tf.constant([i / (side - 1) for i in range(side)])
    samples = tf.expand_dims(first, -1) + tf.expand_dims(last - first, -1) * shares  # [B, R, 2, S]
    # Zeros beyond the map; a border that was rounded over the edge is no such case.
    inside = (samples > -_EDGE) & (samples < tf.expand_dims(size - 1.0, -1) + _EDGE)
    inside = tf.reshape(tf.where(inside, 1.0, 0.0), [-1, 2, side])

    batch, rois, channels = length(boxes, 0), length(boxes, 1), atlas.canvas.shape[3]
    corners = tf.concat([first + origin, last + origin], axis=-1) + 1.0  # + 1: the padded edge
    image_index = tf.repeat(tf.range(batch), rois)
    corners = tf.reshape(corners, [-1, 4])
    crops = pool_samples(atlas, corners, inside, image_index, side, 1)
    return tf.reshape(crops, [-1, rois, side, side, channels])
