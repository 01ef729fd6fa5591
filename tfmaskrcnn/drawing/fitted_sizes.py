"""Images brought to the size of their picture, without a second image in memory."""

from typing import Callable, Tuple

import numpy as np
from PIL import Image

from tfmaskrcnn.errors import InputError

_STRIP_PIXELS = 4_000_000  # of the image, read at a time
_SUPPORT = 3  # of the Lanczos kernel, pixels of the smaller grid


def fitted(image: np.ndarray, wanted: Tuple[int, int]) -> np.ndarray:
    """[h, w, 3] uint8 of the size `wanted`, of [H, W, 3] or [H, W] uint8; the same if it fits."""
    if image.shape[:2] == tuple(wanted):
        return as_rgb(image)
    return fitted_by_strips(lambda y, x, h, w: image[y : y + h], image.shape[:2], wanted)


def fitted_by_strips(
    read: Callable[[int, int, int, int], np.ndarray], size: Tuple[int, int], wanted: Tuple[int, int]
) -> np.ndarray:
    """An image that is read piece by piece, reduced or enlarged.

    Args:
        read: gives [h, w, C] or [h, w] uint8 of (y, x, h, w), pixels; all of a row is asked for.
        size: (height, width) of the image.
        wanted: (height, width) of the picture.

    Returns:
        [*wanted, 3] uint8 RGB.
    """
    (height, width), (rows, columns) = size, wanted
    out = np.empty((rows, columns, 3), np.uint8)
    step = height / rows  # rows of the image for one of the picture
    margin = int(np.ceil(_SUPPORT * max(step, 1)))
    at_once = max(1, int(_STRIP_PIXELS / max(width * step, columns)))
    for first in range(0, rows, at_once):
        last = min(first + at_once, rows)
        top, bottom = max(int(first * step) - margin, 0), min(int(last * step) + margin, height)
        strip = Image.fromarray(as_rgb(first_channels(read(top, 0, bottom - top, width))))
        box = (0, first * step - top, width, min(last * step, height) - top)
        kernel = Image.Resampling.LANCZOS if step > 1 else Image.Resampling.BICUBIC
        out[first:last] = strip.resize((columns, last - first), kernel, box=box)
    return out


def first_channels(image: np.ndarray) -> np.ndarray:
    """The first three channels of [H, W, C], or the first alone: what a picture can show."""
    if image.ndim == 2:
        return image
    return image[..., :3] if image.shape[2] > 2 else image[..., 0]


def as_rgb(image: np.ndarray) -> np.ndarray:
    """[H, W, 3] uint8 of that or of a grey [H, W] image."""
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise InputError(f"wanted a uint8 image [H, W, 3], found {image.dtype} {image.shape}")
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
