"""A bar on the terminal for whatever takes long."""

import contextlib
from typing import Callable, Iterator

Progress = Callable[[int, int], None]  # done, in all


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
