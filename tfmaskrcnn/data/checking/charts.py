"""Histograms and bars as inline SVG and HTML."""

import html
from typing import List, Sequence, Tuple

import numpy as np

WIDTH, HEIGHT, BOTTOM, TOP = 560, 170, 26, 18
_NUM_BINS = 40


def histogram(values: Sequence[float], marks: Sequence[float] = ()) -> str:
    """An SVG of the distribution of positive `values` on a logarithmic axis.

    Args:
        values: above 0.
        marks: drawn as dark vertical lines with their number, such as sizes of anchors.
    """
    values = np.asarray([v for v in values if v > 0], float)
    if not len(values):
        return "<p>no values</p>"
    low, high = min([*values, *marks]), max([*values, *marks])
    low, high = low / 1.1, high * 1.1
    counts, edges = np.histogram(np.log(values), _NUM_BINS, (np.log(low), np.log(high)))
    place = _placer(np.log(low), np.log(high))
    tall, parts = max(counts), []
    for count, left, right in zip(counts, edges, edges[1:]):
        size = (HEIGHT - BOTTOM - TOP) * count / tall
        x, w, y = place(left), place(right) - place(left) - 1, HEIGHT - BOTTOM - size
        title = f"{np.exp(left):.3g} to {np.exp(right):.3g}: {count}"
        parts.append(
            f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{size:.1f}">'
            f"<title>{title}</title></rect>"
        )
    parts += [_line(place(np.log(v)), v) for v in marks]
    parts += [_tick(place(np.log(v)), f"{v:g}") for v in _round_numbers(low, high)]
    return _svg(parts)


def bars(rows: Sequence[Tuple[str, int]], limit: int = 100) -> str:
    """An HTML table of names and counts with bars; at most `limit` rows."""
    most, lines = max([1, *(count for _, count in rows)]), []
    for name, count in rows[:limit]:
        width = 100 * count / most
        lines.append(
            f"<tr><td>{html.escape(name)}</td><td class=number>{count:,}</td>"
            f'<td class=wide><div class=share style="width:{width:.1f}%"></div></td></tr>'
        )
    if len(rows) > limit:
        lines.append(f"<tr><td>and {len(rows) - limit:,} more</td><td></td><td></td></tr>")
    return f"<table class=bars>{''.join(lines)}</table>"


def _placer(low: float, high: float):
    return lambda value: WIDTH * (value - low) / max(high - low, 1e-9)


def _line(x: float, value: float) -> str:
    return (
        f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="11" y2="{HEIGHT - BOTTOM}"/>'
        f'<text class="mark" x="{x:.1f}" y="9" text-anchor="middle">{value:g}</text>'
    )


def _tick(x: float, text: str) -> str:
    y = HEIGHT - BOTTOM
    return (
        f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{y}" y2="{y + 4}"/>'
        f'<text x="{x:.1f}" y="{y + 16}" text-anchor="middle">{text}</text>'
    )


def _round_numbers(low: float, high: float) -> List[float]:
    found = [m * 10.0**e for e in range(-3, 7) for m in (1, 2, 5)]
    return [v for v in found if low <= v <= high]


def _svg(parts: List[str]) -> str:
    y = HEIGHT - BOTTOM
    axis = f'<line class="axis" x1="0" x2="{WIDTH}" y1="{y}" y2="{y}"/>'
    box = f"-14 0 {WIDTH + 28} {HEIGHT}"
    return f'<svg viewBox="{box}" role="img">{"".join(parts)}{axis}</svg>'
