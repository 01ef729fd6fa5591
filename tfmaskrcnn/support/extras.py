"""Packages that few people need, which the extras of this one install."""

import importlib
from types import ModuleType

from tfmaskrcnn.errors import InputError


def needed(module: str, package: str, what: str, extra: str) -> ModuleType:
    """The module of a package that may not be installed.

    Args:
        module: its dotted name.
        package: the name that pip knows.
        what: needs it, the beginning of the sentence, such as "Reading videos needs".
        extra: of this package, that installs it.

    Raises:
        InputError: it is not installed; the sentence says what to type.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise InputError(
            f"{what} the package {package}: pip install 'tfmaskrcnn[{extra}]'."
        ) from None
