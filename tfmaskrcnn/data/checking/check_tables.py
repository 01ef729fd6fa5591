"""What a check found as tables for a terminal of any width."""

import collections

import numpy as np

from tfmaskrcnn.data.checking.rules import RULES
from tfmaskrcnn.support.tables import new_table

_COLORS = {"wrong": "red", "odd": "yellow", "note": "dim"}
MAX_CLASSES = 20  # rows of the table of classes
_BAR = 30  # characters of the longest bar


def tables(result):
    """A `rich` group of all tables of a `CheckResult`, the verdict last."""
    from rich.console import Group

    parts = [_line(_title(result), "bold"), _summary(result), _findings(result)]
    if len(result.data.class_names) > 1:
        parts.append(_classes(result))
    if len(result.at_input.scales):
        parts.append(_sizes(result))
    if result.proposals:
        parts += [_proposed(result), _line(result.settings()), _line("")]
    parts.append(_line(f"Anchors: {result.fit(result.iou)}."))
    if result.proposals:
        parts += [_line(f"As proposed: {result.fit(result.proposed_iou)}."), _line("")]
    color = "red" if result.num_errors else "green"
    return Group(*parts, _line(result.verdict(), f"bold {color}"))


def printable(text: str) -> str:
    """`text` without characters that move a terminal's cursor: file names may hold anything."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _title(result) -> str:
    title = f"{result.data.json_path}: {len(result.data.records):,} images, "
    title += f"{result.num_objects:,} objects, {len(result.data.class_names):,} classes"
    return printable(title)


def _line(text: str, style: str = ""):
    """A text of its own, in which nothing is cut off, not even a long word."""
    from rich.padding import Padding
    from rich.text import Text

    return Padding(Text(text, style=style, overflow="fold"), (0, 1))


def _table(title: str, columns, numbers=()):
    """A table whose texts are wrapped and never cut off."""
    table = new_table(title, columns, numbers)
    for column in table.columns[: len(columns)]:
        column.overflow = "fold"
    for column in table.columns[len(columns) :]:
        column.no_wrap = True
    return table


def _summary(result):
    records = result.data.records
    table = _table("", [""], ["least", "median", "most"])
    counts = [int((~r.crowd).sum()) for r in records]
    rows = {
        "objects an image": counts,
        "image, short side": [min(r.height, r.width) for r in records],
        "image, long side": [max(r.height, r.width) for r in records],
        "object in the network's input": result.at_input.scales,
    }
    for name, values in rows.items():
        if len(values):
            numbers = (np.min(values), np.median(values), np.max(values))
            table.add_row(name, *(f"{v:.4g}" for v in numbers))
    return table


def _findings(result):
    """Each rule with the first place where it is broken and what to do, below each other."""
    from rich.text import Text

    table = _table("Findings", ["", "number", "what, the first, what to do"])
    table.columns[0].no_wrap = table.columns[1].no_wrap = True
    table.columns[1].justify = "right"
    for rule, found in result.by_rule.items():
        level, title, advice = RULES[rule]
        color = _COLORS[level]
        cell = Text(title, style=f"bold {color}")
        for part in (found[0].message, advice):
            if part:
                cell.append(f"\n{printable(part)}", style="not bold")
        table.add_row(_literal(level), f"{len(found):,}", cell, style=color)
    if not result.findings:
        table.add_row("", "", "nothing")
    return table


def _classes(result):
    names, total = result.data.class_names, max(1, sum(result.class_counts.values()))
    table = _table("Classes", ["class", ""], ["objects", "share"])
    ordered = collections.Counter(result.class_counts).most_common()
    for k, count in ordered[:MAX_CLASSES]:
        bar = _bar(count, ordered[0][1])
        table.add_row(_literal(names[k - 1]), bar, f"{count:,}", f"{count / total:.1%}")
    if len(ordered) > MAX_CLASSES:
        rest = sum(count for _, count in ordered[MAX_CLASSES:])
        name = f"{len(ordered) - MAX_CLASSES} more"
        table.add_row(name, "", f"{rest:,}", f"{rest / total:.1%}")
    return table


def _sizes(result):
    """Objects by octaves of their size in the network's input."""
    title, columns = "Objects in the network's input", ["pixels (sqrt of box)", ""]
    table = _table(title, columns, ["objects", "share"])
    octaves = np.floor(np.log2(np.maximum(result.at_input.scales, 1))).astype(int)
    counts = np.bincount(octaves)
    for octave in range(octaves.min(), octaves.max() + 1):
        count, low = counts[octave], 2**octave if octave else 0
        row = f"{low} to {2 ** (octave + 1)}", _bar(count, counts.max())
        table.add_row(*row, f"{count:,}", f"{count / counts.sum():.1%}")
    return table


def _proposed(result):
    table = _table("Proposals", ["setting", "why"])
    for proposal in result.proposals:
        table.add_row(_literal(proposal.setting()), _literal(proposal.reason))
    return table


def _bar(count: int, most: int):
    from rich.text import Text

    return Text("#" * round(_BAR * count / max(1, most)), no_wrap=True, overflow="crop")


def _literal(text: str):
    """Text in which square brackets are no markup."""
    from rich.text import Text

    return Text(printable(text))
