"""Pictures that are read part by part: of a large file no more is in memory than is needed."""

import contextlib
import os
import threading
from typing import Iterator, Tuple, Union

import numpy as np
from PIL import Image

from tfmaskrcnn.data.coco.image_files import (
    PILLOW_FORMATS,
    opened,
    opened_picture,
    read_image,
)
from tfmaskrcnn.data.coco.image_modes import converted
from tfmaskrcnn.data.coco.orientation import orientation_of, seen_size, turned
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.inference.tiff_windows import open_tiff
from tfmaskrcnn.support.files import most_bytes

# Files of fewer pixels are read whole: nothing is gained by windows.
SMALL = 1 << 22
_STRIP = 1 << 24  # pixels of a large picture that are read at a time
_TIFF_ENDINGS = (".tif", ".tiff", ".svs", ".ndpi", ".btf", ".tf8")
_PILLOW_BYTES = 4  # that a pixel of colours takes in Pillow
_LOCK = threading.RLock()  # of Pillow's limit, which is one for the whole process
# The stored corners that a window of the view comes from: rows and columns exchanged (orientations
# 5 to 8), rows counted from the end, columns counted from the end.
_FROM_END = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (1, 0), 7: (1, 1), 8: (0, 1)}


class ImageWindows:
    """A picture of `size` (height, width) that gives its pixels as uint8 [h, w, C] windows."""

    def __init__(self, size: Tuple[int, int], channels: int):
        self.size = int(size[0]), int(size[1])
        self.channels = channels

    @property
    def shape(self) -> Tuple[int, int, int]:
        """(H, W, C), as of an array."""
        return (*self.size, self.channels)

    def __getitem__(self, place: Tuple[slice, slice]) -> np.ndarray:
        """[h, w, C] uint8 of `picture[top:bottom, left:right]`, as of an array."""
        (top, bottom, _), (left, right, _) = (s.indices(n) for s, n in zip(place, self.size))
        return self.read(top, left, max(bottom - top, 0), max(right - left, 0))

    def read(self, y: int, x: int, h: int, w: int) -> np.ndarray:
        """[h, w, C] uint8 from row `y` and column `x` on, cut off at the picture's edge."""
        raise NotImplementedError

    def whole(self) -> np.ndarray:
        """[H, W, C] uint8; a large picture is read in strips, or it would take its size twice."""
        height, width = self.size
        if height * width <= _STRIP:
            return self.read(0, 0, *self.size)
        out = np.empty((height, width, self.channels), np.uint8)
        rows = max(_STRIP // width, 1)
        for y in range(0, height, rows):
            out[y : y + rows] = self.read(y, 0, min(rows, height - y), width)
        return out

    def reduced(self, factor: int) -> np.ndarray:
        """[ceil(H / factor), ceil(W / factor), C] uint8: means of squares of `factor` pixels.

        The last row and column are means of what there is. It is read strip by strip.
        """
        if factor == 1:
            return self.whole()
        height, width = self.size
        rows = max(_STRIP // (width * factor), 1) * factor
        strips = (
            reduced_array(self.read(y, 0, min(rows, height - y), width), factor)
            for y in range(0, height, rows)
        )
        return np.concatenate(list(strips))


class ArrayWindows(ImageWindows):
    """Windows of an array [H, W, C] of uint8 that is in memory."""

    def __init__(self, pixels: np.ndarray):
        super().__init__(pixels.shape[:2], pixels.shape[2])
        self._pixels = pixels

    def whole(self) -> np.ndarray:
        """The array itself."""
        return self._pixels

    def read(self, y: int, x: int, h: int, w: int) -> np.ndarray:
        """See `ImageWindows`."""
        return self._pixels[y : y + h, x : x + w]


class PartWindows(ImageWindows):
    """A part of a picture as a picture of its own."""

    def __init__(self, picture: ImageWindows, y: int, x: int, h: int, w: int):
        super().__init__((h, w), picture.channels)
        self._picture, self._place = picture, (y, x)

    def read(self, y: int, x: int, h: int, w: int) -> np.ndarray:
        """See `ImageWindows`."""
        h, w = min(h, self.size[0] - y), min(w, self.size[1] - x)
        return self._picture.read(self._place[0] + y, self._place[1] + x, h, w)


class _Turned(ImageWindows):
    """What is stored, one window at a time turned as EXIF's orientation asks."""

    def __init__(self, stored: Tuple[int, int], channels: int, orientation: int):
        super().__init__(seen_size(stored, orientation), channels)
        self._stored, self._orientation = stored, orientation

    def read(self, y: int, x: int, h: int, w: int) -> np.ndarray:
        h, w = min(h, self.size[0] - y), min(w, self.size[1] - x)
        if self._orientation >= 5:
            y, x, h, w = x, y, w, h
        rows_turned, columns_turned = _FROM_END[self._orientation]
        y = self._stored[0] - y - h if rows_turned else y
        x = self._stored[1] - x - w if columns_turned else x
        return turned(self._read_stored(y, x, h, w), self._orientation)

    def _read_stored(self, y: int, x: int, h: int, w: int) -> np.ndarray:
        raise NotImplementedError


class _PillowWindows(_Turned):
    """A file that was decoded once; it stays as Pillow holds it, grey in one byte a pixel."""

    def __init__(self, image: Image.Image, path: str, channels: int, orientation: int):
        super().__init__((image.size[1], image.size[0]), channels, orientation)
        self._image, self._path = image, path

    def _read_stored(self, y: int, x: int, h: int, w: int) -> np.ndarray:
        return converted(self._image.crop((x, y, x + w, y + h)), self._path, self.channels)


class _TiffWindows(_Turned):
    """A TIFF whose strips or tiles are decoded when they are needed."""

    def __init__(self, tiff, path: str, channels: int, exif: str):
        super().__init__(tiff.size, channels, tiff.orientation if exif == "apply" else 1)
        self._tiff, self._path = tiff, path

    def _read_stored(self, y: int, x: int, h: int, w: int) -> np.ndarray:
        return converted(Image.fromarray(self._tiff.read(y, x, h, w)), self._path, self.channels)


def open_windows(
    picture: Union[str, os.PathLike, np.ndarray], channels: int = 3, exif: str = "apply"
) -> ImageWindows:
    """A picture to be read in windows, with the pixels that `read_image` gives.

    Tiled and striped TIFF files (BigTIFF, 16 bits, the first of many pages) are decoded where they
    are read, if tifffile is installed (the extra `formats`); all other files once, as a whole.

    Args:
        picture: path of an image file, or uint8 [H, W, C].
        channels: C, the model's `input.channels`.
        exif: the model's `input.exif`.

    Raises:
        InputError: as `read_image`; an array of another shape or type. A damaged part of a TIFF is
            found when it is read.
    """
    if isinstance(picture, np.ndarray):
        return ArrayWindows(_checked(picture, channels))
    path = os.fspath(picture)
    with _of_any_size():
        count = 0 if path.endswith(".npy") else _pixel_count(path)
    fits = channels in (1, 3, 4)
    if count > SMALL and fits:
        tiff = open_tiff(path) if path.lower().endswith(_TIFF_ENDINGS) else None
        if tiff is not None:
            return _TiffWindows(tiff, path, channels, exif)
        if count * _PILLOW_BYTES > most_bytes():
            raise InputError(
                f"The image {path} has {count / 1e6:.0f} megapixels, which take more than a "
                "quarter of this machine's memory; save it as a TIFF of tiles or strips, which is "
                "read in parts by tifffile (the extra `formats`)."
            )
        with _of_any_size():
            return _decoded(path, channels, exif)
    try:
        return ArrayWindows(read_image(path, None, channels, exif))
    except InputError:  # Pillow reads no colours of 16 bits
        tiff = open_tiff(path) if fits and path.lower().endswith(_TIFF_ENDINGS) else None
        if tiff is None:
            raise
        return _TiffWindows(tiff, path, channels, exif)


def reduced_array(pixels: np.ndarray, factor: int) -> np.ndarray:
    """[ceil(H / factor), ceil(W / factor), C] uint8 of [H, W, C]: see `ImageWindows.reduced`."""
    rows, columns = (np.arange(0, side, factor) for side in pixels.shape[:2])
    sums = np.add.reduceat(pixels, rows, axis=0, dtype=np.uint32)
    sums = np.add.reduceat(sums, columns, axis=1)
    counts = [np.diff(np.append(at, side)) for at, side in zip((rows, columns), pixels.shape)]
    areas = (counts[0][:, None] * counts[1])[..., None].astype(np.uint32)
    return ((sums + areas // 2) // areas).astype(np.uint8)


@contextlib.contextmanager
def _of_any_size() -> Iterator[None]:
    """Pillow refuses what has more than 179 megapixels; `most_bytes` is the limit instead."""
    with _LOCK:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _pixel_count(path: str) -> int:
    """By the header; 0 where `read_image` is to say what is wrong."""
    try:
        with opened(path) as file, Image.open(file, formats=PILLOW_FORMATS) as image:
            return image.size[0] * image.size[1]
    except Exception:
        tiff = open_tiff(path) if path.lower().endswith(_TIFF_ENDINGS) else None
        return 0 if tiff is None else tiff.size[0] * tiff.size[1]


def _decoded(path: str, channels: int, exif: str) -> ImageWindows:
    """A large file, decoded as a whole."""

    def loaded(image, *_):
        orientation = orientation_of(image)
        image.load()
        by_pillow = orientation != orientation_of(image)  # it turns a TIFF, from some version on
        converted(image.crop((0, 0, 1, 1)), path, channels)  # of what no model takes, this tells
        return image, orientation, by_pillow

    with opened(path) as file:
        image, orientation, by_pillow = opened_picture(file, path, channels, loaded)
    if by_pillow and exif == "ignore":
        return ArrayWindows(read_image(path, None, channels, exif))
    orientation = 1 if by_pillow or exif == "ignore" else orientation
    return _PillowWindows(image, path, channels, orientation)


def _checked(pixels: np.ndarray, channels: int) -> np.ndarray:
    fits = pixels.ndim == 3 and pixels.dtype == np.uint8 and pixels.size
    if not fits or pixels.shape[2] != channels:
        raise InputError(
            f"A picture must be a uint8 array [height, width, {channels}], found {pixels.dtype} "
            f"{quoted(pixels.shape)}."
        )
    return pixels
