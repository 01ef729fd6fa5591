"""How a run ends: with where things lie, or with what to do to go on with it."""

import contextlib
import logging
from typing import Iterator

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data.coco.annotations import Fault
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.files import DiskFull
from tfmaskrcnn.support.run_folder import Run

_LOG = logging.getLogger(__name__)


@contextlib.contextmanager
def told_how_to_go_on(folder: str) -> Iterator[None]:
    """Add to whatever ends a run early what helps: the checker of data, the way to resume."""
    states = Run(folder).states
    try:
        yield
    except Fault as fault:
        raise InputError(f"{fault} tfmaskrcnn check-data lists all that is wrong.") from None
    except KeyboardInterrupt:
        hint = "Add --resume to go on." if storage.exists(states) else ""
        raise KeyboardInterrupt(hint) from None
    except DiskFull as error:
        if not storage.exists(states):
            raise
        raise DiskFull(
            f"{error} The states in {states} are whole: make room and go on with --resume."
        ) from None


def tell_what_is_left(folder: str, config: Config) -> None:
    """Say where the weights and the curves of a run lie."""
    run = Run(folder)
    kept = "" if config.data.val_json else " (of the last epoch: there is no val split)"
    _LOG.info("checkpoint  %s%s", run.weights, kept)
    _LOG.info("curves      %s", run.curves)
    _LOG.info("history     %s", run.history)
