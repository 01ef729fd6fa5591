"""A bar on the terminal for whatever takes long."""

import contextlib
from typing import Callable, Iterable, Iterator, Optional

Progress = Callable[[int, int], None]  # done, in all


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
    from rich import progress as parts
    from rich.console import Console

    columns = (parts.TextColumn("{task.description}"), parts.BarColumn())
    columns += (parts.MofNCompleteColumn(), parts.TimeRemainingColumn())
    console = Console(stderr=True)  # stdout is for results
    with parts.Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(description, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
