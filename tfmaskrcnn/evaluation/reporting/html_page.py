"""The report as one HTML page, complete in itself: pictures and charts are inside, no scripts."""

import functools
import os
from typing import Dict, List, Optional

import jinja2

from tfmaskrcnn.evaluation.analysis.precision import ABSENT
from tfmaskrcnn.evaluation.analysis.suspects import (
    Suspect,
    certain_mistakes,
    label_errors,
    worst_images,
)
from tfmaskrcnn.evaluation.reporting import evidence, findings, plots, views, words
from tfmaskrcnn.evaluation.reporting.report import Report
from tfmaskrcnn.evaluation.reporting.summary import answer
from tfmaskrcnn.support.files import replaced
from tfmaskrcnn.support.given import A_PATH, takes
from tfmaskrcnn.support.pages import LOOK, POLICY, encodable
from tfmaskrcnn.support.progress_bar import Progress

WORST = 8  # whole images
CHANGES = 8  # images in which two models differ most
PAIRS = 3  # of these with pictures
CROPS = 4  # of each kind of mistake and of doubtful annotations
TALLEST = 560  # pixels of a picture on the page
TABLE_CLASSES = 12  # with more, the confusion matrix is drawn

# What a doubtful annotation may mean, by `label_errors`.
DOUBTS = {
    "not annotated": "The model is certain of an object where none is annotated.",
    "found by nothing": "An annotation that no detection of any score or class comes near.",
    "other class": "The model is certain of the outline, and of another class.",
}

# What the lines in pictures mean, by the styles of `evidence`.
LEGEND = (
    ("missed", "missed"),
    ("false", "false"),
    ("class", "wrong class"),
    ("outline", "badly outlined"),
    ("doubled", "doubled"),
    ("annotated", "annotation"),
    ("right", "right"),
)


@takes(report=Report, path=A_PATH)
def write_page(report: Report, path: str, progress: Optional[Progress] = None) -> str:
    """Write the page.

    Args:
        report: what it shows.
        path: of the new file.
        progress: told how many images of those with pictures are done.

    Returns:
        The path.

    Raises:
        InputError: the file cannot be written.
    """
    text = page(report, progress)
    with replaced(path, "w") as file:
        file.write(text)
    return os.fspath(path)


def page(report: Report, progress: Optional[Progress] = None) -> str:
    """The page as text; everything from the data is escaped."""
    worst = worst_images(report.examined, report.verdicts, WORST)
    mistakes = certain_mistakes(report.examined, report.verdicts, CROPS)
    doubts = label_errors(report.examined, report.verdicts, CROPS)
    changes = views.changes(report, CHANGES)
    pairs = [evidence.Shot(change.image) for change in changes[:PAIRS]]
    shots = [*map(evidence.Shot, worst), *pairs]
    for suspects in (*mistakes.values(), *doubts.values()):
        shots += [_shot(suspect) for suspect in suspects]
    shots = list(dict.fromkeys(shots))
    pictures = evidence.take(report, shots, progress)
    others = evidence.take(report.against.report, pairs) if report.against else {}
    context = {
        "report": report,
        "policy": POLICY,
        "look": LOOK,
        "pictures": pictures,
        "other_pictures": others,
        "pairs_shown": [shot.image for shot in pairs if shot in pictures and shot in others],
        "answer": answer(report.against.comparison) if report.against else "",
        "changes": changes,
        "worst": views.worst_rows(report, worst),
        "mistakes": {k: mistakes[k] for k in views.kinds_of_error(report) if mistakes[k]},
        "doubts": {k: found for k, found in doubts.items() if found},
        "shown": {i for i in worst if evidence.Shot(i) in pictures},
        "unreadable": _unreadable(report, shots, pictures),
        **_numbers(report),
    }
    return encodable(_template().render(context))


def _numbers(report: Report) -> Dict:
    """What the tables and charts show."""
    axes = views.matrix_axes(report)
    return {
        "sums": findings.tally(report.verdicts),
        "choices": views.choices(report.points.overall),
        "classes": views.class_rows(report),
        "pairs": views.confused_pairs(report),
        "axes": axes,
        "axis_names": [report.class_names[k - 1] if k else "nothing" for k in axes],
        "cells": views.matrix_cells(report, axes),
        "kinds_of_error": views.kinds_of_error(report),
        "counts": views.count_rows(report),
        "costs": views.cost_rows(report),
        "charts": _charts(report),
        "differences": views.differences(report),
        "iou": f"{report.points.iou:g}",
        "at_iou": words.at_iou(report.points.iou),
    }


def _charts(report: Report) -> Dict[str, str]:
    charts = {"counting": plots.count_scatter(report.counting, "counting-chart")}
    if len(report.points.overall.scores) and report.points.overall.num_objects:
        charts["curves"] = plots.threshold_curves(report.points.overall, "threshold-chart")
    if report.reliability.ece != ABSENT:
        charts["reliability"] = plots.reliability_diagram(report.reliability, "reliability-chart")
    if report.outlines is not None and len(report.outlines.ious):
        charts["outlines"] = plots.outline_histogram(report.outlines, "outline-chart")
    return charts


def _shot(suspect: Suspect) -> evidence.Shot:
    return evidence.Shot(suspect.image, suspect.row, suspect.object)


def _unreadable(report, shots, pictures) -> List[str]:
    """File names of images that should be shown and cannot be."""
    missing = sorted({shot.image for shot in shots if shot not in pictures})
    return [report.examined.images[i].file_name for i in missing]


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(os.path.dirname(__file__)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=words.number,
        percent=words.percent,
        many=words.many,
        between=words.between,
        signed=words.signed,
        begun=words.begun,
    )
    environment.globals.update(
        findings=findings,
        words=words,
        doubt_words=DOUBTS,
        legend_words=LEGEND,
        tallest=TALLEST,
        shot_of=_shot,
        whole=evidence.Shot,
        table_classes=TABLE_CLASSES,
        absent=ABSENT,
    )
    return environment.get_template("page.html")
