"""Code that a configuration names: run where it is asked for, not because a run's folder says so.

`data.augment.function` is the one setting that runs code of others. In a YAML file or a `--set` of
one's own it is asked for; in the `config.json` of a run, which may be a stranger's, it is not.
"""

from typing import Any, Dict

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.errors import InputError, quoted


def names_code(raw: Dict[str, Any]) -> bool:
    """Whether nested dictionaries of settings say something of `data.augment.function`."""
    for key in ("data", "augment"):
        raw = raw.get(key)
        if not isinstance(raw, dict):
            return False
    return "function" in raw


def with_unasked_code(config: Config, source: Any) -> Config:
    """`config`, which notes that the file `source` named its code; None if it was asked for."""
    if source is not None and config.data.augment.function:
        config._unasked_code = source
    return config


def check_code(config: Config) -> None:
    """Refuse code that nobody asked for.

    Raises:
        InputError: the sentence says which code, who names it, and how to ask.
    """
    source, name = config._unasked_code, config.data.augment.function
    if source is None or not name:
        return
    raise InputError(
        f"{quoted(source, 150)} names code, data.augment.function={quoted(name, 80)}, which runs "
        "only when asked for: look at it, then give --trust-code (in Python "
        "load_config(..., trust_code=True)), or data.augment.function=null to go without."
    )
