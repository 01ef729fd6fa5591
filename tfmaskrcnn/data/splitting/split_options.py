"""How a set is divided: what may be asked for, and which parts that makes."""

from typing import Any, Dict, NamedTuple, Optional, Tuple

from tfmaskrcnn.errors import InputError, quoted

_VAL = 0.2
_MOST_FOLDS = 100


class SplitOptions(NamedTuple):
    """How a set is divided."""

    val: Optional[float] = None  # share of the images; 0.2 without folds
    test: float = 0.0  # share of the images that neither trains nor chooses a model
    folds: Optional[int] = None  # instead of train and val: so many parts, each val once
    # A key of the images' entries, "folder", or "file:" and a regular expression; see `grouping`.
    group_by: Optional[str] = None
    seed: int = 0  # another one gives another split
    skip_invalid: bool = False  # leave wrong annotations out instead of stopping


def part_names(**options: Any) -> Tuple[str, ...]:
    """The names of the parts that `split` makes with these options.

    Raises:
        InputError: an option is wrong.
    """
    return tuple(shares_of(checked_options(options)))


def checked_options(options: Dict[str, Any]) -> SplitOptions:
    """The options by their names.

    Raises:
        InputError: there is no such option, or a value is out of range.
    """
    unknown = [name for name in options if name not in SplitOptions._fields]
    if unknown:
        known = ", ".join(SplitOptions._fields)
        raise InputError(f"There is no option {quoted(unknown[0])}; wanted {known}.")
    found = SplitOptions(**options)
    if found.folds is not None and found.val is not None:
        raise InputError("Of folds each is val once: give folds or val, not both.")
    whole = type(found.folds) is int and 2 <= found.folds <= _MOST_FOLDS
    if found.folds is not None and not whole:
        raise InputError(f"folds is {quoted(found.folds)}; wanted 2 to {_MOST_FOLDS}.")
    if type(found.seed) is not int or not 0 <= found.seed < 1 << 32:
        raise InputError(f"seed is {quoted(found.seed)}; wanted a whole number below 2^32.")
    val = _VAL if found.val is None and found.folds is None else found.val
    for name, share in (("val", val), ("test", found.test)):
        if share is not None and not (isinstance(share, (int, float)) and 0 <= share < 1):
            raise InputError(f"{name} is {quoted(share)}; wanted a share below 1, such as 0.2.")
    if val == 0 and not found.test:
        raise InputError("val and test are 0: then there is nothing to divide.")
    if (val or 0) + found.test >= 1:
        raise InputError(f"val {val or 0:g} and test {found.test:g} leave nothing to train on.")
    return found._replace(val=val)


def shares_of(options: SplitOptions) -> Dict[str, float]:
    """Name -> share of each part that there is."""
    rest = 1.0 - options.test
    if options.folds is None:
        shares = {"train": rest - options.val, "val": options.val}
    else:
        shares = {f"fold {k}": rest / options.folds for k in range(1, options.folds + 1)}
    return {name: share for name, share in {**shares, "test": options.test}.items() if share}
