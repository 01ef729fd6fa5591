"""`evaluation/reporting/plots.py`: SVG that can stand in a page."""

import re

import numpy as np

from helpers.drawn_report import report_of
from helpers.drawn_sets import random_set
from tfmaskrcnn.evaluation.reporting import plots


def test_charts_stand_alone_and_share_no_id():
    report = report_of(random_set(5))
    charts = [
        plots.threshold_curves(report.points.overall, "a"),
        plots.reliability_diagram(report.reliability, "b"),
        plots.outline_histogram(report.outlines, "c"),
        plots.count_scatter(report.counting, "d"),
    ]
    text = "".join(charts)
    assert all(c.startswith("<svg ") and c.rstrip().endswith("</svg>") for c in charts)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids)) > 20 and "http" not in text and "xmlns" not in text
    used = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text)
    assert used and {a or b for a, b in used} <= set(ids)
    assert "score threshold" in charts[0]  # texts are texts
    assert plots.threshold_curves(report.points.overall, "a") == charts[0]


def test_long_curves_keep_their_ends_and_few_points():
    scores = np.sort(np.random.default_rng(0).random(100_000))[::-1]
    kept = plots._thinned(scores)
    assert kept[0] == 0 and kept[-1] == len(scores) - 1
    assert len(kept) <= plots.MAX_POINTS + 2 and np.abs(np.diff(scores[kept])).max() < 0.01
    assert len(plots._thinned(np.zeros(0))) == 0
