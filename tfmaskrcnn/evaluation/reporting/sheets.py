"""The numbers of a report as tables, for JSON and CSV."""

import csv
import json
import math
import os
from typing import Any, Dict, List

import numpy as np

from tfmaskrcnn.evaluation.analysis.bootstrap import Interval
from tfmaskrcnn.evaluation.analysis.comparison import image_scores
from tfmaskrcnn.evaluation.analysis.precision import ABSENT
from tfmaskrcnn.evaluation.analysis.verdicts import ERRORS, MISSED, RIGHT
from tfmaskrcnn.evaluation.reporting.report import Report
from tfmaskrcnn.support.files import replaced, writable_folder
from tfmaskrcnn.support.given import A_PATH, takes
from tfmaskrcnn.support.pages import encodable

Row = Dict[str, Any]
ALL = "all classes"
CURVE_POINTS = 200  # of each class at most


def sheets(report: Report) -> Dict[str, List[Row]]:
    """Name -> rows of JSON's types; None where there is nothing to refer to."""
    tables = {
        "ap": _ap(report),
        "thresholds": _thresholds(report),
        "curves": _curves(report),
        "reliability": _reliability(report),
        "confusion": _confusion(report),
        "errors": _errors(report),
        "conditions": _conditions(report),
        "masks": _masks(report),
        "counts": _counts(report),
        "images": _images(report),
    }
    if report.against is not None:
        tables["against"] = _against(report)
    return tables


@takes(report=Report)
def to_json(report: Report) -> str:
    """What `CocoResult.to_json` holds, and the tables under "report"."""
    values = json.loads(report.result.to_json())
    values["report"] = {
        "model": report.source,
        "data": report.data,
        "kind": report.kind,
        "iou": report.iou,
        "cautions": report.cautions,
        "expected_calibration_error": _number(report.reliability.ece),
        **sheets(report),
    }
    return json.dumps(values, indent=2)


@takes(report=Report, folder=A_PATH)
def write_csv(report: Report, folder: str) -> List[str]:
    """Write a CSV file for each table that has rows; returns their paths.

    Raises:
        InputError: the folder cannot be written.
    """
    folder, paths = writable_folder(folder), []
    for name, rows in sheets(report).items():
        if rows:
            paths.append(os.path.join(folder, f"{name}.csv"))
            with replaced(paths[-1], "w") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows({key: _text(value) for key, value in row.items()} for row in rows)
    return paths


def _text(value):
    """What a CSV file can hold."""
    return encodable(value) if isinstance(value, str) else value


def _ap(report: Report) -> List[Row]:
    return [
        {"kind": kind, "class": name or ALL, **_interval(interval)}
        for kind, each in report.class_intervals.items()
        for name, interval in each.items()
    ]


def _thresholds(report: Report) -> List[Row]:
    points = report.points
    return [
        {
            "class": name,
            "objects": curve.num_objects,
            **{key: _number(value) for key, value in curve.best._asdict().items()},
            **{f"{key}_at_0.5": _number(value) for key, value in curve.usual._asdict().items()},
        }
        for name, curve in ((ALL, points.overall), *points.per_class.items())
    ]


def _curves(report: Report) -> List[Row]:
    rows = []
    for name, curve in ((ALL, report.points.overall), *report.points.per_class.items()):
        places = np.linspace(0, len(curve.scores) - 1, min(len(curve.scores), CURVE_POINTS))
        for i in places.round().astype(int):
            numbers = {key: getattr(curve, key)[i] for key in ("precision", "recall", "f1")}
            numbers = {key: _number(value) for key, value in numbers.items()}
            rows.append({"class": name, "score": float(curve.scores[i]), **numbers})
    return rows


def _reliability(report: Report) -> List[Row]:
    table = report.reliability
    return [
        {
            "score_from": float(table.edges[i]),
            "score_to": float(table.edges[i + 1]),
            "detections": int(table.counts[i]),
            "mean_score": _number(table.mean_scores[i]),
            "share_right": _number(table.shares_right[i]),
        }
        for i in range(len(table.counts))
    ]


def _confusion(report: Report) -> List[Row]:
    """The pairs that occur; an 80 x 80 matrix is mostly zeros."""
    table, names = report.confusion, ("background", *report.class_names)
    shares = table.normalised()
    return [
        {
            "annotated": names[row],
            "found": names[column],
            "count": int(table.counts[row, column]),
            "share_of_annotated": float(shares[row, column]),
        }
        for row, column in zip(*np.nonzero(table.counts))
    ]


def _errors(report: Report) -> List[Row]:
    rows = []
    for kind, costs in report.costs.items():
        rows += [
            {"kind": kind, "error": name, "count": costs.counts.get(name), "ap_cost": _number(cost)}
            for name, cost in costs.costs.items()
        ]
        for name in ("false_positives", "false_negatives"):
            cost = _number(getattr(costs, name))
            rows.append({"kind": kind, "error": name, "count": None, "ap_cost": cost})
    return rows


def _conditions(report: Report) -> List[Row]:
    return [
        {
            "table": table.title,
            "condition": row.name,
            "images": row.num_images,
            "objects": row.num_objects,
            **{name: _number(getattr(row, name)) for name in ("recall", "ap", "mean_iou")},
        }
        for table in report.conditions
        for row in table.rows
    ]


def _masks(report: Report) -> List[Row]:
    """Outlines of all classes, panoptic quality of each."""
    if report.outlines is None:
        return []
    outlines, panoptic = report.outlines, report.panoptic
    names = ("mean_iou", "mean_dice", "mean_boundary_iou", "mask_ap", "boundary_ap")
    rows = [(ALL, name, getattr(outlines, name)) for name in names]
    each = ((ALL, panoptic), *panoptic.per_class.items())
    rows += [(label, n, getattr(q, n)) for label, q in each for n in ("pq", "sq", "rq")]
    return [{"class": label, "measure": n, "value": _number(value)} for label, n, value in rows]


def _counts(report: Report) -> List[Row]:
    counting = report.counting
    total = (counting.annotated.sum(), counting.found.sum(), counting.mean_absolute_error)
    return [
        {
            "class": name,
            "annotated": int(annotated),
            "found": int(found),
            "mean_absolute_error": _number(error),
        }
        for name, (annotated, found, error) in ((ALL, total), *counting.per_class.items())
    ]


def _images(report: Report) -> List[Row]:
    examined = report.examined
    scores = image_scores(examined, report.coco_matches[report.kind], report.thresholds)
    rows = []
    for i, (image, verdict) in enumerate(zip(examined.images, report.verdicts)):
        rows.append(
            {
                "image_id": image.image_id,
                "file_name": image.file_name,
                "objects": int(report.counting.annotated[i]),
                "found": int(report.counting.found[i]),
                RIGHT: verdict.found.count(RIGHT),
                **{name: verdict.found.count(name) for name in ERRORS},
                MISSED: verdict.objects.count(MISSED),
                "mean_f1": float(scores[i]),
            }
        )
    return rows


def _against(report: Report) -> List[Row]:
    other, comparison = report.against
    rows = ((ALL, comparison.difference), *comparison.per_class.items())
    return [
        {"against": other.source, "class": name, **_interval(interval)} for name, interval in rows
    ]


def _interval(interval: Interval) -> Row:
    return {name: v if interval.known else None for name, v in interval._asdict().items()}


def _number(value):
    """A float, None of what is ABSENT or NaN."""
    return None if math.isnan(value) or value == ABSENT else float(value)
