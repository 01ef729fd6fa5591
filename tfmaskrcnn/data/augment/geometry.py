"""Random geometry of training images, drawn from a seed and applied by TensorFlow.

A `Geometry` turns and flips the original image, resizes it, perhaps turns it by any angle and
shears it, and cuts a window out of the result. Its matrix carries boxes and masks the same way (see
`coco/segmentation.py`).
"""

import math
from typing import NamedTuple, Optional, Tuple

import tensorflow as tf

from tfmaskrcnn.config.model import InputConfig
from tfmaskrcnn.config.run import AugmentConfig
from tfmaskrcnn.ops import images
from tfmaskrcnn.ops.resize import resize


class Geometry(NamedTuple):
    """Where each pixel of the original image goes."""

    transpose: tf.Tensor  # [] bool: swap rows and columns, first of all
    flip: tf.Tensor  # [2] bool (y, x): then reverse these axes
    resized: tf.Tensor  # [2] int32 (height, width): then resize to this
    offset: tf.Tensor  # [2] int32 (y, x): then cut the window that starts here ...
    size: tf.Tensor  # [2] int32 (height, width): ... and has this size, that of the output
    matrix: tf.Tensor  # [2, 3] float32, continuous (y, x) of the original -> of the output
    scale: tf.Tensor  # [2] float32 (y, x of the output): resized pixels an original pixel
    # [2, 3] float32, continuous (y, x) of the resized image -> of the turned and sheared one, which
    # has the same size; None leaves it as it is.
    warp: Optional[tf.Tensor] = None


def make_geometry(original, transpose, flip, resized, offset, size, warp=None) -> Geometry:
    """The `Geometry` of these steps for an image of size `original` [2] int32; see its fields."""
    turned = tf.cast(tf.where(transpose, tf.reverse(original, [0]), original), tf.float32)
    scale = tf.cast(resized, tf.float32) / turned
    # A flip maps p to side - p, so it has slope -1 and shift `side`, in resized pixels.
    slope = tf.where(flip, -scale, scale)
    shift = tf.where(flip, tf.cast(resized, tf.float32), 0.0)
    axes = tf.eye(2)
    axes = tf.where(transpose, axes[::-1], axes)
    linear = slope[:, None] * axes
    if warp is not None:
        linear = tf.matmul(warp[:, :2], linear)
        shift = tf.linalg.matvec(warp[:, :2], shift) + warp[:, 2]
    shift -= tf.cast(offset, tf.float32)
    matrix = tf.concat([linear, shift[:, None]], axis=1)
    return Geometry(transpose, flip, resized, offset, size, matrix, scale, warp)


def plain_geometry(height, width, input: InputConfig) -> Geometry:
    """Resizing alone, as `images.preprocess` does."""
    size = tf.stack(images.target_size(height, width, input))
    flip, zero = tf.constant([False, False]), tf.zeros([2], tf.int32)
    return make_geometry(tf.stack([height, width]), tf.constant(False), flip, size, zero, size)


def random_geometry(
    seed, height, width, boxes, input: InputConfig, augment: AugmentConfig
) -> Geometry:
    """Draw a geometry; a pure function of its arguments.

    Args:
        seed: [2] int32.
        height, width: scalar int32 tensors, size of the original image.
        boxes: [n, 4] float32 yxyx pixels of the original image, the objects that crops prefer.
        input: the size that the image is resized to, before `augment` changes it.
        augment: what may be changed.
    """
    seeds = tf.unstack(tf.random.split(seed, 4), num=4)
    original = tf.stack([height, width])
    transpose, flip = _random_orientation(seeds[0], augment)
    turned = tf.where(transpose, tf.reverse(original, [0]), original)
    resized = _random_size(seeds[1], turned, input, augment)
    warp = _random_warp(seeds[3], resized, augment)
    window = augment.crop or input.static_size
    corner = tf.zeros([2], tf.int32)
    whole = make_geometry(original, transpose, flip, resized, corner, resized, warp)
    if window is None:
        return whole
    size = tf.minimum(resized, tf.constant(window, tf.int32))
    centers = _centers(boxes, whole.matrix)
    offset = _random_offset(seeds[2], resized, size, centers, augment.object_crops)
    return make_geometry(original, transpose, flip, resized, offset, size, warp)


def apply_geometry(image, geometry: Geometry, rule: str = "tensorflow", fill=0.0) -> tf.Tensor:
    """`image` [H, W, C] moved by `geometry`; [h, w, C] float32 in the range of the input.

    `rule` is that of `ops.resize`; `fill`, a number or [C], is seen where a turned image is not.
    """
    image = tf.cond(geometry.transpose, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
    for axis in (0, 1):
        image = _flipped(image, axis, geometry.flip[axis])
    if geometry.warp is not None:
        image = _warped(resize(image, geometry.resized, rule) - fill, geometry) + fill
        return tf.ensure_shape(image, [None, None, image.shape[-1]])
    cut = tf.reduce_any(geometry.size < geometry.resized)
    image = tf.cond(
        cut,
        lambda: _resized_window(image, geometry, rule),
        lambda: resize(image, geometry.size, rule),
    )
    return tf.ensure_shape(image, [None, None, image.shape[-1]])


def _random_orientation(seed, augment: AugmentConfig) -> Tuple[tf.Tensor, tf.Tensor]:
    """Whether to transpose, [] bool, and which axes to flip after it, [2] bool."""
    draws = tf.random.stateless_uniform([3], seed)
    flip = draws[:2] < tf.constant([augment.vertical_flip, augment.horizontal_flip])
    if not augment.quarter_turns:
        return tf.constant(False), flip
    turns = tf.cast(draws[2] * 4.0, tf.int32)  # counter-clockwise; 0..3, as draws are below 1
    # One turn is transpose then reverse the rows, two reverse both, three transpose then columns.
    turn_flip = tf.stack([(turns == 1) | (turns == 2), (turns == 2) | (turns == 3)])
    return turns % 2 == 1, flip != turn_flip


def _random_size(seed, turned, input: InputConfig, augment: AugmentConfig) -> tf.Tensor:
    """[2] int32 size of the resized image."""
    seeds = tf.unstack(tf.random.split(seed, 2), num=2)
    min_side = None
    if augment.min_sides:
        choice = tf.random.stateless_uniform(
            [], seeds[0], maxval=len(augment.min_sides), dtype=tf.int32
        )
        min_side = tf.constant(augment.min_sides, tf.int32)[choice]
    size = tf.stack(images.target_size(turned[0], turned[1], input, min_side))
    low, high = augment.scale
    if (low, high) == (1.0, 1.0):
        return size
    if augment.scale_law == "uniform":
        factor = tf.random.stateless_uniform([], seeds[1], minval=low, maxval=high)
    else:
        logs = tf.math.log(tf.constant([low, high], tf.float32))
        factor = tf.exp(tf.random.stateless_uniform([], seeds[1], minval=logs[0], maxval=logs[1]))
    scaled = tf.cast(tf.cast(size, tf.float32) * factor + 0.5, tf.int32)
    return tf.maximum(scaled, 1)


def _random_warp(seed, resized, augment: AugmentConfig) -> Optional[tf.Tensor]:
    """[2, 3] rotation and shear about the centre of the resized image; None if there are none."""
    if not (augment.rotation or augment.shear):
        return None
    draws = tf.random.stateless_uniform([3], seed, minval=-math.pi / 180, maxval=math.pi / 180)
    angle, slants = draws[0] * augment.rotation, tf.tan(draws[1:] * augment.shear)
    cos, sin = tf.cos(angle), tf.sin(angle)
    turn = tf.reshape(tf.stack([cos, sin, -sin, cos]), [2, 2])
    slant = tf.reshape(tf.stack([1.0, slants[0], slants[1], 1.0]), [2, 2])
    linear = tf.matmul(turn, slant)
    center = tf.cast(resized, tf.float32) / 2.0
    return tf.concat([linear, (center - tf.linalg.matvec(linear, center))[:, None]], axis=1)


def _random_offset(seed, resized, size, centers, object_crops: float) -> tf.Tensor:
    """[2] int32 start of the window; a share of `object_crops` shows one of the `centers`."""
    seeds = tf.unstack(tf.random.split(seed, 3), num=3)
    count = tf.shape(centers)[0]
    prefers = (tf.random.stateless_uniform([], seeds[0]) < object_crops) & (count > 0)
    choice = tf.random.stateless_uniform([], seeds[1], maxval=tf.maximum(count, 1), dtype=tf.int32)
    # A row of its own, so that an image without objects has something to gather.
    center = tf.gather(tf.concat([centers, tf.zeros([1, 2])], axis=0), choice)
    pixel = tf.clip_by_value(tf.cast(tf.floor(center), tf.int32), 0, resized - 1)
    room = resized - size
    low = tf.where(prefers, tf.maximum(pixel - size + 1, 0), 0)
    high = tf.where(prefers, tf.minimum(pixel, room), room)
    share = tf.random.stateless_uniform([2], seeds[2])
    return low + tf.cast(share * tf.cast(high - low + 1, tf.float32), tf.int32)


def _centers(boxes, matrix) -> tf.Tensor:
    """[n, 2] centres (y, x) of `boxes` [n, 4], moved by `matrix` [2, 3]."""
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2.0
    return tf.matmul(centers, matrix[:, :2], transpose_b=True) + matrix[:, 2]


def _flipped(image, axis: int, flip) -> tf.Tensor:
    return tf.cond(flip, lambda: tf.reverse(image, [axis]), lambda: image)


def _resized_window(image, geometry: Geometry, rule: str) -> tf.Tensor:
    """The window alone of the resized image: the same values as resizing all and slicing."""
    if rule in ("pillow", "skimage"):
        top, left = tf.unstack(geometry.offset)
        height, width = tf.unstack(geometry.size)
        return resize(image, geometry.resized, rule)[top : top + height, left : left + width]
    window = tf.raw_ops.ScaleAndTranslate(
        images=tf.cast(image, tf.float32)[None],
        size=geometry.size,
        scale=geometry.scale,
        translation=-tf.cast(geometry.offset, tf.float32),
        kernel_type="triangle",  # bilinear; widened when shrinking, like tf.image.resize
        antialias=rule == "tensorflow",
    )
    return window[0]


def _warped(image, geometry: Geometry) -> tf.Tensor:
    """The window of the resized `image` after its warp, bilinear, zeros outside the image."""
    linear, shift = geometry.warp[:, :2], geometry.warp[:, 2]
    back = tf.linalg.inv(linear)
    # From the window's pixel i, whose centre is i + 0.5, to the index of the pixel below it.
    start = tf.cast(geometry.offset, tf.float32) + 0.5 - shift
    start = tf.linalg.matvec(back, start) - 0.5
    rows = [back[1, 1], back[1, 0], start[1], back[0, 1], back[0, 0], start[0], 0.0, 0.0]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=image[None],
        transforms=tf.stack(rows)[None],  # x first
        output_shape=geometry.size,
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )[0]
