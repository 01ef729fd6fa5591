"""Bilinear resizing by the rules of the libraries that detectors were trained with."""

from typing import Callable, Optional

import tensorflow as tf

from tfmaskrcnn.ops.limits import WHOLE

# Pillow's fixed-point weights have this many bits behind the point (Resample.c: 32 - 8 - 2).
PILLOW_BITS = 22
# Pixels of a band of columns that are prepared and shrunk at a time.
_BAND = 1 << 20

Prepare = Callable[[tf.Tensor], tf.Tensor]


def resize(image, size, rule: str = "tensorflow", prepare: Optional[Prepare] = None) -> tf.Tensor:
    """`image` [H, W, C] at `size` (height, width), bilinear with half-pixel centres; float32.

    Args:
        image: values in 0..255, integer or float.
        size: (height, width) integers or [2] int32.
        rule: "tensorflow" filters an axis that shrinks, so that thin structures do not vanish
            between the samples; "torch" does not, as torchvision's detectors; "pillow" is Pillow's
            own filter of uint8 images, equal to it in every pixel (Detectron2's input); "skimage"
            does not filter, has black around the image, and cuts decimals off (Matterport's).
        prepare: makes float32 of the image first, each value by itself. A uint8 image that the
            rule "tensorflow" shrinks is prepared in bands, so that a large one is not held in
            float32, which would be four times its size.

    Returns:
        [height, width, C] float32; whole numbers by the rules "pillow" and "skimage".
    """
    size = tf.convert_to_tensor(size, tf.int32)
    image = tf.convert_to_tensor(image)
    if prepare and rule != "tensorflow":
        image, prepare = prepare(image), None
    if rule == "pillow":
        resized = resize_as_pillow(image, size)
    elif rule == "skimage":
        resized = resize_as_skimage(image, size)
    elif rule == "torch":
        resized = tf.image.resize(tf.cast(image, tf.float32), size)
    else:
        # The antialiasing kernel gives the same when enlarging, at twice the time.
        resized = tf.cond(
            tf.reduce_any(size < tf.shape(image)[:2]),
            lambda: _shrunk(image, size, prepare),
            lambda: tf.image.resize(prepare(image) if prepare else image, size),
        )
    return tf.ensure_shape(resized, [None, None, image.shape[-1]])


def resize_as_pillow(image, size) -> tf.Tensor:
    """`PIL.Image.resize(size, BILINEAR)` of [H, W, C] uint8 values, as float32."""
    if image.dtype != tf.uint8:
        image = tf.clip_by_value(tf.round(tf.cast(image, tf.float32)), 0.0, 255.0)
    image = tf.cast(image, tf.int32)
    for axis in (1, 0):  # Pillow's order; the first pass is rounded to whole levels
        image = _filtered(image, size[axis], axis)
    return tf.cast(image, tf.float32)


def resize_as_skimage(image, size) -> tf.Tensor:
    """`skimage.transform.resize(order=1, preserve_range=True)` of [H, W, C] uint8, cast to uint8.

    Its arguments are Matterport's: zeros outside, no antialiasing, clipped to the image's range.
    Of the pixels whose exact value is whole some are one less there, by rounding errors.
    """
    image = tf.cast(image, tf.float32)
    scale = tf.cast(size, tf.float32) / tf.cast(tf.shape(image)[:2], tf.float32)
    resized = tf.raw_ops.ScaleAndTranslate(
        images=tf.pad(image, [[1, 1], [1, 1], [0, 0]])[tf.newaxis],
        size=size,
        scale=scale,
        translation=-scale,  # of the border of zeros
        kernel_type="triangle",
        antialias=False,
    )[0]
    resized = tf.clip_by_value(resized, tf.reduce_min(image), tf.reduce_max(image))
    return tf.floor(resized + WHOLE)


def _shrunk(image, size, prepare: Optional[Prepare]) -> tf.Tensor:
    """`tf.image.resize(prepare(image), size, antialias=True)`, to the bit.

    The kernel filters down the columns, then along the rows. With `prepare`, one band of columns
    after the other goes through the first half, and what they leave, as high as the result, through
    the second; a filter of scale 1 has the weights 0, 1, 0 and changes nothing.
    """
    if prepare is None:
        return tf.image.resize(image, size, antialias=True)
    height, width = tf.unstack(tf.shape(image)[:2], num=2)
    band = tf.maximum(_BAND // height, 1)
    scale = tf.cast(size, tf.float32) / tf.cast(tf.shape(image)[:2], tf.float32)
    shape = [None, None, image.shape[-1]]

    def shrink(i, bands):
        part = prepare(image[:, i * band : (i + 1) * band])
        down = _filter(part, (size[0], tf.shape(part)[1]), (scale[0], 1.0))
        return i + 1, bands.write(i, tf.transpose(down, [1, 0, 2]))  # columns first, to be joined

    count = -(-width // band)
    start = (0, tf.TensorArray(tf.float32, count, infer_shape=False, element_shape=shape))
    _, bands = tf.while_loop(lambda i, _: i < count, shrink, start, parallel_iterations=1)
    return _filter(tf.transpose(bands.concat(), [1, 0, 2]), size, (1.0, scale[1]))


def _filter(image, size, scale) -> tf.Tensor:
    """What `tf.image.resize` does with `antialias`, by scales of one's own."""
    return tf.raw_ops.ScaleAndTranslate(
        images=image[tf.newaxis],
        size=tf.stack(size),
        scale=tf.stack(scale),
        translation=[0.0, 0.0],
        kernel_type="triangle",
        antialias=True,
    )[0]


def _filtered(image, length, axis: int) -> tf.Tensor:
    """One axis of an int32 image resized to `length` by Pillow's triangle filter.

    Weights are computed in float64 and rounded to `PILLOW_BITS` bits, products are summed in int32
    (255 * 2**22 fits): the arithmetic of Resample.c, so that no pixel differs.
    """
    old = tf.shape(image)[axis]
    scale = tf.cast(old, tf.float64) / tf.cast(length, tf.float64)
    support = tf.maximum(scale, 1.0)
    centre = (tf.cast(tf.range(length), tf.float64) + 0.5) * scale
    first = tf.maximum(tf.cast(centre - support + 0.5, tf.int32), 0)  # [n], casts truncate
    last = tf.minimum(tf.cast(centre + support + 0.5, tf.int32), old)
    taps = first[:, tf.newaxis] + tf.range(tf.reduce_max(last - first))  # [n, k] input pixels
    distance = tf.abs(tf.cast(taps, tf.float64) - centre[:, tf.newaxis] + 0.5) * (1.0 / support)
    weights = tf.where(taps < last[:, tf.newaxis], tf.maximum(1.0 - distance, 0.0), 0.0)
    weights *= 1.0 / tf.reduce_sum(weights, axis=1, keepdims=True)
    weights = tf.cast(weights * 2.0**PILLOW_BITS + 0.5, tf.int32)
    taps = tf.minimum(taps, old - 1)
    shape = [-1, 1, 1] if axis == 0 else [1, -1, 1]

    def add(k, total):
        pixels = tf.gather(image, taps[:, k], axis=axis)
        return k + 1, total + pixels * tf.reshape(weights[:, k], shape)

    half = tf.fill(tf.tensor_scatter_nd_update(tf.shape(image), [[axis]], [length]), 1)
    start = half * 2 ** (PILLOW_BITS - 1)
    _, total = tf.while_loop(lambda k, _: k < tf.shape(taps)[1], add, (0, start))
    return tf.clip_by_value(tf.bitwise.right_shift(total, PILLOW_BITS), 0, 255)
