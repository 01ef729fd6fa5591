"""Image files that hold masks: numbers, or colours, of an image's size."""

import io
from typing import NamedTuple, Optional, Tuple, Union

import numpy as np
from PIL import Image

from tfmaskrcnn.data.coco.image_files import PILLOW_FORMATS
from tfmaskrcnn.data.coco.orientation import stored_size
from tfmaskrcnn.data.importers.fields import shown
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.files import open_regular

_NUMBERED = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L", "I;16N")


class MaskPixels(NamedTuple):
    """The pixels of a mask."""

    values: np.ndarray  # [H, W] of any integers, numbers or 0xRRGGBB
    coloured: bool


def mask_size(path: str) -> Optional[Tuple[int, int]]:
    """(height, width) in the header of a mask; None if there is none, which reading it tells."""
    try:
        with open_regular(path) as file, Image.open(file, formats=PILLOW_FORMATS) as image:
            return stored_size(image)
    except Exception:
        return None


def mask_pixels(
    file: Union[str, io.BytesIO], size: Tuple[int, int], in_colour: bool = False
) -> MaskPixels:
    """Numbers of a mask with a palette or in grey, 0xRRGGBB of one in colour.

    Its header is compared before anything is decoded: what it claims bounds time and memory.

    Args:
        file: path or content.
        size: (height, width) of its image.
        in_colour: takes the colours of a palette, not the numbers.

    Raises:
        InputError: it cannot be read or is of another size.
    """
    name = shown(file, 200) if isinstance(file, str) else "its PNG"
    try:
        opened = open_regular(file) if isinstance(file, str) else file
        with opened, Image.open(opened, formats=PILLOW_FORMATS) as image:
            if image.size[::-1] != tuple(size):
                found = f"is {image.size[::-1]} pixels, its image {tuple(size)}"
                raise InputError(f"{name} {found}.")
            numbered = image.mode in _NUMBERED and not (in_colour and image.mode == "P")
            pixels = np.array(image if numbered else image.convert("RGB"))
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"There is no {name}.") from None
    except Exception as error:  # damaged files make Pillow raise nearly anything
        reason = shown(" ".join(str(error).split()) or type(error).__name__)
        raise InputError(f"{name} cannot be read: {reason}.") from None
    if pixels.shape[:2] != tuple(size):  # Pillow turned it, or a frame is larger than its screen
        raise InputError(f"{name} is {pixels.shape[:2]} pixels, its image {tuple(size)}.")
    if numbered:
        return MaskPixels(pixels.astype(np.uint8) if pixels.dtype == bool else pixels, False)
    return MaskPixels(pixels @ np.array([1 << 16, 1 << 8, 1], np.int32), True)
