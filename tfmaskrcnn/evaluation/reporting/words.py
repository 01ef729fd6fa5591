"""How the report says numbers and errors."""

from typing import Dict, NamedTuple, Optional

import numpy as np

from tfmaskrcnn.evaluation.analysis import verdicts as codes
from tfmaskrcnn.evaluation.analysis.bootstrap import Interval
from tfmaskrcnn.evaluation.analysis.precision import ABSENT

PLURAL = {"mask": "masks", "box": "boxes"}


class ErrorWords(NamedTuple):
    """What a kind of error is called."""

    title: str
    meaning: str  # with {iou}, the least of a match
    mended: str  # what AP would be without


# TIDE's errors, in its order, by verdict.
ERRORS: Dict[str, ErrorWords] = {
    codes.CLASSIFICATION: ErrorWords(
        "Wrong class",
        "the outline fits an object of another class (IoU {iou} or more)",
        "objects taken for another class",
    ),
    codes.LOCALISATION: ErrorWords(
        "Badly outlined",
        "overlaps an object of its class too little (IoU 0.1 to {iou})",
        "bad outlines",
    ),
    codes.BOTH: ErrorWords(
        "Class and outline",
        "overlaps an object of another class (IoU 0.1 to {iou})",
        "bad outlines of another class",
    ),
    codes.DUPLICATE: ErrorWords(
        "Doubled",
        "the object is found already, by a detection of a higher score",
        "objects found twice",
    ),
    codes.BACKGROUND: ErrorWords(
        "False", "nothing is annotated there (IoU up to 0.1)", "detections of nothing"
    ),
    codes.MISSED: ErrorWords(
        "Missed", "an annotated object that no detection reaches", "missed objects"
    ),
}


def number(value: Optional[float], digits: int = 3) -> str:
    """0.487, or n/a for what has nothing to refer to."""
    if value is None or not np.isfinite(value) or value == ABSENT:
        return "n/a"
    return f"{value:.{digits}f}"


def percent(part: float, whole: float = 1.0) -> str:
    """A share as "87 %"; only nothing is 0 % and only all is 100 %."""
    if not whole or part == ABSENT or not np.isfinite(part):
        return "n/a"
    share = 100 * part / whole
    if 0 < share < 0.5:
        return "under 1 %"
    return "over 99 %" if 99.5 <= share < 100 else f"{share:.0f} %"


def signed(value: Optional[float]) -> str:
    """+0.012, or n/a for what does not exist."""
    return "n/a" if number(value) == "n/a" else f"{value:+.3f}"


def at_iou(iou: float) -> str:
    """What AP at one IoU is called: AP50."""
    return f"AP{100 * iou:g}"


def many(count: int, thing: str, things: str = "") -> str:
    """ "1 object", "1,234 objects"."""
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"


def between(interval: Interval) -> str:
    """ "0.42 to 0.55"."""
    if not interval.known:
        return "n/a"
    return f"{number(interval.low)} to {number(interval.high)}"


def begun(text: str) -> str:
    """The text with a capital letter at its beginning."""
    return text[:1].upper() + text[1:]
