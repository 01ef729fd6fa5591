"""The short of a report, for a terminal."""

from typing import List, Tuple

from tfmaskrcnn.evaluation.analysis.comparison import OPEN, YES, Comparison
from tfmaskrcnn.evaluation.reporting import findings
from tfmaskrcnn.evaluation.reporting.report import Report
from tfmaskrcnn.evaluation.reporting.words import between, number
from tfmaskrcnn.support.given import takes
from tfmaskrcnn.support.tables import as_text

FEW_CLASSES = 20  # with more, only those that differ are listed


@takes(report=Report)
def summary(report: Report, width: int = 80) -> str:
    """What a person should know after an evaluation, `width` characters wide."""
    lines = _sure(report)
    lines += [("threshold", findings.threshold(report)), ("errors", findings.costs(report))]
    lines += [("count", findings.counting(report))]
    lines += [("caution" if i == 0 else "", text) for i, text in enumerate(report.cautions)]
    return as_text(_grid(lines), width)


def verdict(report: Report, width: int = 80) -> str:
    """Is the model better than the one that it is held against?"""
    other, comparison = report.against
    lines = [("better?", answer(comparison))]
    lines.append(("first", f"{report.source}, {comparison.kind} AP {number(comparison.first)}"))
    lines.append(("second", f"{other.source}, {comparison.kind} AP {number(comparison.second)}"))
    lines += [("" if i else "classes", text) for i, text in enumerate(_classes(comparison))]
    changes = [change for change in comparison.changes[:5] if change.first != change.second]
    for i, change in enumerate(changes):
        image = report.examined.images[change.image]
        numbers = f"{number(change.first, 2)} against {number(change.second, 2)}"
        name = image.file_name or f"image {image.image_id}"
        lines.append(("" if i else "images", f"{name}: F1 {numbers}"))
    return as_text(_grid(lines), width)


def answer(comparison: Comparison) -> str:
    """One sentence: yes, no, or not enough images."""
    difference, aps = comparison.difference, f"{comparison.kind} AP"
    if not difference.known:
        return "There is no object to compare them on."
    if difference.low == difference.high == 0:
        return f"Neither is: the {aps} is the same on whichever of these images."
    span = f"{difference.low:+.3f} to {difference.high:+.3f} with 95 % confidence"
    if comparison.verdict != OPEN:
        word = "Yes" if comparison.verdict == YES else "No, it is worse"
        return f"{word}: the difference in {aps} is {difference.value:+.3f}, {span}."
    text = f"Not enough images to tell: the difference in {aps} is {difference.value:+.3f}, {span}."
    if comparison.images_needed:
        text += f" If it stays, some {_rounded(comparison.images_needed)} images would tell."
    return text


def _sure(report: Report) -> List[Tuple[str, str]]:
    return [
        (f"{kind} AP", f"{number(interval.value)}, on other images like these {between(interval)}")
        for kind, interval in report.intervals.items()
        if interval.known
    ]


def _classes(comparison: Comparison) -> List[str]:
    """Those that are told apart; all of few."""
    each = {n: i for n, i in comparison.per_class.items() if i.known}
    if len(each) > FEW_CLASSES:
        each = {name: i for name, i in each.items() if i.low > 0 or i.high < 0}
    if len(comparison.per_class) < 2:
        return []
    return [
        f"{name}: {i.value:+.3f} ({i.low:+.3f} to {i.high:+.3f})"
        for name, i in sorted(each.items(), key=lambda pair: -pair[1].value)
    ]


def _rounded(count: int) -> str:
    """Two digits: 1,300 for 1,287."""
    return f"{int(float(f'{count:.2g}')):,}"


def _grid(lines: List[Tuple[str, str]]):
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    for _ in range(2):
        grid.add_column()
    for name, text in lines:
        grid.add_row(Text(name), Text(text))
    return grid
