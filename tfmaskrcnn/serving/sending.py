"""What a client may send: image files as bytes, or arrays; anything else is told what it is."""

import base64
import binascii
import json
import os
import struct
import urllib.parse
import zlib
from typing import Any, List, Optional, Sequence, Tuple, Union

import numpy as np

from tfmaskrcnn.errors import InputError, quoted

Image = Union[bytes, np.ndarray]  # a file's content, or uint8 [H, W, 3] RGB

# PNG's number for the colours of so many channels; an exported model takes files of these alone.
_COLOURS = {1: 0, 3: 2, 4: 6}

# How image files begin: JPEG, PNG, GIF, BMP, WebP, TIFF.
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*")
_LIST = "predict takes a non-empty list of files (bytes) or of arrays"


def checked_images(images: Any, channels: Optional[int] = None) -> List[Image]:
    """`images` as a list of files, where files can have so many channels, or else of arrays.

    Arrays become PNG files, whose pixels are the same: a server merges requests of files of any
    sizes, but not those of arrays of different sizes, and JSON of an array has 4 bytes a number.

    Args:
        images: what `predict` was given.
        channels: C of the model; None where it is not known.

    Returns:
        Files; or uint8 arrays [H, W, C] of one size, where C is not 1, 3 or 4.

    Raises:
        InputError: it is something else.
    """
    if isinstance(images, (str, bytes, bytearray, os.PathLike)):
        raise InputError(f"{_LIST}, found {_what(images)}; put the one image in a list.")
    if isinstance(images, np.ndarray) and images.ndim < 4:
        raise InputError(
            f"{_LIST}, found one array of the shape {images.shape}; put the one image in a list."
        )
    try:
        images = list(images)
    except TypeError:
        raise InputError(f"{_LIST}, found {_what(images)}.") from None
    if not images:
        raise InputError(f"{_LIST}, found an empty one.")
    files = [isinstance(image, (bytes, bytearray)) for image in images]
    if all(files):
        return [_file(i, bytes(image)) for i, image in enumerate(images)]
    if any(files):
        raise InputError(f"{_LIST}, found both in one list.")
    arrays = [_array(i, image, channels) for i, image in enumerate(images)]
    if all(array.shape[2] in _COLOURS for array in arrays):
        return [png_of(array) for array in arrays]
    sizes = sorted({array.shape for array in arrays})
    if len(sizes) > 1:
        raise InputError(
            f"Arrays of {sizes[-1][2]} channels in one list have one size, found {sizes[0]} and "
            f"{sizes[-1]}; call predict once for each size."
        )
    return arrays


def png_of(array: np.ndarray) -> bytes:
    """A PNG file of uint8 [H, W, C], C 1, 3 or 4; compressed quickly rather than well."""
    height, width, channels = array.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # 0: the row is not filtered
    rows[:, 1:] = array.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOURS[channels], 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 1)), (b"IEND", b""))
    chunks = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def rest_request(signature: str, name: str, images: Sequence[Image]) -> str:
    """The JSON body of a request, one row an image."""
    if signature == "image_bytes":
        rows = [{name: {"b64": base64.b64encode(image).decode()}} for image in images]
    else:
        rows = [{name: np.asarray(image).tolist()} for image in images]
    return json.dumps({"signature_name": signature, "instances": rows})


def model_and_version(model: Any) -> Tuple[str, Optional[int]]:
    """(name, number) of "NAME" or "NAME/versions/NUMBER"; None is the newest version."""
    if not isinstance(model, str) or not model:
        raise InputError(f"model is {quoted(model)}, wanted the server's name of it.")
    name, separator, version = model.partition("/versions/")
    if not separator:
        return name, None
    if not name or not (version.isascii() and version.isdecimal()):
        raise InputError(f"model is {quoted(model)}, wanted a name such as maskrcnn/versions/3.")
    return name, int(version)


def address_of(url: Any) -> str:
    """`url` without what follows the port, if a server may be there."""
    try:
        parts = urllib.parse.urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        good = good and url.isprintable() and " " not in url and not (parts.query or parts.fragment)
        parts.netloc.encode("idna")
    except (ValueError, TypeError, AttributeError):
        good = False
    if not good:
        raise InputError(f"{quoted(url)} is no address of a server, such as http://localhost:8501.")
    return url.rstrip("/")


def _file(i: int, content: bytes) -> bytes:
    if _is_base64(content):
        raise InputError(
            f"Image {i} is base64 text; give the bytes of the file, which the client encodes "
            "itself (base64.b64decode gives them back)."
        )
    return content


def _array(i: int, image: Any, channels: Optional[int]) -> np.ndarray:
    if isinstance(image, (str, os.PathLike)):
        raise InputError(f"Image {i} is {_what(image)}; give the bytes of the file.")
    try:
        array = np.asarray(image)
    except ValueError:  # lists of several lengths
        array = np.asarray(None)
    wanted = f"wanted uint8 of [height, width, {channels or 3}]"
    if array.dtype == object or array.dtype.kind in "USV":
        raise InputError(
            f"Image {i} is {_what(image)}; wanted a file's bytes, or an array of uint8."
        )
    if array.ndim == 2:
        grey = "np.repeat(grey[..., None], 3, axis=-1) makes RGB of grey"
        raise InputError(f"Image {i} is an array of the shape {array.shape}; {wanted}: {grey}.")
    if array.ndim != 3 or channels not in (None, array.shape[2]):
        alpha = ": array[..., :3] leaves the alpha channel out" if array.shape[-1:] == (4,) else ""
        raise InputError(f"Image {i} is an array of the shape {array.shape}; {wanted}{alpha}.")
    if array.dtype != np.uint8:
        raise InputError(f"Image {i} is an array of {array.dtype}; {wanted}, values of 0 to 255.")
    if not array.size:
        raise InputError(f"Image {i} has no pixels, its shape is {array.shape}; {wanted}.")
    return array


def _what(value: Any) -> str:
    """What somebody has given instead of an image."""
    if isinstance(value, str) and _is_base64(value.encode(errors="replace")):
        return "base64 text (base64.b64decode makes bytes of it)"
    if isinstance(value, os.PathLike) or (isinstance(value, str) and len(value) < 1000):
        return f"the text {quoted(os.fspath(value))} (open(path, 'rb').read() gives a file's bytes)"
    return f"a {type(value).__name__}"


def _is_base64(content: bytes) -> bool:
    """Whether it is the base64 form of an image file, perhaps as a `data:` URL."""
    content = content[:200].lstrip()
    if content.startswith(b"data:"):
        return True
    content = bytes(content[:32])
    try:
        start = base64.b64decode(content[: len(content) // 4 * 4], validate=True)
    except (binascii.Error, ValueError):
        return False
    return start.startswith(_MAGIC)
