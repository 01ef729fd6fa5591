"""`ops.resize` in NumPy: the same rules, by the arithmetic of the kernels that TensorFlow runs.

Sums are made in float32 and in the order of the kernels, so that the pixels are theirs to the bit.
"""

from typing import NamedTuple, Tuple

import numpy as np
from PIL import Image

from tfmaskrcnn.ops.limits import WHOLE

_ONE, _HALF = np.float32(1.0), np.float32(0.5)


class Spans(NamedTuple):
    """Of each output pixel of an axis, the input pixels it is made of."""

    first: np.ndarray  # [n] int64
    weights: np.ndarray  # [n, k] float32 of `first`, `first + 1`, ...; 0 behind the last


def resize(image: np.ndarray, size: Tuple[int, int], rule: str = "tensorflow") -> np.ndarray:
    """`image` [H, W, C] at `size` (height, width), bilinear with half-pixel centres; float32.

    Args:
        image: values in 0..255, uint8 or float32.
        size: (height, width) in pixels.
        rule: see `ops.resize.resize`, which this equals.

    Returns:
        [height, width, C] float32; whole numbers by the rules "pillow" and "skimage".
    """
    if rule == "pillow":
        return _as_pillow(image, size)
    if rule == "skimage":
        return _as_skimage(image, size)
    if rule == "tensorflow" and any(new < old for new, old in zip(size, image.shape[:2])):
        scales = [np.float32(new) / np.float32(old) for new, old in zip(size, image.shape[:2])]
        return _scaled(image, size, scales, translation=(0.0, 0.0), antialias=True)
    return _interpolated(image, size)


def _interpolated(image: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """Between the two nearest pixels of each axis, x first: `tf.image.resize` without a filter."""
    (top, bottom, down), (left, right, along) = (
        _neighbours(old, new) for old, new in zip(image.shape[:2], size)
    )
    along = along[:, np.newaxis]  # [w, 1]
    rows = np.union1d(top, bottom)  # each input row is interpolated once
    start = image[np.ix_(rows, left)].astype(np.float32)  # [r, w, C]
    lines = start + (image[np.ix_(rows, right)].astype(np.float32) - start) * along
    upper = lines[np.searchsorted(rows, top)]  # [h, w, C]
    lower = lines[np.searchsorted(rows, bottom)]
    return upper + (lower - upper) * down[:, np.newaxis, np.newaxis]


def _neighbours(old: int, new: int):
    """Lower and upper input pixel [n] of an axis, and the share [n] float32 of the upper one."""
    scale = np.float32(old) / np.float32(new)
    place = (np.arange(new, dtype=np.float32) + _HALF) * scale - _HALF
    floor = np.floor(place)
    lower = np.maximum(floor.astype(np.int64), 0)
    upper = np.minimum(np.ceil(place).astype(np.int64), old - 1)
    return np.minimum(lower, upper), np.maximum(upper, 0), place - floor


def _scaled(image, size, scales, translation, antialias: bool) -> np.ndarray:
    """The kernel `ScaleAndTranslate` with a triangle: y first, then x."""
    for axis in (0, 1):
        spans = _spans(image.shape[axis], size[axis], scales[axis], translation[axis], antialias)
        image = _summed(image, spans, axis)
    return image


def _spans(old: int, new: int, scale, translation: float, antialias: bool) -> Spans:
    """Weights of a triangle around each output pixel's place in the input, in float32."""
    inverse = _ONE / np.float32(scale)
    widened = max(inverse, _ONE) if antialias else _ONE
    place = (np.arange(new, dtype=np.float32) + _HALF) * inverse - inverse * np.float32(translation)
    first = np.clip(np.ceil(place - widened - _HALF).astype(np.int64), 0, old - 1)
    end = np.clip(np.floor(place + widened - _HALF).astype(np.int64), 0, old - 1) + 1
    taps = first[:, np.newaxis] + np.arange((end - first).max())  # [n, k]
    distance = taps.astype(np.float32) + _HALF - place[:, np.newaxis]
    weights = np.maximum(_ONE - np.abs(distance * (_ONE / widened)), np.float32(0.0))
    outside = (place < 0) | (place > old)  # such a pixel is black
    weights[(taps >= end[:, np.newaxis]) | outside[:, np.newaxis]] = 0.0
    total = np.zeros(new, np.float32)
    for k in range(weights.shape[1]):  # one after the other: `sum` adds in pairs
        total += weights[:, k]
    total = np.where(total > 0, total, _ONE)
    return Spans(first, weights * (_ONE / total)[:, np.newaxis])


def _summed(image: np.ndarray, spans: Spans, axis: int) -> np.ndarray:
    """float32 sums of weighted pixels along `axis`, one tap after the other."""
    shape = [1, 1, 1]
    shape[axis] = -1
    last = image.shape[axis] - 1
    total = np.float32(0.0)
    for k in range(spans.weights.shape[1]):
        pixels = np.take(image, np.minimum(spans.first + k, last), axis=axis).astype(np.float32)
        total = total + pixels * spans.weights[:, k].reshape(shape)
    return total


def _as_pillow(image: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """Pillow itself, along the rows and then down the columns, as all its versions up to 12.

    Version 13 begins with the columns where that is less work, which changes pixels by 1. A channel
    at a time, because it weighs colours by an alpha channel.
    """
    if image.dtype != np.uint8:
        image = np.clip(np.round(image), 0.0, 255.0).astype(np.uint8)
    bilinear = Image.Resampling.BILINEAR
    planes = []
    for plane in np.ascontiguousarray(image.transpose(2, 0, 1)):
        wide = Image.fromarray(plane).resize((size[1], len(plane)), bilinear)
        planes.append(np.asarray(wide.resize(size[::-1], bilinear)))
    return np.stack(planes, axis=-1).astype(np.float32)


def _as_skimage(image: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """See `ops.resize.resize_as_skimage`."""
    image = image.astype(np.float32)
    scales = [np.float32(new) / np.float32(old) for new, old in zip(size, image.shape[:2])]
    framed = np.pad(image, [(1, 1), (1, 1), (0, 0)])
    shift = [-scale for scale in scales]  # of the border of zeros
    resized = _scaled(framed, size, scales, shift, antialias=False)
    return np.floor(np.clip(resized, image.min(), image.max()) + np.float32(WHOLE))
