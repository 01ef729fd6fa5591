"""How found objects are to look in a picture, and how large it is."""

import math
from typing import NamedTuple, Optional, Tuple

from tfmaskrcnn.errors import InputError

LOOKS = ("overlay", "splash")
COLORINGS = ("auto", "class", "object")
# A picture of more is drawn reduced: viewers give up, and two canvases of it are in memory.
MAX_PIXELS = 50_000_000
MAX_SIDE = 30_000  # that may be asked for
SMALL_SIDE = 1000  # pixels, up to which small pictures are enlarged where that is wanted
MAX_LINE = 200.0  # pixels


class DrawingStyle(NamedTuple):
    """What is drawn of the objects of an image, and how. None lets the picture decide.

    Texts at the objects are made of their number, class and score, as they are asked for. By
    themselves class and score stand at up to 40 objects, of one class the score alone; asked for
    with True they stand at any number of objects, in small type inside them if there are more.
    """

    look: str = "overlay"  # or "splash": objects keep their colours, all else is grey
    # "class": the same colour for a class in all pictures. "object": neighbours differ. "auto":
    # by object where there is one class; else by class, in another shade where objects of a class
    # touch.
    color_by: str = "auto"
    masks: bool = True
    boxes: Optional[bool] = None  # None: where there are no masks, or texts that need one
    labels: Optional[bool] = None  # names of classes
    scores: Optional[bool] = None
    numbers: bool = False  # `Instances.numbers`, as in objects.csv
    line_width: Optional[float] = None  # of contours, pixels of the picture; None: by sizes
    # Longer side of the picture, pixels; None: the image's own, reduced to 50 megapixels.
    side: Optional[int] = None


def checked_style(style: DrawingStyle) -> DrawingStyle:
    """`style` itself.

    Raises:
        InputError: one of its values is none that can be drawn.
    """
    for name, allowed in (("look", LOOKS), ("color_by", COLORINGS)):
        value = getattr(style, name)
        if value not in allowed:
            raise InputError(f"{name} of a picture is {value!r}, wanted {', '.join(allowed)}.")
    width, side = style.line_width, style.side
    if width is not None and not 0 < width <= MAX_LINE:
        raise InputError(f"The line width is {width:g} pixels, wanted above 0 to {MAX_LINE:g}.")
    if side is not None and not 1 <= side <= MAX_SIDE:
        raise InputError(f"The side of the pictures is {side} pixels, wanted 1 to {MAX_SIDE}.")
    return style


def picture_size(size: Tuple[int, int], style: DrawingStyle) -> Tuple[int, int]:
    """(height, width) of the picture that is drawn of an image of `size` (height, width)."""
    longer = max(size)
    factor = style.side / longer if style.side else math.sqrt(MAX_PIXELS / math.prod(size))
    if not style.side and factor >= 1:
        return size
    # Down, so that the product of both sides stays below the limit.
    rounded = round if style.side else math.floor
    height, width = (max(1, rounded(length * factor)) for length in size)
    return height, width


def enlarged_side(size: Tuple[int, int]) -> int:
    """Longer side of a picture that is larger than the image by a whole factor, if it is small."""
    return max(size) * max(1, round(SMALL_SIDE / max(size)))
