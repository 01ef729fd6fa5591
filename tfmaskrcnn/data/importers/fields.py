"""Single values of files that others wrote: numbers that are numbers, texts that can be shown."""

import contextlib
import math
import unicodedata
from typing import Any, Hashable, Optional

from tfmaskrcnn.errors import quoted

_LONGEST_NAME = 200  # characters of a class's name
_MOST = 2**31  # of what counts pixels


def number(value: Any, what: str) -> float:
    """A finite number, given as such or as a text.

    Raises:
        ValueError: it is none; `what` names it.
    """
    found = math.nan
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with contextlib.suppress(ValueError, OverflowError):  # no number, or of hundreds of digits
            found = float(value)
    if not math.isfinite(found):
        raise ValueError(f"{what} is {quoted(value)}, wanted a finite number")
    return found


def whole(value: Any, what: str) -> int:
    """An integer, which may be written as 50.0 or as a text.

    Raises:
        ValueError: it is none; `what` names it.
    """
    found = number(value, what)
    if found != int(found) or abs(found) > _MOST:
        raise ValueError(f"{what} is {quoted(value)}, wanted a whole number")
    return int(found)


def shown(text: Any, limit: int = 100) -> str:
    """A name from a file as a message can hold it: cut, on one line, and printable."""
    text = str(text) if isinstance(text, (str, int)) else quoted(text, limit)
    text = text if len(text) <= limit else text[: limit - 3] + "..."
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def fault_of_name(name: str, longest: int = _LONGEST_NAME) -> Optional[str]:
    """What is wrong with a class's or a file's name; None if nothing is."""
    if not name.strip():
        return "is no name"
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
        return "has characters that no name can have (of control, or half of a pair)"
    return (
        f"has {len(name)} characters, at most {longest} are read" if len(name) > longest else None
    )


def grouped(group: Any) -> Optional[Hashable]:
    """What a source calls the group of a shape, as a key; None and "" are none."""
    if group is None or group == "":
        return None
    return group if isinstance(group, (str, int, float)) else quoted(group, 1000)
