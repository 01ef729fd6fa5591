"""TIFF files of which only the strips or tiles of a window are decoded, by tifffile."""

from __future__ import annotations

import io
import struct
import threading
from collections import OrderedDict
from typing import Dict, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from tfmaskrcnn.errors import InputError, one_line
from tfmaskrcnn.support.files import open_regular

_KEPT = 1 << 27  # bytes of decoded strips and tiles: windows overlap
_LARGEST_SEGMENT = 1 << 28  # bytes; a file of larger ones is decoded as a whole
_ORIENTATION = 274
_GREY, _RGB, _INVERTED_GREY, _YCBCR = 1, 2, 0, 6
# Compressions that Pillow's libtiff decodes, though tifffile alone does not: LZW and JPEG.
_BY_PILLOW = (5, 7)
# What a strip or tile needs to be a TIFF of its own: order of bits, predictor, JPEG tables,
# subsampling.
_CARRIED = (266, 317, 347, 530)


class TiffImage:
    """The first page of a TIFF file."""

    def __init__(self, file, page, path: str):
        self._file, self._page, self._path = file, page, path
        self.size = int(page.imagelength), int(page.imagewidth)
        tag = page.tags.get(_ORIENTATION)
        found = tag.value if tag is not None else 1
        self.orientation = int(found) if found in range(1, 9) else 1
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()
        self._bytes, self._lock = 0, threading.Lock()
        samples = int(page.samplesperpixel)
        self._planes = samples if page.planarconfig == 2 else 1
        self._samples = samples
        length, width = (page.tilelength, page.tilewidth) if page.is_tiled else (0, 0)
        self._grid = (
            int(length or min(page.rowsperstrip or self.size[0], self.size[0])),
            int(width or self.size[1]),
        )

    def read(self, y: int, x: int, h: int, w: int) -> np.ndarray:
        """The stored pixels of a window: uint8 [h, w, 3 or 4], or uint8 or uint16 [h, w] of grey.

        Raises:
            InputError: a strip or tile is damaged.
        """
        contig = self._samples if self._planes == 1 else 1
        out = np.zeros((self._planes, h, w, contig), self._page.dtype)
        sides, across = self._grid, -(-self.size[1] // self._grid[1])
        down = -(-self.size[0] // sides[0])
        for plane in range(self._planes):
            for row in range(y // sides[0], -(-(y + h) // sides[0])):
                for column in range(x // sides[1], -(-(x + w) // sides[1])):
                    segment = self._segment((plane * down + row) * across + column)
                    top, left = row * sides[0], column * sides[1]
                    _copy(segment, (top - y, left - x), out[plane])
        pixels = out[0] if self._planes == 1 else np.moveaxis(out[..., 0], 0, -1)
        return self._eight_bits(pixels)

    def _eight_bits(self, pixels: np.ndarray) -> np.ndarray:
        if self._page.photometric == _INVERTED_GREY:
            pixels = np.iinfo(pixels.dtype).max - pixels
        if pixels.shape[2] == 1:
            return pixels[..., 0]  # `converted` knows grey of 16 bits
        if pixels.dtype == np.uint16:
            pixels = (pixels >> 8).astype(np.uint8)  # as Pillow reads colours of 16 bits
        return np.ascontiguousarray(pixels[..., :4])

    def _segment(self, index: int) -> np.ndarray:
        """[h, w, S] of a strip or tile, decoded or kept."""
        with self._lock:
            if index in self._kept:
                self._kept.move_to_end(index)
                return self._kept[index]
            try:
                segment = self._decoded(index)
            except Exception as error:  # damaged files make decoders raise nearly anything
                raise InputError(
                    f"The image {self._path} cannot be decoded: {one_line(error)}."
                ) from None
            self._kept[index] = segment
            self._bytes += segment.nbytes
            while self._bytes > _KEPT and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
            return segment

    def _decoded(self, index: int) -> np.ndarray:
        page = self._page
        count = page.databytecounts[index]
        self._file.seek(page.dataoffsets[index])
        content = self._file.read(count)
        if len(content) < count:
            raise ValueError(f"strip or tile {index} is cut off")
        samples = self._samples if self._planes == 1 else 1
        if page.compression in _BY_PILLOW and count:
            return _decoded_by_pillow(content, page, samples, self._height_of(index))
        found = page.decode(content or None, index, jpegtables=page.jpegtables)[0]
        if found is None:  # left out: all of it is the background
            shape = self._height_of(index), self._grid[1], samples
            return np.full(shape, page.nodata, page.dtype)
        return found.reshape(*found.shape[-3:])

    def _height_of(self, index: int) -> int:
        """Rows of a tile, or of a strip, of which the last has fewer."""
        if self._page.is_tiled:
            return self._grid[0]
        down = -(-self.size[0] // self._grid[0])
        return min(self._grid[0], self.size[0] - index % down * self._grid[0])


def open_tiff(path: str) -> Optional[TiffImage]:
    """The first page of a TIFF whose windows can be decoded; None where Pillow is to read it.

    That is also so where tifffile is not installed.
    """
    try:
        import tifffile

        file = open_regular(path)
        page = tifffile.TiffFile(file).pages[0]
        return TiffImage(file, page, path) if _fits(page, tifffile) else None
    except Exception:  # Pillow will say what is wrong
        return None


def _fits(page, tifffile) -> bool:
    """Whether strips or tiles of grey or RGB can be decoded one by one."""
    samples = int(page.samplesperpixel)
    grey = page.photometric in (_GREY, _INVERTED_GREY) and samples == 1
    colours = page.photometric == _RGB and samples in (3, 4)
    colours |= page.photometric == _YCBCR and samples == 3 and page.compression in _BY_PILLOW
    known = page.compression in _BY_PILLOW or _decodes(page.compression, tifffile)
    if page.compression in _BY_PILLOW and page.dtype != np.uint8:
        return False
    tiled = page.tilelength * page.tilewidth if page.is_tiled else 0
    pixels = tiled or min(page.rowsperstrip or page.imagelength, page.imagelength) * page.imagewidth
    small = pixels * samples * page.dtype.itemsize <= _LARGEST_SEGMENT
    flat = getattr(page, "imagedepth", 1) == 1
    plain = page.dtype in (np.uint8, np.uint16) and page.bitspersample in (8, 16)
    return bool((grey or colours) and known and small and flat and plain)


def _decodes(compression: int, tifffile) -> bool:
    """Whether tifffile knows a compression and has what it takes: Python's own Zstandard is new."""
    try:
        tifffile.TIFF.DECOMPRESSORS[compression](b"")
    except (ImportError, KeyError):
        return False
    except Exception:  # nothing is no picture, of some compressions
        pass
    return True


def _copy(segment: np.ndarray, offset: Tuple[int, int], out: np.ndarray) -> None:
    """Lay `segment` [h, w, S] into `out` [H, W, S] at `offset`, as far as they meet."""
    (y, x), (h, w) = offset, segment.shape[:2]
    y1, x1 = max(y, 0), max(x, 0)
    y2, x2 = min(y + h, out.shape[0]), min(x + w, out.shape[1])
    if y2 > y1 and x2 > x1:
        out[y1:y2, x1:x2] = segment[y1 - y : y2 - y, x1 - x : x2 - x]


def _decoded_by_pillow(content: bytes, page, samples: int, height: int) -> np.ndarray:
    """[h, w, S] uint8 of a strip or tile, as the only strip of a TIFF of its own."""
    width = int(page.tilewidth if page.is_tiled else page.imagewidth)
    photometric = _GREY if page.planarconfig == 2 else int(page.photometric)
    tags = {256: (4, [width]), 257: (4, [height]), 258: (3, [8] * samples)}
    tags.update({259: (3, [int(page.compression)]), 262: (3, [photometric])})
    tags.update({273: (4, [8]), 277: (3, [samples]), 278: (4, [height])})
    tags.update({279: (4, [len(content)]), 284: (3, [1])})
    for tag in _CARRIED:
        value = page.tags[tag].value if tag in page.tags else None
        if isinstance(value, bytes):
            tags[tag] = 7, value
        elif value is not None:
            tags[tag] = 3, [int(v) for v in (value if isinstance(value, tuple) else (value,))]
    with Image.open(io.BytesIO(_tiff_of(content, tags)), formats=("TIFF",)) as image:
        pixels = np.asarray(image)
    return pixels.reshape(height, width, samples)


def _tiff_of(strip: bytes, tags: Dict[int, Tuple[int, Sequence[int]]]) -> bytes:
    """A little-endian TIFF of one strip, which comes first; tags are (type, values)."""
    body = strip + b"\0" * (len(strip) % 2)
    start = 8 + len(body)
    entries, extra = b"", b""
    room = start + 2 + 12 * len(tags) + 4
    for tag in sorted(tags):
        kind, values = tags[tag]
        form = f"<{len(values)}{'H' if kind == 3 else 'I'}"
        packed = bytes(values) if kind == 7 else struct.pack(form, *values)
        if len(packed) > 4:
            place, extra = room + len(extra), extra + packed + b"\0" * (len(packed) % 2)
            packed = struct.pack("<I", place)
        entries += struct.pack("<HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    header = b"II*\0" + struct.pack("<I", start)
    return header + body + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0" + extra
