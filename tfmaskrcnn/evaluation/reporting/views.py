"""Rows of the report's tables, of its numbers."""

from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from tfmaskrcnn.evaluation.analysis import verdicts as codes
from tfmaskrcnn.evaluation.analysis.bootstrap import Interval
from tfmaskrcnn.evaluation.analysis.comparison import ImageChange
from tfmaskrcnn.evaluation.analysis.operating_points import Curve, OperatingPoint
from tfmaskrcnn.evaluation.analysis.precision import ABSENT
from tfmaskrcnn.evaluation.reporting.report import Report
from tfmaskrcnn.evaluation.reporting.words import ERRORS, percent

GOAL = 0.9  # share of right detections, or of found objects, that somebody may want


class ClassRow(NamedTuple):
    """A class and what its detections are worth."""

    name: str
    objects: int
    mask_ap: float
    box_ap: float
    best: OperatingPoint
    usual: OperatingPoint


class Pair(NamedTuple):
    """How often objects of one class were found as another."""

    annotated: str
    found: str
    count: int
    objects: int  # annotated ones of the class


class Cell(NamedTuple):
    """An entry of the confusion matrix that is not 0."""

    row: int
    column: int
    count: int
    share: float  # of its row


class Cost(NamedTuple):
    """A kind of error and what it costs."""

    kind: str
    title: str
    meaning: str
    count: int
    gains: Tuple[float, ...]  # of AP50, of each of `Examined.kinds`


class WorstRow(NamedTuple):
    """An image and how often each kind of error occurs in it."""

    index: int  # into `Examined.images`
    file_name: str
    right: int
    counts: Tuple[int, ...]  # of each of `kinds_of_error`

    @property
    def errors(self) -> int:
        """All of them."""
        return sum(self.counts)

    def in_words(self, kinds: Sequence[str]) -> str:
        """ "3 missed, 2 false, 40 right"; of `kinds_of_error`."""
        parts = [f"{n:,} {ERRORS[k].title.lower()}" for n, k in zip(self.counts, kinds) if n]
        return ", ".join([*parts, f"{self.right:,} right"])


def choices(curve: Curve) -> List[Tuple[str, OperatingPoint]]:
    """Thresholds that somebody may want, each with its point; those not to be had are ABSENT."""
    none = OperatingPoint(ABSENT, ABSENT, ABSENT, ABSENT)
    precise = np.flatnonzero(curve.precision >= GOAL) if curve.num_objects else []
    complete = np.flatnonzero(curve.recall >= GOAL)
    return [
        ("the highest F1", curve.best),
        ("the usual 0.5", curve.usual),
        (f"{percent(GOAL)} of the detections right", _point(curve, precise[-1:]) or none),
        (f"{percent(GOAL)} of the objects found", _point(curve, complete[:1]) or none),
    ]


def class_rows(report: Report) -> List[ClassRow]:
    """Classes with objects, those with most first."""
    result = report.result
    rows = [
        ClassRow(
            name,
            curve.num_objects,
            result.mask_ap_per_class.get(name, ABSENT),
            result.box_ap_per_class.get(name, ABSENT),
            curve.best,
            curve.usual,
        )
        for name, curve in report.points.per_class.items()
        if curve.num_objects
    ]
    return sorted(rows, key=lambda row: -row.objects)


def confused_pairs(report: Report, count: int = 12) -> List[Pair]:
    """At most `count` pairs of different classes, the most often confused first."""
    counts, names = report.confusion.counts, report.class_names
    off = counts[1:, 1:] * ~np.eye(len(names), dtype=bool)
    order = np.argsort(-off, axis=None, kind="stable")[:count]
    pairs = [divmod(int(i), len(names)) for i in order if off.flat[i]]
    return [
        Pair(names[row], names[column], int(off[row, column]), int(counts[row + 1].sum()))
        for row, column in pairs
    ]


def matrix_axes(report: Report) -> List[int]:
    """Rows and columns of the confusion matrix where anything is; background comes last."""
    counts = report.confusion.counts
    used = np.flatnonzero(counts.any(axis=0) | counts.any(axis=1))
    return [*(int(k) for k in used if k), 0]


def matrix_cells(report: Report, axes: Sequence[int]) -> Dict[Tuple[int, int], Cell]:
    """The entries that are not 0, by their places in `axes`."""
    counts = report.confusion.counts[np.ix_(axes, axes)]
    shares = report.confusion.normalised()[np.ix_(axes, axes)]
    return {
        (r, c): Cell(r, c, int(counts[r, c]), float(shares[r, c]))
        for r, c in np.argwhere(counts).tolist()
    }


def cost_rows(report: Report) -> List[Cost]:
    """TIDE's errors that can occur, the dearest first."""
    kinds = report.examined.kinds
    counts = report.costs[report.kind].counts
    rows = [
        Cost(
            kind,
            ERRORS[kind].title,
            ERRORS[kind].meaning,
            counts.get(kind, 0),
            tuple(report.costs[k].costs[kind] for k in kinds),
        )
        for kind in kinds_of_error(report)
    ]
    return sorted(rows, key=lambda row: -row.gains[0])


def count_rows(report: Report) -> List[Tuple[str, Tuple]]:
    """Classes that are annotated or found, with their `ClassCount`; those with most first."""
    rows = [(n, c) for n, c in report.counting.per_class.items() if c.annotated or c.found]
    return sorted(rows, key=lambda row: -row[1].annotated)


def kinds_of_error(report: Report) -> List[str]:
    """Verdicts on errors that can occur: with one class no object is taken for another."""
    of_class = (codes.CLASSIFICATION, codes.BOTH)
    return [kind for kind in ERRORS if len(report.class_names) > 1 or kind not in of_class]


def worst_rows(report: Report, indices: Sequence[int]) -> List[WorstRow]:
    """What is in each of these images."""
    rows = []
    for i in indices:
        verdict, image = report.verdicts[i], report.examined.images[i]
        both = [*verdict.found, *verdict.objects]
        counts = tuple(both.count(kind) for kind in kinds_of_error(report))
        rows.append(WorstRow(i, image.file_name, verdict.found.count(codes.RIGHT), counts))
    return rows


def changes(report: Report, count: int) -> List[ImageChange]:
    """The images in which two models differ most; none without a second one."""
    found = report.against.comparison.changes if report.against else []
    return [change for change in found[:count] if change.first != change.second]


def differences(report: Report) -> List[Tuple[str, Interval]]:
    """Classes with the difference in AP of two models, the largest gain first."""
    found = report.against.comparison.per_class if report.against else {}
    rows = [row for row in found.items() if row[1].known]
    return sorted(rows, key=lambda row: -row[1].value)


def _point(curve: Curve, indices):
    return curve.at(float(curve.scores[indices[0]])) if len(indices) else None
