"""From an image of any size to the network's input; the same at training, prediction and export.

Everything here is TensorFlow alone, so that the exported model can hold it. Images are [H, W, C]
in 0..255, RGB if C is 3, until `normalize`.
"""

from typing import Tuple

import tensorflow as tf

from tfmaskrcnn.config.model import InputConfig
from tfmaskrcnn.ops.contrast import enhanced, enhancement
from tfmaskrcnn.ops.resize import resize


def fitted_size(
    height, width, min_side, max_side, rounding: str = "nearest", enlarge_only: bool = False
) -> Tuple[tf.Tensor, tf.Tensor]:
    """Size after resizing to the short side `min_side`, the long side at most `max_side`.

    Args:
        height, width, min_side, max_side: integers or scalar integer tensors, pixels.
        rounding: "nearest" as Detectron2's ResizeShortestEdge, "floor" as torchvision, "even" as
            Python's round.
        enlarge_only: `min_side` makes no image smaller, `max_side` alone does.

    Returns:
        (height, width), scalar int32 tensors, each at least 1.
    """
    # float64 as in both: in float32 some sizes round to the other side of x.5.
    height, width = tf.cast(height, tf.float64), tf.cast(width, tf.float64)
    scale = tf.cast(min_side, tf.float64) / tf.minimum(height, width)
    scale = tf.maximum(scale, 1.0) if enlarge_only else scale
    limit = tf.cast(max_side, tf.float64) / tf.maximum(height, width)
    return _scaled(height, width, tf.minimum(scale, limit), rounding)


def fitted_in(height, width, box_height, box_width) -> Tuple[tf.Tensor, tf.Tensor]:
    """Largest size of the same aspect ratio inside a box of (box_height, box_width) pixels.

    Returns:
        (height, width), scalar int32 tensors, each at least 1.
    """
    height, width = tf.cast(height, tf.float64), tf.cast(width, tf.float64)
    scale_y = tf.cast(box_height, tf.float64) / height
    scale_x = tf.cast(box_width, tf.float64) / width
    return _scaled(height, width, tf.minimum(scale_y, scale_x))


def target_size(height, width, input: InputConfig, min_side=None) -> Tuple[tf.Tensor, tf.Tensor]:
    """Size of an image after resizing, by the rule that `input` chooses.

    Args:
        height, width: of the original image.
        input: `fixed_size` wins over `min_side` and `max_side`.
        min_side: replaces `input.min_side` (multi-scale training).

    Returns:
        (height, width), scalar int32 tensors.
    """
    if input.fixed_size:
        return fitted_in(height, width, *input.fixed_size)
    min_side = input.min_side if min_side is None else min_side
    rule = input.size_rounding, input.enlarge_only
    return fitted_size(height, width, min_side, input.max_side, *rule)


def normalize(image, input: InputConfig) -> tf.Tensor:
    """(`image` - mean) / std per channel, in the network's order; [..., C] float32."""
    image = tf.cast(image, tf.float32)
    if input.order == "bgr":
        image = tf.reverse(image, [-1])
    return (image - tf.constant(input.mean, tf.float32)) / tf.constant(input.std, tf.float32)


def pad_to(image, height, width, input: InputConfig) -> tf.Tensor:
    """`image` [h, w, C], normalised, inside [height, width, C] as `input.padding` says."""
    shape = tf.shape(image)
    room = tf.stack([height - shape[0], width - shape[1]])
    if input.padding == "corner":
        padded = tf.pad(image, [[0, room[0]], [0, room[1]], [0, 0]])
    else:
        before = room // 2
        paddings = tf.concat([tf.stack([before, room - before], axis=1), [[0, 0]]], axis=0)
        black = normalize(tf.zeros([input.channels]), input)
        outside = 1.0 - tf.pad(tf.ones_like(image[..., :1]), paddings)
        padded = tf.pad(image, paddings) + outside * black
    sides = [side if isinstance(side, int) else None for side in (height, width)]
    return tf.ensure_shape(padded, [*sides, image.shape[-1]])


def padded_size(height, width, multiple: int) -> Tuple[tf.Tensor, tf.Tensor]:
    """(height, width) rounded up to multiples of `multiple`."""
    return -(-height // multiple) * multiple, -(-width // multiple) * multiple


def preprocess(image, input: InputConfig) -> Tuple[tf.Tensor, tf.Tensor]:
    """The network's input for one image, before padding.

    Contrast and inversion at the original resolution, then resizing, then normalisation. Pad the
    result by `pad_to`. What is enhanced is never there as a whole if `resize` can do without.

    Args:
        image: [H, W, C] uint8.
        input: the model's `InputConfig`.

    Returns:
        image: [h, w, C] float32, normalised.
        scale: [2] float32 (y, x), resized size / original size.
    """
    original = tf.shape(image)[:2]
    size = tf.stack(target_size(original[0], original[1], input))
    change = enhancement(image, input)
    prepare = None if change is None else lambda part: enhanced(part, change)
    image = normalize(resize(image, size, input.resize, prepare), input)
    return image, tf.cast(size, tf.float32) / tf.cast(original, tf.float32)


def _scaled(height, width, scale, rounding: str = "nearest") -> Tuple[tf.Tensor, tf.Tensor]:
    half = 0.5 if rounding == "nearest" else 0.0  # the cast truncates
    sides = (side * scale + half for side in (height, width))
    if rounding == "even":
        sides = (tf.round(side) for side in sides)
    sides = (tf.cast(side, tf.int32) for side in sides)
    return tuple(tf.maximum(side, 1) for side in sides)
