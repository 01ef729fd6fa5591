"""Images that are arrays in memory; they give the pixels that a PNG file of them would give."""

import os
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from tfmaskrcnn.data.coco.image_modes import MODES, converted
from tfmaskrcnn.errors import InputError, quoted


class ImageArray(NamedTuple):
    """An image in memory that `checked_array` let pass; the array is the user's own, not a copy."""

    name: str  # stands for the path in errors
    pixels: np.ndarray  # [H, W] or [H, W, C] uint8, or grey of 16 bits


def checked_array(image: Any, name: str, channels: int) -> ImageArray:
    """An image that `array_pixels` reads.

    Args:
        image: uint8 [H, W] or [H, W, 1] (grey), [H, W, 3] (RGB) or [H, W, 4] (RGB and alpha), or
            uint16 grey; for a model of another number of channels uint8 [H, W, channels].
        name: says in an error which image it is.
        channels: C of the model, `input.channels`.

    Raises:
        InputError: it is something else.
    """
    if isinstance(image, (str, bytes, os.PathLike, Image.Image)):
        raise InputError(
            f"{name} is {quoted(image)}; wanted an array: mr.data.read_image(path) reads a file, "
            "and np.asarray(image.convert('RGB')) turns a PIL image into one."
        )
    try:
        pixels = np.asarray(image)
    except Exception as error:  # of a ragged list, or of another library's tensor on a GPU
        raise InputError(f"{name} is no array: {error}.") from None
    wanted = f"wanted uint8 [height, width, {channels}]"
    if channels in MODES:
        wanted = "wanted uint8 [height, width] or [height, width, 1, 3 or 4]"
    if pixels.dtype.kind == "f":
        raise InputError(f"{name} is {pixels.dtype}{_range(pixels)}; {wanted}: {_as_uint8(pixels)}")
    deep = pixels.dtype == np.uint16 and _is_grey(pixels) and channels in MODES
    if pixels.dtype != np.uint8 and not deep:
        raise InputError(f"{name} is {pixels.dtype} {pixels.shape}{_range(pixels)}; {wanted}.")
    kinds = (1, 3, 4) if channels in MODES else (channels,)
    shaped = pixels.ndim == 3 and pixels.shape[2] in kinds
    if 0 in pixels.shape or not (shaped or (pixels.ndim == 2 and 1 in kinds)):
        hint = ""
        if pixels.ndim == 3 and pixels.shape[0] in (1, 3, channels):
            hint = "; np.moveaxis(image, 0, -1) puts the channels last"
        raise InputError(f"{name} is {pixels.dtype} {pixels.shape}; {wanted}{hint}.")
    return ImageArray(name, pixels)


def array_pixels(image: ImageArray, channels: int) -> np.ndarray:
    """[H, W, C] uint8 as `read_image` gives them of a file; a copy, so that it may be changed."""
    pixels = image.pixels
    if pixels.dtype == np.uint8 and pixels.shape[2:] == (channels,):
        return np.array(pixels, order="C")
    flat = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    return converted(Image.fromarray(flat), image.name, channels)


def _is_grey(pixels: np.ndarray) -> bool:
    return pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 1)


def _range(pixels: np.ndarray) -> str:
    if not pixels.size or pixels.dtype.kind not in "iuf":
        return ""
    return f" with values from {pixels.min():g} to {pixels.max():g}"


def _as_uint8(pixels: np.ndarray) -> str:
    """What turns such floats into the bytes that they stand for."""
    low, high = (pixels.min(), pixels.max()) if pixels.size else (0.0, 0.0)
    if low >= 0 and high <= 1:
        return "np.uint8(np.round(255 * image))."
    if low >= 0 and high <= 255:
        return "np.uint8(np.round(image))."
    return "give the pixels as they were before they were normalised; the pipeline does that."
