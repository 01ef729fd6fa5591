"""Where what is shown goes to: a terminal, on which a bar can move, a notebook, or a log."""

import sys


def in_notebook() -> bool:
    """Whether what is printed appears below the cell of a notebook."""
    return type(sys.stdout).__module__.startswith("ipykernel.")


def moves(console) -> bool:
    """Whether a live bar can be drawn on a `rich.console.Console`.

    Rich takes a notebook for a terminal, but needs a widget for a bar that moves there.
    """
    return console.is_terminal and not console.is_jupyter
