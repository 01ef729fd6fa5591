"""Image files to RGB arrays."""

import os
from typing import Optional, Tuple

import numpy as np
import PIL
from PIL import Image

from tfmaskrcnn.errors import InputError

# Pillow's names of 16-bit grey, and of the 32-bit mode that some versions read 16-bit PNG into.
_DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_GREY_MODES = ("1", "L", "LA", "La")


def read_image(path: str, expected_size: Optional[Tuple[int, int]] = None) -> np.ndarray:
    """The stored pixels of an image file as RGB.

    Grey is repeated in three channels, an alpha channel is dropped (not blended), 16-bit grey is
    divided by 257 (65535 becomes 255; use `input.stretch_contrast` for cameras that fill only part
    of the range). The EXIF orientation is not applied: COCO annotations refer to stored pixels.

    Args:
        path: any format that Pillow reads; of several frames the first is used.
        expected_size: (height, width) that the annotations promise.

    Returns:
        [H, W, 3] uint8.

    Raises:
        InputError: the file is missing, empty, damaged, of an unsupported kind, or of another size.
    """
    try:
        with Image.open(path) as image:
            pixels = _rgb(image, path)
    except FileNotFoundError:
        raise InputError(f"The image {path} does not exist.") from None
    except PIL.UnidentifiedImageError:
        empty = os.path.getsize(path) == 0
        reason = "is empty (0 bytes)" if empty else "is not an image that Pillow can read"
        raise InputError(f"{path} {reason}; wanted a JPEG, PNG, TIFF or BMP file.") from None
    except InputError:
        raise
    except Exception as error:  # damaged files make Pillow raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"The image {path} cannot be decoded: {reason}.") from None
    if expected_size is not None and pixels.shape[:2] != tuple(expected_size):
        raise InputError(_size_message(path, pixels.shape[:2], tuple(expected_size)))
    return pixels


def _rgb(image: Image.Image, path: str) -> np.ndarray:
    if image.mode in _DEEP_MODES:
        grey = np.asarray(image)
        if grey.min() < 0 or grey.max() > 65535:
            raise InputError(
                f"The image {path} holds values from {grey.min()} to {grey.max()}; "
                "wanted 8 or 16 bits a channel."
            )
        grey = ((grey.astype(np.uint32) + 128) // 257).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1)
    if image.mode == "F":
        raise InputError(f"The image {path} holds 32-bit floats; wanted 8 or 16 bits a channel.")
    if image.mode in _GREY_MODES:
        return np.repeat(np.asarray(image.convert("L"))[..., None], 3, axis=-1)
    return np.array(image.convert("RGB"))


def _size_message(path: str, found: Tuple[int, int], expected: Tuple[int, int]) -> str:
    message = (
        f"The image {path} is {found[0]} x {found[1]} pixels (height x width), "
        f"but its annotations say {expected[0]} x {expected[1]}"
    )
    if found == expected[::-1]:
        message += "; they may have been drawn on the view that its EXIF orientation gives"
    return message + "."
