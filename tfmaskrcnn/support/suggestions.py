"""The name that somebody may have meant."""

import difflib
from typing import Iterable

from tfmaskrcnn.errors import quoted


def did_you_mean(name: str, known: Iterable[str], most: int = 1, cutoff: float = 0.6) -> str:
    """The question "did you mean 'x'?", of up to `most` names; "" where none is near.

    Args:
        name: what was given, and is not among the `known`.
        known: the names that there are.
        most: how many are asked for, the nearest first.
        cutoff: the least similarity, as of `difflib.get_close_matches`: 1 for equal names.
    """
    near = difflib.get_close_matches(name, list(known), n=most, cutoff=cutoff)
    return f"did you mean {' or '.join(map(quoted, near))}?" if near else ""
