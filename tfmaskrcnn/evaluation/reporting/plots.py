"""Charts of the report as SVG that stands in an HTML page: text stays text, ids are unique."""

import io
import re
import warnings
from typing import Callable

import numpy as np

from tfmaskrcnn.evaluation.analysis.boundaries import Outlines
from tfmaskrcnn.evaluation.analysis.counting import Counting
from tfmaskrcnn.evaluation.analysis.operating_points import Curve, Reliability

ACCENT, INK, PALE = "#1f5fa8", "#1d232a", "#8db4de"  # as in the style sheet
MAX_POINTS = 300  # of a line
_LOOK = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tfmaskrcnn",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.edgecolor": "#7d8790",
    "axes.labelcolor": "#4a545e",
    "xtick.color": "#4a545e",
    "ytick.color": "#4a545e",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
_PLACE = (0.13, 0.15, 0.84, 0.75)  # left, bottom, width, height of the axes, shares of the chart
_NOTHING = {"Date": None, "Creator": None, "Format": None, "Type": None}
_WRAPPING = re.compile(
    r"^.*?(?=<svg )|\sxmlns(:\w+)?=\"[^\"]*\"|<metadata>.*?</metadata>", re.DOTALL
)


def threshold_curves(curve: Curve, name: str) -> str:
    """Precision, recall and F1 against the score, with the best threshold and that of 0.5."""

    def draw(axes):
        scores = _thinned(curve.scores)
        lines = (
            (curve.precision, "precision", PALE, 1.6, "-"),
            (curve.recall, "recall", INK, 1.2, "--"),
        )
        for values, label, color, width, style in (*lines, (curve.f1, "F1", ACCENT, 2.2, "-")):
            axes.plot(
                curve.scores[scores], values[scores], style, color=color, lw=width, label=label
            )
        best = curve.best
        axes.axvline(curve.usual.score, color=INK, lw=1.0, ls=":")
        axes.axvline(best.score, color=ACCENT, lw=0.9)
        axes.plot([best.score], [best.f1], "o", color=ACCENT, ms=5)
        axes.set(xlabel="score threshold", ylabel="share", xlim=(0, 1), ylim=(0, 1.02))
        axes.legend(loc="lower center", ncol=3, bbox_to_anchor=(0.5, 1.0))

    return _svg(draw, name)


def reliability_diagram(reliability: Reliability, name: str) -> str:
    """Share that is right against the mean score, in bins of scores; the diagonal is perfect."""

    def draw(axes):
        known = reliability.counts > 0
        left, width = reliability.edges[:-1][known], np.diff(reliability.edges)[known]
        shares = reliability.shares_right[known]
        axes.bar(left, shares, width, align="edge", color=PALE, edgecolor="white", lw=1)
        axes.plot([0, 1], [0, 1], color=INK, lw=1.0, ls=":")
        axes.plot(reliability.mean_scores[known], shares, "o", color=ACCENT, ms=4)
        axes.set(xlabel="score", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1.02))

    return _svg(draw, name)


def outline_histogram(outlines: Outlines, name: str) -> str:
    """How many matched objects have which IoU and which boundary IoU."""

    def draw(axes):
        bins = np.linspace(0, 1, 21)
        axes.hist(outlines.ious, bins, color=PALE, label="IoU")
        axes.hist(
            outlines.boundary_ious, bins, histtype="step", color=INK, lw=1.4, label="boundary IoU"
        )
        axes.set(xlabel="overlap with the annotation", ylabel="objects", xlim=(0, 1))
        axes.legend(loc="lower center", ncol=2, bbox_to_anchor=(0.5, 1.0))

    return _svg(draw, name)


def count_scatter(counting: Counting, name: str) -> str:
    """Objects found against objects annotated, a dot an image."""

    def draw(axes):
        most = max(1, *map(int, np.concatenate([counting.annotated, counting.found, [1]])))
        axes.plot([0, most], [0, most], color=INK, lw=1.0, ls=":")
        dots = np.unique(np.stack([counting.annotated, counting.found], axis=1), axis=0)
        axes.scatter(dots[:, 0], dots[:, 1], s=22, color=ACCENT, alpha=0.6, lw=0)
        limits = (-0.03 * most, 1.05 * most)
        axes.set(xlabel="annotated in an image", ylabel="found", xlim=limits, ylim=limits)
        for axis in (axes.xaxis, axes.yaxis):
            axis.get_major_locator().set_params(integer=True)

    return _svg(draw, name)


def _svg(draw: Callable, name: str) -> str:
    """An SVG element of what `draw` draws on axes; its ids begin with `name`."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_LOOK), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fonts that this machine has not
        figure = Figure(figsize=(4.2, 2.9))
        canvas = FigureCanvasSVG(figure)
        axes = figure.add_axes(_PLACE)
        axes.grid(alpha=0.2, lw=0.6)
        axes.set_axisbelow(True)
        draw(axes)
        file = io.StringIO()
        canvas.print_svg(file, metadata=_NOTHING)
    text = _WRAPPING.sub("", file.getvalue())
    text = text.replace("<svg ", '<svg aria-hidden="true" ', 1)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    return re.sub(r'((?:xlink:)?href="#|url\(#)', rf"\g<1>{name}-", text)


def _thinned(scores: np.ndarray) -> np.ndarray:
    """Indices of about `MAX_POINTS` of the descending scores, the ends among them."""
    cells = np.floor(scores * MAX_POINTS)
    last = np.flatnonzero(np.diff(cells, append=-1))
    return np.union1d(last, [0]) if len(scores) else last
