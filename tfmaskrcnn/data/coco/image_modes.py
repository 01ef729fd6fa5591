"""Kinds of pixels: grey, colours and alpha of 8 or 16 bits, as the channels that a model wants."""

import numpy as np
from PIL import Image

from tfmaskrcnn.errors import InputError

# Pillow's names of 16-bit grey, and of the 32-bit mode that some versions read 16-bit PNG into.
DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_GREY_MODES = ("1", "L", "LA", "La")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def check_channels(path: str, channels: int) -> None:
    """Raise an `InputError` if the picture `path` cannot have so many channels."""
    if channels not in MODES and not path.endswith(".npy"):
        raise InputError(f"{path}: an image of {channels} channels must be an .npy file.")


def converted(image: Image.Image, path: str, channels: int) -> np.ndarray:
    """[H, W, C] uint8 of an image of any mode as it lies in the file; `path` is for messages."""
    if image.mode in DEEP_MODES:
        image = Image.fromarray(eight_bits(np.asarray(image), path))
    refuse_floats(image, path)
    if image.mode in _GREY_MODES and channels == 3:
        return np.repeat(np.asarray(image.convert("L"))[..., None], 3, axis=-1)
    pixels = np.array(image.convert(MODES[channels]))
    return pixels[..., None] if channels == 1 else pixels


def refuse_floats(image: Image.Image, path: str) -> None:
    """Raise an `InputError` if the pixels are floats."""
    if image.mode == "F":
        raise InputError(f"The image {path} holds 32-bit floats; wanted 8 or 16 bits a channel.")


def eight_bits(grey: np.ndarray, path: str) -> np.ndarray:
    """[H, W] uint8 of grey in 0..65535, divided by 257.

    Raises:
        InputError: there are values beyond.
    """
    if grey.min() < 0 or grey.max() > 65535:
        raise InputError(
            f"The image {path} holds values from {grey.min()} to {grey.max()}; "
            "wanted 8 or 16 bits a channel."
        )
    return ((grey.astype(np.uint32) + 128) // 257).astype(np.uint8)
