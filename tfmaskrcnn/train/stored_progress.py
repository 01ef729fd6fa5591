"""Whether the progress in a state is one that a run can have written."""

from typing import Any, Dict

from tfmaskrcnn.errors import InputError, quoted

_MOST = 2**31  # epochs and steps; a state is not to send a run counting for ever
_MEAN_PARTS = 2  # sum and count, as Keras keeps them
_UNRECORDED = {"best": None, "best_epoch": 0, "stopped": False, "history": []}


def checked_progress(progress: Any) -> Dict[str, Any]:
    """`progress` as `StateKeeper` and `RunRecorder` wrote it; without a recorder at its defaults.

    Raises:
        InputError: it is none; the message is for the middle of a sentence.
    """
    if not isinstance(progress, dict):
        raise InputError(f"its progress is {quoted(progress)}")
    recorded = [key for key in _UNRECORDED if key in progress]
    if not recorded:
        progress = {**progress, **_UNRECORDED}
    for key, (right, wanted) in _RULES.items():
        if key not in progress:
            raise InputError(f"its progress has no {key}")
        if not right(progress[key]):
            raise InputError(f"its {key} is {quoted(progress[key])}, wanted {wanted}")
    if progress["best_epoch"] > progress["epoch"] + 1:
        raise InputError(f"its best epoch is {progress['best_epoch']} of {progress['epoch']}")
    if len(progress["history"]) > progress["epoch"] + 1:
        raise InputError(f"its history is of {len(progress['history'])} epochs")
    return progress


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MOST


def _is_number(value: Any) -> bool:
    """Of a loss or a measure, which may be no number."""
    return type(value) is float or type(value) is int and abs(value) < _MOST


def _are_means(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(parts, list)
        and len(parts) == _MEAN_PARTS
        and all(_is_number(part) and abs(part) < float("inf") for part in parts)
        for parts in value.values()
    )


def _is_history(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(row, dict)
        and all(_is_number(number) for number in row.values())
        and all(name.isprintable() for name in row)  # no lone surrogates
        for row in value
    )


_RULES = {
    "epoch": (_is_count, "a count of epochs"),
    "step": (_is_count, "a count of steps"),
    "means": (_are_means, "a sum and a count for each loss"),
    "best": (lambda value: value is None or _is_number(value), "a number"),
    "best_epoch": (_is_count, "an epoch"),
    "stopped": (lambda value: isinstance(value, bool), "true or false"),
    "history": (_is_history, "numbers by name, for each epoch"),
}
