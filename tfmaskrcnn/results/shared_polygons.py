"""Polygons that were made once, for all formats that want them."""

import hashlib
from collections import OrderedDict
from typing import List, Tuple

import numpy as np

from tfmaskrcnn.ops.paste import Window
from tfmaskrcnn.results.polygons_of_masks import MaskPolygon, polygons_of

# Of polygons that are kept: those of some 30,000 large objects, or more small ones.
_MOST_BYTES = 1 << 26
_RING_BYTES = 200  # of an array besides its points


class SharedPolygons:
    """`polygons_of` that remembers what was asked last; not to be written into."""

    def __init__(self, most_bytes: int = _MOST_BYTES):
        self._kept: OrderedDict[Tuple, Tuple[List[MaskPolygon], int]] = OrderedDict()
        self._most, self._bytes = most_bytes, 0

    def of(self, window: Window, tolerance: float) -> List[MaskPolygon]:
        """The parts of a mask, see `polygons_of`."""
        pixels = hashlib.blake2b(np.packbits(window.bitmap).tobytes(), digest_size=16).digest()
        key = (pixels, window.bitmap.shape, window.top, window.left, tolerance)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key][0]
        polygons = polygons_of(window, tolerance)
        self._kept[key] = polygons, _bytes_of(polygons)
        self._bytes += self._kept[key][1]
        while self._bytes > self._most:
            self._bytes -= self._kept.popitem(last=False)[1][1]
        return polygons


def _bytes_of(polygons: List[MaskPolygon]) -> int:
    rings = [ring for part in polygons for ring in (part.outer, *part.holes)]
    return sum(ring.nbytes + _RING_BYTES for ring in rings) + _RING_BYTES
