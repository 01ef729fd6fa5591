"""Asking again while a server is not available, within one deadline."""

import math
import random
import time
from typing import Any, Callable, Dict

from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.serving.answers import ServingError

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds
_LONGEST_DEADLINE = 86_400  # seconds; sockets take no much longer one
# TF Serving, of arrays of two sizes that it has merged: beside others the request may be good.
_MERGED = "different shapes and padding is turned off"


class TryAgain(ServingError):
    """The server may answer later; a prediction changes nothing, so asking twice is safe."""


def retried(call: Callable[[float], Dict], deadline: float, attempts: int) -> Dict:
    """`call(seconds left)`, again after growing pauses while the server is not available.

    Raises:
        ServingError: of the last attempt, with their number.
    """
    until, pause = time.monotonic() + deadline, _FIRST_PAUSE
    attempt = 0
    while True:
        attempt += 1
        try:
            return call(max(until - time.monotonic(), 1e-3))
        except TryAgain as error:
            wait = pause * random.uniform(0.5, 1)  # clients must not come back all at once
            if attempt >= attempts or time.monotonic() + wait >= until:
                raise ServingError(f"{error} (after {attempt} attempts)", error.code) from None
        time.sleep(wait)
        pause = min(2 * pause, _LONGEST_PAUSE)


def may_pass(message: str) -> bool:
    """Whether an error was of the requests that came at the same time, and not of this one."""
    return _MERGED in message


def seconds_of(deadline: Any) -> float:
    """A deadline, if it is one."""
    number = isinstance(deadline, (int, float)) and math.isfinite(deadline)
    if not number or not 0 < deadline <= _LONGEST_DEADLINE:
        raise InputError(
            f"deadline is {quoted(deadline)}; wanted seconds above 0, {_LONGEST_DEADLINE} at most."
        )
    return float(deadline)
