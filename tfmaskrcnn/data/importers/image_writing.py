"""Images that a source hands over as arrays or bytes, written as files."""

import io
import os
from typing import Union

import numpy as np
from PIL import Image

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.files import replaced


def written_image(image: Union[np.ndarray, bytes], folder: str, name: str, where: str) -> str:
    """Write `image` into `folder`; the file's name, which begins with `name`.

    Args:
        image: uint8 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], written as PNG; or the bytes of an
            image file, written as they are.
        folder: made if need be.
        name: "/" in it makes folders; an ending of its own is replaced by that of the format.
        where: names the image in an error.
    """
    name = os.path.normpath(name).replace(os.sep, "/")
    if os.path.isabs(name) or name.startswith(".."):
        raise InputError(f"{where}: the name {name!r} leads out of the folder {folder}.")
    if isinstance(image, bytes):
        suffix, content = _suffix(image, where), image
    else:
        suffix, content = ".png", _png(np.asarray(image), where)
    stem, old = os.path.splitext(name)
    known = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")
    name = (stem if old.lower() in known else name) + suffix
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with replaced(path) as file:
        file.write(content)
    return name


def _png(pixels: np.ndarray, where: str) -> bytes:
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    good = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))
    if pixels.dtype != np.uint8 or not good:
        raise InputError(f"{where} is {pixels.dtype} {pixels.shape}, wanted uint8 [H, W, 3].")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png", compress_level=1)
    return buffer.getvalue()


def _suffix(content: bytes, where: str) -> str:
    try:
        with Image.open(io.BytesIO(content)) as image:
            kind = (image.format or "").lower()
    except Exception:
        raise InputError(f"{where}: its {len(content)} bytes are no image.") from None
    return {"jpeg": ".jpg", "tiff": ".tif"}.get(kind, f".{kind}")
