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


def enhance(image: np.ndarray, input: InputConfig) -> np.ndarray:
    """`image` [H, W, C] uint8 after what `input` asks for at the original resolution, if anything.

    Both steps send each of the 256 levels to another, so one look-up makes the float32 image, which
    is all the memory that they take.
    """
    if not (input.stretch_contrast or input.invert_bright):
        return image
    counts = sum(
        np.bincount(part, minlength=256) for part in np.array_split(image.ravel(), len(image))
    )
    levels = np.arange(256, dtype=np.float32)
    if input.stretch_contrast:
        levels = _stretched(levels, counts)
    if input.invert_bright and _percentile(levels, counts, 0.5) > BRIGHT_MEDIAN:
        levels = np.float32(255.0) - levels
    return levels[image]


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
    return normalize(resize(enhance(image, input), size, input.resize), input)


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


def _stretched(levels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """[256] float32 `levels` as `ops.images.stretch_contrast` changes those of an image.

    `counts` [256] are of the values that have each level.
    """
    low, high = (_percentile(levels, counts, share) for share in (STRETCH_LOW, STRETCH_HIGH))
    if not high > low:
        return levels
    factor = np.float32(255.0) / np.maximum(high - low, np.float32(1.0))
    return np.clip((levels - low) * factor, np.float32(0.0), np.float32(255.0))


def _percentile(levels: np.ndarray, counts: np.ndarray, share: float) -> np.float32:
    """Lowest whole level that at least `share` of the values do not exceed."""
    whole = np.zeros(256, np.int64)
    np.add.at(whole, levels.astype(np.uint8), counts)
    below = np.cumsum(whole).astype(np.float32) / np.float32(whole.sum())
    return np.float32(np.count_nonzero(below < np.float32(share)))
