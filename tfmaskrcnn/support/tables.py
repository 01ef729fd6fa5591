"""Tables for a terminal, all of one look."""

import io
from typing import Sequence


def new_table(title, columns: Sequence[str], numbers: Sequence[str] = ()):
    """An empty `rich` table: `columns` of text, then columns of `numbers`.

    `title` is a string of rich's markup, or a rich Text.
    """
    import rich.box
    from rich.table import Table

    table = Table(title=title, box=rich.box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column)
    for column in numbers:
        table.add_column(column, justify="right")
    return table


def as_text(renderable, width: int = 80) -> str:
    """What `rich` would print, as plain text."""
    from rich.console import Console

    # In a notebook rich would display it instead, and the text would be empty.
    console = Console(file=io.StringIO(), width=width, color_system=None, force_jupyter=False)
    console.print(renderable)
    lines = console.file.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines).strip("\n")
