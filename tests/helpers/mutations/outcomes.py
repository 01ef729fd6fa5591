"""How a case ended, and what a refusal has to look like."""

import re
import traceback
from typing import NamedTuple, Optional, Sequence

OK, REFUSED = "ok", "refused"
TRACEBACK, ENDED, SLOW, BROKEN = "traceback", "ended", "slow", "broken"
KINDS = (OK, REFUSED, TRACEBACK, ENDED, SLOW, BROKEN)
GOOD = (OK, REFUSED)
LONGEST, LONGEST_QUOTE = 1000, 200  # characters of a sentence, and of what it quotes
# Python's quotes of a value, not the apostrophe of "the image's", nor one that is itself quoted.
_QUOTES = re.compile(rf"(?<![\w\"])'(?:(?!\.\.\.)[^'\n]){{{LONGEST_QUOTE + 1},}}'")


class Broken(Exception):
    """An input was accepted though something is wrong with what came of it."""


class Outcome(NamedTuple):
    """What one case led to."""

    kind: str  # one of KINDS
    detail: str = ""  # the sentence, or the exception's type, text and place
    peak: int = 0  # MB of memory above what the process had before


def expect(holds, what: str) -> None:
    """Raise `Broken` unless `holds`."""
    if not holds:
        raise Broken(what)


def outcome_of(error: Optional[BaseException], refusals: Sequence[type]) -> Outcome:
    """The outcome of a case that raised `error`; None if it raised nothing."""
    if error is None:
        return Outcome(OK)
    if isinstance(error, Broken):
        return Outcome(BROKEN, str(error))
    if isinstance(error, MemoryError):
        return Outcome(ENDED, f"MemoryError: {place(error)}")
    if isinstance(error, tuple(refusals)):
        fault = fault_of_sentence(str(error))
        if fault:
            return Outcome(BROKEN, f"a bad sentence ({fault}): {printable(error)} [{place(error)}]")
        return Outcome(REFUSED, str(error))
    return Outcome(TRACEBACK, f"{type(error).__name__}: {printable(error)} [{place(error)}]")


def fault_of_sentence(text: str) -> str:
    """What is wrong with the sentence of a refusal; empty if nothing is."""
    if not text.strip():
        return "it is empty"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "a lone surrogate cannot be printed"
    if "\n" in text or "\r" in text:
        return "it has several lines"
    if len(text) > LONGEST:
        return f"it has {len(text)} characters"
    words = (word.strip(".,;:'\"()[]") for word in text.split())
    if _QUOTES.search(text) or any(len(word) > LONGEST_QUOTE for word in words):
        return "it quotes more than 200 characters"
    return ""


def place(error: BaseException) -> str:
    """Where in the package an exception came from: the last file of it, and the last of all."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "/tfmaskrcnn/" in f.filename]
    last = [*ours[-1:], *(frames[-1:] if frames[-1:] != ours[-1:] else [])]
    return " < ".join(f"{f.filename.split('/tfmaskrcnn/')[-1]}:{f.lineno} {f.name}" for f in last)


def printable(error: BaseException, limit: int = 400) -> str:
    """The start of an exception's text, whatever it is."""
    try:
        text = " ".join(str(error).split())
    except Exception as other:  # of a number that Python cannot write
        text = f"<{type(other).__name__}>"
    return text.encode("utf-8", "backslashreplace").decode()[:limit]
