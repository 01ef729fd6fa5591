"""Image files to arrays."""

import io
import math
import os
from typing import BinaryIO, Callable, NamedTuple, Optional, Tuple, Union

import numpy as np
import PIL
from PIL import Image

from tfmaskrcnn.data.coco.annotations import Fault
from tfmaskrcnn.data.coco.image_arrays import ImageArray, array_pixels
from tfmaskrcnn.data.coco.image_modes import (
    DEEP_MODES,
    check_channels,
    converted,
    eight_bits,
    refuse_floats,
)
from tfmaskrcnn.data.coco.orientation import (
    EXIF_TAG,
    orientation_of,
    seen_size,
    stored_size,
    turned,
    turned_back,
)
from tfmaskrcnn.data.coco.png_checksums import png_fault
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support.files import open_regular
from tfmaskrcnn.support.given import A_PATH, one_of, takes

_LONGEST = 200  # characters of another library's reason
_LARGEST = 1 << 32  # bytes of an array, before its file is asked for them
EXIF_ORIENTATION = EXIF_TAG
_IGNORE, _APPLY = "input.exif=ignore", "input.exif=apply"
_EXCHANGED = "height and width are exchanged"
# What Pillow may open: without a list it would try dozens of formats, some by other programs (EPS
# by Ghostscript). Those that this Pillow was not built with are left out.
Image.init()
PILLOW_FORMATS = tuple(
    name
    for name in ("JPEG", "MPO", "PNG", "TIFF", "BMP", "WEBP", "GIF", "JPEG2000", "PPM", "TGA")
    if name in Image.OPEN
)


class ImageFacts(NamedTuple):
    """What an image file holds."""

    height: int  # of the view that was asked for
    width: int
    mode: str  # Pillow's name of the kind of pixels; "npy" for an array
    orientation: int  # EXIF's, 1 to 8


class ImageBytes(NamedTuple):
    """An image file's content, as a TFRecord holds it."""

    name: str  # stands for the path in errors; its ending tells an array
    content: bytes


@takes(path=one_of(A_PATH, ImageBytes, ImageArray))
def read_image(
    path: Union[str, ImageBytes, ImageArray],
    expected_size: Optional[Tuple[int, int]] = None,
    channels: int = 3,
    exif: str = "apply",
) -> np.ndarray:
    """The pixels of an image file.

    For 3 channels grey is repeated and an alpha channel is dropped (not blended); for 1 channel
    colour becomes its luma, for 4 an image without alpha gets an opaque one. 16-bit grey is divided
    by 257 (65535 becomes 255; use `input.stretch_contrast` for cameras that fill only part of the
    range).

    Args:
        path: any format that Pillow reads, of several frames the first; or an .npy file of a uint8
            array [H, W, channels] (or [H, W] for one channel), for other numbers of channels. Or
            the content of such a file, or an array in memory.
        expected_size: (height, width) that the annotations promise.
        channels: C of the result, the model's `input.channels`.
        exif: the model's `input.exif`: "apply" turns the image as its EXIF orientation asks, which
            viewers and annotation tools do; "ignore" gives the stored pixels.

    Returns:
        [H, W, C] uint8, RGB if C is 3.

    Raises:
        InputError: the file is missing, empty, damaged, of an unsupported kind, or of another size.
    """
    name = os.fspath(path) if isinstance(path, (str, os.PathLike)) else path.name
    if isinstance(path, ImageArray):
        pixels, orientation = array_pixels(path, channels), 1
    else:
        pixels, orientation = _file_pixels(path, name, channels)
    if exif == "apply":
        pixels = turned(pixels, orientation)
    if expected_size is not None:
        check_size(name, pixels.shape[:2], expected_size, orientation, exif)
    return pixels


def _file_pixels(path: Union[str, ImageBytes], name: str, channels: int) -> Tuple[np.ndarray, int]:
    """The stored pixels of a file called `name`, and EXIF's orientation."""
    check_channels(name, channels)
    with opened(path) as file:
        if name.endswith(".npy"):
            return _array(file, name, channels), 1
        return opened_picture(file, name, channels, stored_pixels)


def pillow_pixels(image: Image.Image, name: str, channels: int, exif: str) -> np.ndarray:
    """[H, W, C] uint8 of a user's PIL image called `name`; the rest is as of `read_image`."""
    check_channels(name, channels)
    if not isinstance(image, Image.Image) or 0 in image.size:
        raise InputError(f"{name} is {quoted(image)}; wanted a path, an array or a PIL image.")
    try:
        pixels, orientation = stored_pixels(image, name, channels)
    except Exception as error:  # it may be a file that is read only now
        raise _undecoded(name, error) from None
    return turned(pixels, orientation) if exif == "apply" else pixels


def image_facts(path: str, channels: int = 3, exif: str = "apply") -> ImageFacts:
    """What a file holds that `read_image` would read, at less cost where the format allows.

    All of the file is decoded, so that a damaged end is found; a JPEG at an eighth of its size.

    Raises:
        InputError: what `read_image` raises.
    """
    path = os.fspath(path)
    check_channels(path, channels)
    with opened(path) as file:
        if path.endswith(".npy"):
            return ImageFacts(*_array(file, path, channels).shape[:2], "npy", 1)
        facts = opened_picture(file, path, channels, _facts)
    if exif == "apply":
        height, width = seen_size(facts[:2], facts.orientation)
        return facts._replace(height=height, width=width)
    return facts


def header_sizes(path: str) -> Tuple[Tuple[int, int], ...]:
    """(height, width) of the stored pixels and of the view that EXIF asks for, from the header.

    Raises:
        InputError: it is no image.
    """

    def sizes(image, *_):
        size = stored_size(image)
        return size, seen_size(size, orientation_of(image))

    with opened(path) as file:
        if not path.endswith(".npy"):
            return opened_picture(file, path, 3, sizes)
        try:
            return (tuple(_array_header(file)[0][:2]),)
        except Exception as error:
            raise InputError(f"{path} is no array that NumPy can read: {error}.") from None


def check_size(
    path: str,
    found: Tuple[int, int],
    expected: Tuple[int, int],
    orientation: int = 1,
    exif: str = "apply",
) -> None:
    """Raise a `Fault` unless the (height, width) of the file `path` is what its annotations say.

    Args:
        path: names the file.
        found: of the view that `exif` asks for.
        expected: of the annotations.
        orientation: EXIF's, of the file.
        exif: `input.exif`.
    """
    found, expected = tuple(found), tuple(expected)
    if found == expected:
        return
    message = (
        f"The image {path} is {found[0]} x {found[1]} pixels (height x width), "
        f"but its annotations say {expected[0]} x {expected[1]}"
    )
    views = {
        "apply": f"its stored pixels, without its EXIF orientation {orientation}: set {_IGNORE}",
        "ignore": f"the view that its EXIF orientation {orientation} gives: set {_APPLY}",
    }
    if found == expected[::-1]:
        drawn = f"they were drawn on {views[exif]}" if orientation >= 5 else _EXCHANGED
        message += f"; {drawn}"
    raise Fault("image-size", message + ".")


def opened(path: Union[str, ImageBytes]) -> BinaryIO:
    """The file to read from; a path is opened here, because Pillow maps files of a path into
    memory, and then garbles an uncompressed TIFF that it turns."""
    if isinstance(path, ImageBytes):
        return io.BytesIO(path.content)
    try:
        return open_regular(path)
    except FileNotFoundError:
        raise InputError(f"The image {path} does not exist.") from None
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"The image {path} cannot be decoded: {error}.") from None


def opened_picture(file: BinaryIO, path: str, channels: int, use: Callable):
    """`use(image, path, channels)` of the opened image; whatever goes wrong is one sentence."""
    try:
        with Image.open(file, formats=PILLOW_FORMATS) as image:
            found = use(image, path, channels)
            fault = png_fault(file) if image.format == "PNG" else None
            if fault:
                raise InputError(f"The image {path} is damaged: {fault}")
            return found
    except PIL.UnidentifiedImageError:
        empty = not file.seek(0, os.SEEK_END)
        reason = "is empty (0 bytes)" if empty else "is not an image that Pillow can read"
        raise InputError(f"{path} {reason}; wanted a JPEG, PNG, TIFF or BMP file.") from None
    except Exception as error:  # damaged files make Pillow raise nearly anything
        raise _undecoded(path, error) from None


def _undecoded(path: str, error: Exception) -> InputError:
    if isinstance(error, InputError):
        return error
    reason = " ".join(str(error).split())[:_LONGEST].rstrip(".") or type(error).__name__
    return InputError(f"The image {path} cannot be decoded: {reason}.")


def _array(file: BinaryIO, path: str, channels: int) -> np.ndarray:
    try:
        shape, fortran, dtype = _array_header(file)
    except Exception as error:  # damaged files make NumPy raise nearly anything
        reason = " ".join(str(error).split())[:_LONGEST]
        raise InputError(f"{path} is no array that NumPy can read: {reason}.") from None
    wanted = shape if len(shape) == 3 else (*shape, 1)
    if dtype != np.uint8 or len(wanted) != 3 or wanted[2] != channels or 0 in shape:
        raise InputError(
            f"{path} holds {dtype} {quoted(shape)}; wanted uint8 [height, width, {channels}]."
        )
    count = math.prod(wanted)
    content = file.read(count) if count <= _LARGEST else b""
    if len(content) < count:
        raise InputError(f"{path} is cut off: its header says {quoted(shape)}.")
    pixels = np.frombuffer(content, np.uint8).reshape(wanted, order="F" if fortran else "C")
    return np.array(pixels, order="C")


def _array_header(file: BinaryIO):
    """(shape, whether columns come first, dtype) of an .npy file."""
    version = np.lib.format.read_magic(file)
    old = version == (1, 0)
    read = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
    return read(file)


def stored_pixels(image: Image.Image, path: str, channels: int) -> Tuple[np.ndarray, int]:
    """[H, W, C] uint8 as it lies in the file, and EXIF's orientation; `path` is for messages."""
    orientation = orientation_of(image)
    image.load()
    # Pillow turns a TIFF by itself, from some version on, and removes the tag.
    by_pillow = orientation if orientation_of(image) != orientation else 1
    return turned_back(converted(image, path, channels), by_pillow), orientation


def _facts(image: Image.Image, path: str, channels: int) -> ImageFacts:
    refuse_floats(image, path)
    facts = ImageFacts(*stored_size(image), image.mode, orientation_of(image))
    image.draft(image.mode, (1, 1))  # of JPEG alone: the frequencies above an eighth are left out
    image.load()
    if image.mode in DEEP_MODES:
        eight_bits(np.asarray(image), path)
    return facts
