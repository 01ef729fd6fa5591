"""Images that a source hands over as arrays or bytes, written as files."""

import io
import os
from typing import Tuple, Union

import numpy as np
from PIL import Image

from tfmaskrcnn.data.coco.image_files import PILLOW_FORMATS
from tfmaskrcnn.data.coco.orientation import orientation_of, turned_back
from tfmaskrcnn.data.importers.fields import fault_of_name, shown
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support.files import replaced


def written_image(image: Union[np.ndarray, bytes], folder: str, name: str, where: str) -> str:
    """Write `image` into `folder`; the file's name, which begins with `name`.

    Args:
        image: uint8 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], written as PNG; or the bytes of an
            image file, written as they are; those with an EXIF orientation as PNG of the stored
            pixels, which arrays of objects refer to.
        folder: made if need be.
        name: "/" in it makes folders; an ending of its own is replaced by that of the format.
        where: names the image in an error.
    """
    name = os.path.normpath(name).replace(os.sep, "/")
    if fault_of_name(name):
        raise InputError(f"{where}: the name {quoted(name)} {fault_of_name(name)}.")
    if os.path.isabs(name) or name.startswith(".."):
        raise InputError(f"{where}: the name {quoted(name)} leads out of the folder {folder}.")
    if isinstance(image, bytes):
        suffix, content = _file(image, where)
    else:
        suffix, content = ".png", _png(np.asarray(image), where)
    stem, old = os.path.splitext(name)
    known = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")
    name = (stem if old.lower() in known else name) + suffix
    path = os.path.join(folder, name)
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    except OSError as error:
        raise InputError(f"{where}: cannot make {shown(path, 200)}: {error.strerror}.") from None
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


def _file(content: bytes, where: str) -> Tuple[str, bytes]:
    """The ending and the bytes of a file that is to be written for `content`."""
    try:
        with Image.open(io.BytesIO(content), formats=PILLOW_FORMATS) as image:
            kind, orientation = (image.format or "").lower(), orientation_of(image)
            if orientation == 1:
                return {"jpeg": ".jpg", "tiff": ".tif"}.get(kind, f".{kind}"), content
            image.load()
            # Pillow turns a TIFF by itself, from some version on, and removes the tag.
            by_pillow = orientation if orientation_of(image) != orientation else 1
            pixels = np.array(image if image.mode in ("L", "RGBA") else image.convert("RGB"))
            return ".png", _png(turned_back(pixels, by_pillow), where)
    except Exception:  # damaged files make Pillow raise nearly anything
        raise InputError(f"{where}: its {len(content)} bytes are no image.") from None
