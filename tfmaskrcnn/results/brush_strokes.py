"""Masks as brush strokes of Label Studio; `data.importers.brush` says what the bits mean."""

from typing import List

import numpy as np

from tfmaskrcnn.ops.paste import Window

_CHANNELS = 4  # red, green, blue, opacity
_VALUE_BITS, _LENGTH_BITS = 8, 16
# Blocks name one of four numbers of bits that a length may have; this is the last of them.
_LENGTH_KIND, _KINDS = 3, (4, 8, 12, _LENGTH_BITS)
_MOST = 1 << _LENGTH_BITS  # values that one block repeats


def fits_brush(height: int, width: int) -> bool:
    """Whether an image is small enough for a code that counts its values in 32 bits."""
    return height * width * _CHANNELS < 1 << 32


def brush_strokes(window: Window, height: int, width: int) -> List[int]:
    """Numbers from 0 to 255: the "rle" of a brush, white where the mask is on.

    Time and memory are those of the runs, not of the image's pixels.

    Args:
        window: the mask.
        height, width: of the image.
    """
    ends = _row_ends(window, width) * _CHANNELS
    lengths = np.diff(ends, prepend=0, append=height * width * _CHANNELS)  # off and on in turn
    values = np.arange(len(lengths)) % 2 * 255
    # Long runs are several blocks, all but the last of the most values.
    blocks = -(-lengths // _MOST)
    last = np.cumsum(blocks) - 1
    counts = np.full(int(blocks.sum()), _MOST, np.int64)
    counts[last[blocks > 0]] = (lengths - (blocks - 1) * _MOST)[blocks > 0]
    values = np.repeat(values, blocks)
    words = (1 << 2) + _LENGTH_KIND  # a repeated value, and how long its length is
    words = (((words << _LENGTH_BITS) + counts - 1) << _VALUE_BITS) + values
    bits = 3 + _LENGTH_BITS + _VALUE_BITS
    body = (words[:, None] >> np.arange(bits - 1, -1, -1)) & 1
    start = [(height * width * _CHANNELS, 32), (_VALUE_BITS - 1, 5)]
    start += [(kind - 1, 4) for kind in _KINDS]
    head = [value >> place & 1 for value, size in start for place in range(size - 1, -1, -1)]
    return np.packbits(np.concatenate([head, body.reshape(-1)]).astype(bool)).tolist()


def _row_ends(window: Window, width: int) -> np.ndarray:
    """Where runs along the rows of the image start and end, start, stop, start, stop, ..."""
    h, w = window.bitmap.shape
    bordered = np.zeros((h, w + 1), bool)  # the last column is off: each row's last run ends there
    bordered[:, :w] = window.bitmap
    ends = np.flatnonzero(np.diff(bordered.reshape(-1), prepend=False))
    rows, columns = ends // (w + 1), ends % (w + 1)
    return (rows + window.top) * width + columns + window.left
