"""What each part of a divided set holds, as a table."""

from typing import List, Optional, Sequence

import numpy as np

from tfmaskrcnn.data.splitting.contents import SIZES, Contents
from tfmaskrcnn.errors import one_line
from tfmaskrcnn.support.tables import as_text, new_table

_WHOLE = 100_000  # characters of a line that nothing has
_LONGEST = 40  # characters of a class name


def part_table(part_names: Sequence[str], contents: Contents, places: Sequence[np.ndarray]):
    """A `rich` table.

    Args:
        part_names: of the parts.
        contents: of the images.
        places: the images of each part, as places in `contents`.
    """
    every = np.concatenate(places)
    titles = [*part_names, "all"]
    parts = [contents.of_classes(images) for images in (*places, every)]  # [K, 2 + sizes] each
    table = new_table("", [""], titles)
    for column in table.columns:
        column.no_wrap = True
    counts = [len(images) for images in (*places, every)]
    table.add_row("images", *_with_shares(counts))
    empty = [sum(not len(contents.classes[i]) for i in images) for images in (*places, every)]
    table.add_row("without objects", *map(_number, empty))
    table.add_row("objects", *_with_shares([int(part[:, 1].sum()) for part in parts]))
    for s, size in enumerate(SIZES):
        sums = [int(part[:, 2 + s].sum()) for part in parts]
        table.add_row(f"  {size}", *_with_shares(sums), end_section=s == len(SIZES) - 1)
    several = len(contents.class_names) > 1  # else they are told above
    for k, name in enumerate(contents.class_names if several else ()):
        cells = [_of_class(part[k]) for part in parts]
        table.add_row(one_line(name, _LONGEST).replace("[", r"\["), *cells)
    sizes = "small (under 32 x 32 pixels) + medium + large (over 96 x 96)"
    table.caption = f"objects of each class: {sizes}" if several else f"sizes: {sizes}"
    table.caption_justify = "left"
    return table


def wide_text(table, width: Optional[int]) -> str:
    """The table as plain text of at most `width` characters a line."""
    return as_text(table, width or _WHOLE)


def _with_shares(counts: List[int]) -> List[str]:
    """Each count with its share of the last one, which is of all."""
    whole = max(counts[-1], 1)
    shown = [f"{_number(count)} ({count / whole:.0%})" for count in counts[:-1]]
    return [*shown, _number(counts[-1])]


def _of_class(row: np.ndarray) -> str:
    _, objects, *sizes = row.tolist()
    parts = " + ".join(map(_number, sizes))
    return f"{_number(objects)} = {parts}" if objects else "0"


def _number(count: int) -> str:
    return f"{count:,}"
