"""The side of a pixel as people write it, such as "0.32um"."""

import math
import re
from typing import NamedTuple, Sequence, Union

from tfmaskrcnn.errors import InputError, quoted

UNITS = ("nm", "um", "mm", "cm", "m", "km", "in", "ft")
_NAMES = {"µm": "um", "μm": "um", "micron": "um", "microns": "um", "inch": "in", "inches": "in"}
_WRITTEN = re.compile(r"\s*([^\s_A-Za-zµμ]+(?:[eE][+-]?\d+)?)\s*([A-Za-zµμ]*)\s*")
_WANTED = f"a length such as 0.32um; units are {', '.join(UNITS)}"


class PixelSize(NamedTuple):
    """The side of a square pixel."""

    value: float  # positive
    unit: str  # of `UNITS`

    def __str__(self) -> str:
        return f"{self.value:g} {self.unit}"


def read_pixel_size(given: Union[str, Sequence]) -> PixelSize:
    """The side of a pixel of a text such as "0.32um" or "0.5 mm", or of a pair (0.32, "um").

    Raises:
        InputError: it is no positive length, or without a unit.
    """
    if isinstance(given, str):
        match = _WRITTEN.fullmatch(given)
        number, unit = match.groups() if match else (None, "")
    else:
        number, unit = given if isinstance(given, (tuple, list)) and len(given) == 2 else (None, "")
    try:
        value = float(number)
    except (TypeError, ValueError):
        comma = (
            " Write the number with a point." if isinstance(number, str) and "," in number else ""
        )
        raise _refused(given, comma) from None
    if not unit:
        raise _refused(given, " It has no unit.")
    unit = _NAMES.get(str(unit), unit)
    if unit not in UNITS:
        raise _refused(given)
    if not (value > 0 and math.isfinite(value)):
        raise _refused(given, " It has to be above 0.")
    return PixelSize(value, unit)


def _refused(given, more: str = "") -> InputError:
    return InputError(f"A pixel's size {quoted(given)} was given, wanted {_WANTED}.{more}")
