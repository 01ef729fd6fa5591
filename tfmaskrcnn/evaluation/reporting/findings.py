"""What each section of the report found, in one sentence or two with its numbers."""

from typing import Mapping, NamedTuple, Sequence

import numpy as np

from tfmaskrcnn.evaluation.analysis import verdicts as codes
from tfmaskrcnn.evaluation.analysis.precision import ABSENT
from tfmaskrcnn.evaluation.reporting.report import Report
from tfmaskrcnn.evaluation.reporting.words import (
    ERRORS,
    PLURAL,
    at_iou,
    between,
    many,
    number,
    percent,
)

ENOUGH = 0.005  # differences of shares below it are none
CLEAR = 2.0  # standard errors from which on a difference is no chance
FEW = 10  # objects: below, a condition says little


class Tally(NamedTuple):
    """What the verdicts at the thresholds add up to."""

    objects: int  # annotated, crowd regions left out
    found: int
    missed: int
    misjudged: int  # objects found only badly or as another class
    detections: int  # at the thresholds, without those in crowd regions
    wrong: int  # of these


def tally(verdicts: Sequence[codes.ImageVerdicts]) -> Tally:
    """The sums over images."""
    objects = [code for v in verdicts for code in v.objects]
    found = [code for v in verdicts for code in v.found]
    parts = [objects.count(c) for c in (codes.FOUND, codes.MISSED, codes.MISJUDGED)]
    wrong = sum(found.count(c) for c in codes.ERRORS)
    return Tally(sum(parts), *parts, found.count(codes.RIGHT) + wrong, wrong)


def headline(report: Report) -> str:
    """What the model is worth."""
    sums, interval = tally(report.verdicts), report.intervals[report.kind]
    if not report.examined.images:
        return "No image was looked at, so there is nothing to say."
    if not sums.objects:
        found = many(sums.detections, "detection")
        return f"Nothing is annotated in these images, so no AP exists ({found})."
    text = f"The AP of {PLURAL[report.kind]} is {number(interval.value)}"
    if interval.known:
        text += f" ({between(interval)} with 95 % confidence on other images like these)"
    text += f". Of {many(sums.objects, 'object')} {_found(sums)}"
    if not sums.detections:
        return f"{text}; there is no detection."
    wrong = {0: "none is", 1: "1 is"}.get(sums.wrong, f"{sums.wrong:,} are")
    return f"{text}; of {many(sums.detections, 'detection')} {wrong} wrong."


def threshold(report: Report) -> str:
    """Which score to take."""
    points = report.points
    curve, several = points.overall, len(report.class_names) > 1
    if not curve.num_objects:
        return "Nothing is annotated, so no score can be called the best."
    if curve.best.f1 <= 0:
        return f"No detection finds an object at IoU {points.iou:g}, so no threshold helps."
    best, usual = curve.best, curve.usual
    text = (
        f"Take detections with a score of {number(best.score, 2)} or more: "
        f"{percent(best.precision)} of them are right and {percent(best.recall)} of the objects "
        f"are found (F1 {number(best.f1)})."
    )
    if best.f1 - usual.f1 < ENOUGH:
        text += f" The usual 0.5 does as well ({number(usual.f1)})."
    else:
        text += f" At the usual 0.5 F1 would be {number(usual.f1)}."
    if several:
        scores = [c.best.score for c in points.per_class.values() if c.num_objects]
        text += (
            " That is one score for all classes; each has a best one of its own below, "
            f"{number(min(scores), 2)} to {number(max(scores), 2)}."
        )
    return text


def reliability(report: Report) -> str:
    """Whether scores are probabilities."""
    found = report.reliability
    if found.ece == ABSENT:
        return "Nothing was found, so there are no scores to judge."
    total = found.counts.sum()
    score = np.nansum(found.mean_scores * found.counts) / total
    right = np.nansum(found.shares_right * found.counts) / total
    if found.ece < 0.05:
        return f"Scores mean what they say: they are off by {number(found.ece, 2)} on average."
    drift = "promise too much" if score > right else "promise too little"
    if abs(score - right) < found.ece / 2:
        drift = "are off in both directions"
    return (
        f"Do not read scores as probabilities: they {drift}, by {number(found.ece, 2)} on average "
        f"(mean score {number(score, 2)}, {percent(right)} are right)."
    )


def confusion(report: Report, pairs: Sequence) -> str:
    """Which classes are taken for which; `pairs` as of `views.confused_pairs`."""
    counts = report.confusion.counts
    objects, nothing = int(counts[1:].sum()), int(counts[0].sum())
    if not objects:
        return f"Nothing is annotated; {many(nothing, 'detection')} found something all the same."
    hits = int(counts[1:, 1:].sum())
    if not hits and not nothing:
        return f"None of {many(objects, 'object')} is found, as whatever class."
    text = (
        f"Of {many(objects, 'object')} {hits:,} are found as something and {objects - hits:,} are "
        f"not; {many(nothing, 'detection')} {'is' if nothing == 1 else 'are'} of nothing annotated."
    )
    if len(report.class_names) == 1:
        return text
    swapped = hits - int(np.trace(counts[1:, 1:]))
    if not swapped:
        return f"{text} None is taken for another class."
    top = pairs[0]
    return (
        f"{text} {swapped:,} of those found ({percent(swapped, hits)}) are taken for another "
        f"class, most often {top.annotated} for {top.found} ({top.count:,} of {top.objects:,})."
    )


def costs(report: Report) -> str:
    """Which kind of error to mend first."""
    found = report.costs[report.kind]
    if found.ap == ABSENT:
        return "Nothing is annotated, so no error has a price."
    name = max(found.costs, key=found.costs.get)
    gain, ap = found.costs[name], f"{report.kind} {at_iou(report.points.iou)}"
    if gain < 0.0005:
        return f"No kind of error costs anything by itself: {ap} is {number(found.ap)}."
    return (
        f"Most is lost by {ERRORS[name].mended}: without them {ap} would be "
        f"{number(found.ap + gain)} instead of {number(found.ap)}."
    )


def failing(report: Report) -> str:
    """Under which condition most objects are lost."""
    sums = tally(report.verdicts)
    rows = [row for table in report.conditions for row in table.rows]
    rows = [row for row in rows if row.recall != ABSENT and row.num_objects >= FEW]
    if not sums.objects or not rows:
        return f"There are too few objects ({sums.objects}) to compare conditions."
    overall = sums.found / sums.objects

    def surprise(row) -> float:  # standard errors below the share of all
        error = np.sqrt(max(overall * (1 - overall), 1e-9) / row.num_objects)
        return (overall - row.recall) / error

    row = max(rows, key=surprise)
    everywhere = f"{percent(overall)} of all {sums.objects:,}"
    if surprise(row) < CLEAR:
        return f"It fails nowhere in particular: {everywhere} objects are found."
    return (
        f"The share found is clearly lower for \u201c{row.name}\u201d: {percent(row.recall)} of "
        f"{many(row.num_objects, 'object')}, against {everywhere}."
    )


def outlines(report: Report) -> str:
    """Whether masks are coarse, or boxes wrong."""
    found, result = report.outlines, report.result
    if not len(found.ious):
        return "No object is found, so there are no outlines to judge."
    text = (
        f"Objects that are found have a mean IoU of {number(found.mean_iou, 2)}, their outlines a "
        f"boundary IoU of {number(found.mean_boundary_iou, 2)}. "
    )
    masks, boxes = result.masks["AP"], result.boxes["AP"]
    aps = f"(mask AP {number(masks)}, box AP {number(boxes)})"
    if masks == ABSENT or boxes == ABSENT:
        return text
    if boxes - masks > 0.03:
        return f"{text}The masks are coarse: they are worse than the boxes that they lie in {aps}."
    if masks - boxes > 0.03:
        return f"{text}The boxes are the weaker part: masks are better than they {aps}."
    if found.mask_ap - found.boundary_ap > 0.1:
        return (
            f"{text}Boxes and masks are alike {aps}, but outlines are not exact: the AP falls to "
            f"{number(found.boundary_ap)} if they count."
        )
    return f"{text}Masks are as good as boxes {aps}."


def counting(report: Report) -> str:
    """Whether the model can be used to count."""
    found = report.counting
    images, objects = len(found.annotated), int(np.sum(found.annotated))
    if not images:
        return "No image was looked at."
    if not np.any(np.asarray(found.annotated) != found.found):
        return f"The count is right in {'the image' if images == 1 else f'all {images:,} images'}."
    text = f"The count of an image is off by {number(found.mean_absolute_error, 1)} on average"
    text += f" ({percent(found.relative_error)} of the objects)" if objects else ""
    text += f"; it is exact in {percent(found.exact)} of the images. "
    if abs(found.mean_error) < found.mean_absolute_error / 4:
        return text + "It errs both ways alike."
    way = "many" if found.mean_error > 0 else "few"
    return f"{text}It counts too {way}: {found.mean_error:+.1f} on average."


def panoptic(report: Report) -> str:
    """Whether outlines or finding is the weaker."""
    found = report.panoptic
    if found.pq == ABSENT:
        return "Nothing is annotated or found, so there is no panoptic quality."
    weaker = "finding objects" if found.rq < found.sq else "their outlines"
    return (
        f"The panoptic quality is {number(found.pq, 2)}: {number(found.sq, 2)} for outlines times "
        f"{number(found.rq, 2)} for finding; the weaker part is {weaker}."
    )


def worst(report: Report, rows: Sequence) -> str:
    """How errors are spread over images; `rows` as of `views.worst_rows`."""
    sums = tally(report.verdicts)
    total = sums.wrong + sums.missed
    own = sum(row.errors for row in rows)
    if not total:
        return "No image has an error."
    shown = "this image" if len(rows) == 1 else f"these {len(rows)} images"
    return (
        f"{percent(own, total)} of all {total:,} errors are in {shown} of {len(report.verdicts):,}."
    )


def mistakes(found: Mapping[str, Sequence]) -> str:
    """What the crops show; of `suspects.certain_mistakes`."""
    kind, first = max(
        ((kind, s[0]) for kind, s in found.items() if kind != codes.MISSED),
        key=lambda pair: pair[1].score,
        default=(codes.MISSED, None),
    )
    if first is None:
        return "All detections are right; these objects are missed, the largest first."
    return (
        f"The most certain mistake has a score of {number(first.score, 2)} "
        f"({ERRORS[kind].title.lower()}: {first.text})."
    )


def doubts(found: Mapping[str, Sequence]) -> str:
    """Whether annotations may be wrong; of `suspects.label_errors`."""
    count = sum(map(len, found.values()))
    them = "this place" if count == 1 else f"these {count} places"
    return (
        f"Look at {them}: the annotation may be wrong rather than the model, and then the numbers "
        "above are too low."
    )


def _found(sums: Tally) -> str:
    if not sums.found and not sums.misjudged:
        return "none is found"
    text = f"{sums.found:,} ({percent(sums.found, sums.objects)}) are found"
    text += f", {sums.missed:,} missed" if sums.missed else ", none is missed"
    return text + (f" and {sums.misjudged:,} hit badly" if sums.misjudged else "")
