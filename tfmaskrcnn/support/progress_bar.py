"""A bar on the terminal for whatever takes long; elsewhere a line in the log now and then."""

import contextlib
import logging
import time
from typing import Callable, Iterable, Iterator, Optional, Tuple

from tfmaskrcnn.support.terminal import moves

Progress = Callable[[int, int], None]  # done, in all
_LOG = logging.getLogger(__name__)
_SECONDS = 60.0  # between two lines, where there is no terminal


def counted(entries: Iterable, progress: Optional[Progress] = None) -> Iterator:
    """Each of `entries`; `progress` is told after each how many are done, of how many.

    Of 0 where they have no length.
    """
    total = len(entries) if hasattr(entries, "__len__") else 0
    for done, entry in enumerate(entries, start=1):
        yield entry
        if progress:
            progress(done, total)


@contextlib.contextmanager
def progress_bar(description: str = "evaluating") -> Iterator[Progress]:
    """A bar on the terminal, as the `progress` of what takes one."""
    with _bars() as bar:
        if bar.disable:
            yield _Lines().told(description)
            return
        task = bar.add_task(description, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextlib.contextmanager
def progress_bars(description: str, parts: str) -> Iterator[Tuple[Progress, Progress]]:
    """A bar, and one below it for the parts of what is under way, which goes when they are done."""
    with _bars() as bar:
        if bar.disable:
            lines = _Lines()
            yield lines.told(description), lines.told(parts)
            return
        whole = bar.add_task(description, total=None)
        part = bar.add_task(parts, total=None, visible=False)

        def tick(done: int, total: int) -> None:
            bar.update(part, completed=done, total=total, visible=done < total)

        yield lambda done, total: bar.update(whole, completed=done, total=total), tick


class _Lines:
    """Says how far things are, at most once in so many seconds."""

    def __init__(self):
        self._next = time.monotonic() + _SECONDS

    def told(self, description: str) -> Progress:
        """A progress that says `description` before its numbers."""

        def tick(done: int, total: int) -> None:
            if time.monotonic() >= self._next and done < total:
                self._next = time.monotonic() + _SECONDS
                _LOG.info("%s: %d of %d", description, done, total)

        return tick


def _bars():
    from rich import progress as parts
    from rich.console import Console

    columns = (parts.TextColumn("{task.description}"), parts.BarColumn())
    columns += (parts.MofNCompleteColumn(), parts.TimeRemainingColumn())
    console = Console(stderr=True)  # stdout is for results
    return parts.Progress(*columns, console=console, disable=not moves(console))
