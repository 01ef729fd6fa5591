"""What people hand to the public functions, checked before it is used."""

import os
from typing import Any

from tfmaskrcnn.errors import InputError, quoted


def path_text(value: Any, what: str) -> str:
    """A path as text.

    Args:
        value: what somebody gave for one.
        what: it is, for the message: "json_path".

    Raises:
        InputError: it is no path, or empty.
    """
    if not isinstance(value, (str, os.PathLike)):
        raise InputError(f"{what} is {quoted(value)}; wanted a path.")
    text = os.fspath(value)
    if not isinstance(text, str) or not text:
        raise InputError(f"{what} is {quoted(text)}; wanted a path.")
    return text
