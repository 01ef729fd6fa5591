"""Image files to arrays."""

import io
import os
from typing import Callable, NamedTuple, Optional, Tuple, Union

import numpy as np
import PIL
from PIL import Image

from tfmaskrcnn.data.coco.annotations import Fault
from tfmaskrcnn.errors import InputError

# Pillow's names of 16-bit grey, and of the 32-bit mode that some versions read 16-bit PNG into.
_DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_GREY_MODES = ("1", "L", "LA", "La")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
# EXIF's tag of how a viewer turns the stored pixels; 1 is not at all.
EXIF_ORIENTATION = 0x0112


class ImageFacts(NamedTuple):
    """What an image file holds."""

    height: int  # of the stored pixels
    width: int
    mode: str  # Pillow's name of the kind of pixels; "npy" for an array
    orientation: int  # EXIF's, 1 to 8


class ImageBytes(NamedTuple):
    """An image file's content, as a TFRecord holds it."""

    name: str  # stands for the path in errors; its ending tells an array
    content: bytes


def read_image(
    path: Union[str, ImageBytes],
    expected_size: Optional[Tuple[int, int]] = None,
    channels: int = 3,
) -> np.ndarray:
    """The stored pixels of an image file.

    For 3 channels grey is repeated and an alpha channel is dropped (not blended); for 1 channel
    colour becomes its luma, for 4 an image without alpha gets an opaque one. 16-bit grey is divided
    by 257 (65535 becomes 255; use `input.stretch_contrast` for cameras that fill only part of the
    range). The EXIF orientation is not applied: COCO annotations refer to stored pixels.

    Args:
        path: any format that Pillow reads, of several frames the first; or an .npy file of a uint8
            array [H, W, channels] (or [H, W] for one channel), for other numbers of channels. Or
            the content of such a file.
        expected_size: (height, width) that the annotations promise.
        channels: C of the result, the model's `input.channels`.

    Returns:
        [H, W, C] uint8, RGB if C is 3.

    Raises:
        InputError: the file is missing, empty, damaged, of an unsupported kind, or of another size.
    """
    content = path.content if isinstance(path, ImageBytes) else None
    path = os.fspath(path) if content is None else path.name
    file = path if content is None else io.BytesIO(content)
    is_array = path.endswith(".npy")
    pixels = _array(file, path, channels) if is_array else _picture(file, path, channels, _pixels)
    if expected_size is not None:
        check_size(path, pixels.shape[:2], expected_size)
    return pixels


def image_facts(path: str, channels: int = 3) -> ImageFacts:
    """What a file holds that `read_image` would read, at less cost where the format allows.

    All of the file is decoded, so that a damaged end is found; a JPEG at an eighth of its size.

    Raises:
        InputError: what `read_image` raises.
    """
    path = os.fspath(path)
    if path.endswith(".npy"):
        return ImageFacts(*_array(path, path, channels).shape[:2], "npy", 1)
    return _picture(path, path, channels, _facts)


def check_size(path: str, found: Tuple[int, int], expected: Tuple[int, int]) -> None:
    """Raise a `Fault` unless the (height, width) of the file `path` is what its annotations say."""
    found, expected = tuple(found), tuple(expected)
    if found == expected:
        return
    message = (
        f"The image {path} is {found[0]} x {found[1]} pixels (height x width), "
        f"but its annotations say {expected[0]} x {expected[1]}"
    )
    if found == expected[::-1]:
        message += "; they may have been drawn on the view that its EXIF orientation gives"
    raise Fault("image-size", message + ".")


def _picture(file, path: str, channels: int, use: Callable):
    """`use(image, path, channels)` of the opened image; whatever goes wrong is one sentence."""
    if channels not in _MODES:
        raise InputError(f"{path}: an image of {channels} channels must be an .npy file.")
    try:
        with Image.open(file) as image:
            return use(image, path, channels)
    except FileNotFoundError:
        raise InputError(f"The image {path} does not exist.") from None
    except PIL.UnidentifiedImageError:
        empty = not (os.path.getsize(path) if file is path else file.getbuffer().nbytes)
        reason = "is empty (0 bytes)" if empty else "is not an image that Pillow can read"
        raise InputError(f"{path} {reason}; wanted a JPEG, PNG, TIFF or BMP file.") from None
    except InputError:
        raise
    except Exception as error:  # damaged files make Pillow raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"The image {path} cannot be decoded: {reason}.") from None


def _array(file, path: str, channels: int) -> np.ndarray:
    try:
        array = np.load(file, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"The image {path} does not exist.") from None
    except Exception as error:
        raise InputError(f"{path} is no array that NumPy can read: {error}.") from None
    array = array[..., None] if array.ndim == 2 else array
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != channels or 0 in array.shape:
        raise InputError(
            f"{path} holds {array.dtype} {array.shape}; wanted uint8 [height, width, {channels}]."
        )
    return array


def _pixels(image: Image.Image, path: str, channels: int) -> np.ndarray:
    if image.mode in _DEEP_MODES:
        image = Image.fromarray(_eight_bits(np.asarray(image), path))
    _refuse_floats(image, path)
    if image.mode in _GREY_MODES and channels == 3:
        return np.repeat(np.asarray(image.convert("L"))[..., None], 3, axis=-1)
    pixels = np.array(image.convert(_MODES[channels]))
    return pixels[..., None] if channels == 1 else pixels


def _facts(image: Image.Image, path: str, channels: int) -> ImageFacts:
    _refuse_floats(image, path)
    facts = ImageFacts(*image.size[::-1], image.mode, _orientation(image))
    image.draft(image.mode, (1, 1))  # of JPEG alone: the frequencies above an eighth are left out
    image.load()
    if image.mode in _DEEP_MODES:
        _eight_bits(np.asarray(image), path)
    return facts


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(EXIF_ORIENTATION, 1))
    except Exception:  # damaged EXIF makes Pillow raise nearly anything; reading does not need it
        return 1


def _refuse_floats(image: Image.Image, path: str) -> None:
    if image.mode == "F":
        raise InputError(f"The image {path} holds 32-bit floats; wanted 8 or 16 bits a channel.")


def _eight_bits(grey: np.ndarray, path: str) -> np.ndarray:
    if grey.min() < 0 or grey.max() > 65535:
        raise InputError(
            f"The image {path} holds values from {grey.min()} to {grey.max()}; "
            "wanted 8 or 16 bits a channel."
        )
    return ((grey.astype(np.uint32) + 128) // 257).astype(np.uint8)
