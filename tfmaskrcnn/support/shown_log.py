"""What takes long says how far it is, also where nobody has set up Python's log."""

import contextlib
import logging
import sys
from typing import Iterator

from tfmaskrcnn.support.terminal import in_notebook

_LOG = logging.getLogger(__package__.split(".")[0])


@contextlib.contextmanager
def log_shown() -> Iterator[None]:
    """Within the block, the package's log is shown: on stderr, in a notebook below its cell.

    Whoever has decided about them is left alone: INFO is on, as on the command line, or the
    package's logger has a level of the user's. Handlers that are there are used.
    """
    root = logging.getLogger()
    if _LOG.level != logging.NOTSET or (_LOG.hasHandlers() and _LOG.isEnabledFor(logging.INFO)):
        yield
        return
    handler = None
    if not _LOG.hasHandlers():
        handler = logging.StreamHandler(sys.stdout if in_notebook() else sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        root.addHandler(handler)  # where `ProgressBar` looks for what has to go above it
    _LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        _LOG.setLevel(logging.NOTSET)
        if handler is not None:
            root.removeHandler(handler)
