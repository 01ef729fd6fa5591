"""What the parts of the acceptance run give and get."""

from typing import Callable, Mapping, NamedTuple, Optional, Tuple

import numpy as np

Arrays = Mapping[str, np.ndarray]


class Row(NamedTuple):
    """One line of the table: something measured, and whether it is within its bound."""

    name: str
    value: Optional[float] = None
    bound: str = ""  # in words; empty where a number is only reported
    passed: Optional[bool] = None  # None: there is no bound, or nothing was measured
    note: str = ""


class Size(NamedTuple):
    """How large the networks and images of a run are."""

    miniature: bool
    sides: Tuple[int, int]  # of the images whose throughput is measured, height and width
    batches: Tuple[int, int]
    warm_ups: int  # calls before those that are timed
    repeats: int  # of what is timed
    channels: int  # of the feature maps that RoIs are read from
    rois: int


WHOLE = Size(False, (800, 1216), (1, 8), 2, 10, 256, 512)
MINIATURE = Size(True, (64, 96), (1, 2), 0, 1, 8, 12)


class Given(NamedTuple):
    """What a part gets."""

    size: Size
    reference: Callable[[], Arrays]  # what a process that sees no GPU computes; made when asked for
    folder: str  # for files, empty at first, one for all parts


def at_most(name: str, value: float, bound: float, note: str = "") -> Row:
    """A row that passes where `value` is at most `bound`; not where it is no number."""
    return Row(name, float(value), f"<= {bound:g}", bool(value <= bound), note)


def at_least(name: str, value: float, bound: float, note: str = "") -> Row:
    """A row that passes where `value` is at least `bound`; not where it is no number."""
    return Row(name, float(value), f">= {bound:g}", bool(value >= bound), note)


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    """Root mean square of the difference over that of `expected`; same shapes."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if found.shape != expected.shape:
        return float("nan")
    scale = np.sqrt(np.mean(expected**2))
    return float(np.sqrt(np.mean((found - expected) ** 2)) / max(scale, 1e-30))
