"""`ops.images` in NumPy: what a SavedModel does before its network, for a file that holds it alone.

`docs/edge.md` writes the steps out for those who repeat them in another language.
"""

from typing import Tuple

import numpy as np

from tfmaskrcnn.config.model import InputConfig
from tfmaskrcnn.inference.runtimes.numpy_resize import resize
from tfmaskrcnn.ops.limits import BRIGHT_MEDIAN, STRETCH_HIGH, STRETCH_LOW


def target_size(size: Tuple[int, int], input: InputConfig) -> Tuple[int, int]:
    """(height, width) of an image of `size` (height, width) after resizing, each at least 1."""
    if input.fixed_size:
        scale, rounding = min(box / side for box, side in zip(input.fixed_size, size)), "nearest"
    else:
        scale, rounding = input.min_side / min(size), input.size_rounding
        scale = max(scale, 1.0) if input.enlarge_only else scale
        scale = min(scale, input.max_side / max(size))
    half = 0.5 if rounding == "nearest" else 0.0
    sides = (side * scale + half for side in size)
    # Python rounds halves to the even side, and `int` cuts decimals off.
    height, width = (max(int(round(s) if rounding == "even" else s), 1) for s in sides)
    return height, width


def stretch_contrast(image: np.ndarray) -> np.ndarray:
    """`image` [H, W, C] with its 0.2 and 99.8 percentiles at 0 and 255; float32 0..255.

    See `ops.images.stretch_contrast`.
    """
    below = _cumulative_histogram(image)
    low, high = _percentile(below, STRETCH_LOW), _percentile(below, STRETCH_HIGH)
    image = image.astype(np.float32)
    if not high > low:
        return image
    factor = np.float32(255.0) / np.maximum(high - low, np.float32(1.0))
    return np.clip((image - low) * factor, np.float32(0.0), np.float32(255.0))


def invert_bright(image: np.ndarray) -> np.ndarray:
    """The negative of `image` [H, W, C] if its median is above 127, else itself; float32 0..255."""
    median = _percentile(_cumulative_histogram(image), 0.5)
    image = image.astype(np.float32)
    return np.float32(255.0) - image if median > BRIGHT_MEDIAN else image


def normalize(image: np.ndarray, input: InputConfig) -> np.ndarray:
    """(`image` - mean) / std per channel, in the network's order; [..., C] float32.

    Times 1 / std in float32, as TensorFlow has it in a graph.
    """
    image = image.astype(np.float32, copy=False)
    if input.order == "bgr":
        image = image[..., ::-1]
    factor = np.float32(1.0) / np.asarray(input.std, np.float32)
    return (image - np.asarray(input.mean, np.float32)) * factor


def preprocess(image: np.ndarray, input: InputConfig) -> np.ndarray:
    """The network's input for an image [H, W, C] uint8, before padding: [h, w, C] float32."""
    size = target_size(image.shape[:2], input)
    if input.stretch_contrast:
        image = stretch_contrast(image)
    if input.invert_bright:
        image = invert_bright(image)
    return normalize(resize(image, size, input.resize), input)


def pad_to(image: np.ndarray, height: int, width: int, input: InputConfig) -> np.ndarray:
    """`image` [h, w, C], normalised, inside [height, width, C] as `input.padding` says."""
    rows, columns, channels = image.shape
    padded = np.zeros((height, width, channels), np.float32)
    top = left = 0
    if input.padding == "centred":
        padded[:] = normalize(np.zeros([channels], np.float32), input)  # black
        top, left = (height - rows) // 2, (width - columns) // 2
    padded[top : top + rows, left : left + columns] = image
    return padded


def _cumulative_histogram(image: np.ndarray) -> np.ndarray:
    """[256] float32: entry v is the share of values <= v."""
    counts = np.cumsum(np.bincount(image.astype(np.uint8).ravel(), minlength=256))
    return counts.astype(np.float32) / np.float32(counts[-1])


def _percentile(below: np.ndarray, share: float) -> np.float32:
    """Lowest level that at least `share` of the values do not exceed."""
    return np.float32(np.count_nonzero(below < np.float32(share)))
