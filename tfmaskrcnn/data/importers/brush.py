"""Brush strokes of Label Studio: a run-length code of the pixels' colours, packed in bits.

32 bits: how many values follow; 5 bits: how many bits a value has, less 1; four times 4 bits: how
many bits a length can have, less 1. Then blocks: a bit that says whether the block repeats one
value, 2 bits for which of the four a length has, the length less 1, and the value or the values.
The values are red, green, blue and opacity of each pixel, row by row; what is not transparent is
the object.
"""

from typing import Any

import numpy as np

from tfmaskrcnn.errors import quoted

_CHANNELS = 4
_OPACITY = 3


class _Bits:
    """Reads whole numbers from bytes, the highest bit first."""

    def __init__(self, content: bytes):
        self._content, self._place, self.left = content, 0, 8 * len(content)

    def number(self, bits: int) -> int:
        """The next `bits` bits."""
        self._take(bits)
        first, last = self._place // 8, (self._place + bits + 7) // 8
        word = int.from_bytes(self._content[first:last], "big")
        self._place += bits
        return (word >> (8 * last - self._place)) & ((1 << bits) - 1)

    def numbers(self, count: int, bits: int) -> np.ndarray:
        """[count] int64 of the next numbers of `bits` bits each."""
        self._take(count * bits)
        first, last = self._place // 8, (self._place + count * bits + 7) // 8
        found = np.unpackbits(np.frombuffer(self._content[first:last], np.uint8))
        start = self._place - 8 * first
        self._place += count * bits
        rows = found[start : start + count * bits].reshape(count, bits).astype(np.int64)
        return rows @ (1 << np.arange(bits - 1, -1, -1, dtype=np.int64))

    def _take(self, bits: int) -> None:
        if bits > self.left:
            raise ValueError("its brush strokes end too early")
        self.left -= bits


def brush_mask(rle: Any, height: int, width: int) -> np.ndarray:
    """[H, W] bool of the "rle" of a brush: numbers from 0 to 255.

    Time and memory are bounded by the image and by the code's length.

    Raises:
        ValueError: it is no such code, or not of an image of this size.
    """
    if not isinstance(rle, list):
        raise ValueError(f"its rle is {quoted(rle)}, wanted a list of numbers from 0 to 255")
    try:
        bits = _Bits(bytes(rle))
    except (TypeError, ValueError, OverflowError):
        raise ValueError("its rle holds other values than numbers from 0 to 255") from None
    total = bits.number(32)
    if total != height * width * _CHANNELS:
        raise ValueError(f"its rle is of {total} values, wanted {height} x {width} x {_CHANNELS}")
    size = bits.number(5) + 1
    lengths = [bits.number(4) + 1 for _ in range(4)]
    mask, place = np.zeros(height * width, bool), 0
    while place < total:
        repeats = bits.number(1)
        count = bits.number(lengths[bits.number(2)]) + 1
        if place + count > total:
            raise ValueError("its brush strokes go beyond the image")
        # Of `count` values from `place` on, those of opacity.
        first = (place + _CHANNELS - 1 - _OPACITY) // _CHANNELS
        last = (place + count + _CHANNELS - 1 - _OPACITY) // _CHANNELS
        if repeats:
            mask[first:last] = bits.number(size) > 0
        else:
            values = bits.numbers(count, size)
            mask[first:last] = values[first * _CHANNELS + _OPACITY - place :: _CHANNELS] > 0
        place += count
    return mask.reshape(height, width)
