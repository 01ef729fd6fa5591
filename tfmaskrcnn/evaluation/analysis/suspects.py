"""What to look at first: the worst images, the most certain mistakes, doubtful annotations."""

from typing import Dict, List, NamedTuple

import numpy as np

from tfmaskrcnn.evaluation.analysis.coco_matching import NONE
from tfmaskrcnn.evaluation.analysis.examined import Examined
from tfmaskrcnn.evaluation.analysis.verdicts import (
    BACKGROUND,
    BOTH,
    CLASSIFICATION,
    DUPLICATE,
    ERRORS,
    FOUND,
    LOCALISATION,
    MISSED,
    RIGHT,
    UNSURE,
    ImageVerdicts,
)

NOT_ANNOTATED, FOUND_BY_NOTHING, OTHER_CLASS = "not annotated", "found by nothing", "other class"
REACHED = 0.1  # IoU from which on a detection, however unsure, has seen an object
COVERED = 0.5  # IoU from which on it is about that object
SAME_OUTLINE = 0.75  # IoU from which on a detection can only mean that object
# A class with fewer right detections takes the certainty of all classes together.
ENOUGH_RIGHT = 5
_REASONS = {
    CLASSIFICATION: "annotated as {name}",
    LOCALISATION: "fits its object badly",
    BOTH: "fits badly what is annotated as {name}",
    DUPLICATE: "found already with {better:.2f}",
    BACKGROUND: "no annotation fits it",
}


class Suspect(NamedTuple):
    """A detection or an object to look at, and why."""

    image: int  # index into `Examined.images`
    row: int  # of the image's `found`; NONE if it is about an object alone
    object: int  # of the image's `objects`; NONE if it is about a detection alone
    score: float  # of the detection; of an object alone the share of the image that it covers
    kind: str  # its verdict
    text: str  # one line for a person


def worst_images(examined: Examined, verdicts: List[ImageVerdicts], count: int) -> List[int]:
    """Indices of at most `count` images, most harm first; images without a mistake left out.

    The harm is e / sqrt(e + r) of e mistakes (wrong detections and missed objects) and r right
    detections: e alone would show the most crowded images, the share e / (e + r) those with one
    object. Of equals, the image whose certain mistakes are more certain comes first.
    """
    harm = np.zeros(len(verdicts))
    worst = np.zeros(len(verdicts))  # the highest score of a mistake
    for i, verdict in enumerate(verdicts):
        wrong = np.isin(verdict.found, ERRORS)
        mistakes = wrong.sum() + verdict.objects.count(MISSED)
        harm[i] = mistakes / np.sqrt(max(mistakes + verdict.found.count(RIGHT), 1))
        worst[i] = examined.images[i].found.scores[wrong].max(initial=0.0)
    order = np.lexsort([-worst, -harm])
    return [int(i) for i in order[:count] if harm[i] > 0]


def certain_mistakes(
    examined: Examined, verdicts: List[ImageVerdicts], count: int
) -> Dict[str, List[Suspect]]:
    """At most `count` of each of the five errors and of the missed objects, by verdict.

    Detections of the highest score first; missed objects that cover the most of their image first.
    A quarter of a list is from one image at most, as long as others have any.
    """
    lists: Dict[str, List[Suspect]] = {name: [] for name in (*ERRORS, MISSED)}
    for i, verdict in enumerate(verdicts):
        for row in np.flatnonzero(np.isin(verdict.found, ERRORS)):
            suspect = _detection(examined, verdict, i, int(row))
            lists[suspect.kind].append(suspect)
        for column in np.flatnonzero(np.array(verdict.objects) == MISSED):
            lists[MISSED].append(_object(examined, verdict, i, int(column)))
    return {name: _spread(suspects, count) for name, suspects in lists.items()}


def label_errors(
    examined: Examined, verdicts: List[ImageVerdicts], count: int
) -> Dict[str, List[Suspect]]:
    """At most `count` each of three kinds of annotations that may be wrong, ordered as mistakes.

    A detection counts as certain if its score is no lower than that of half the right detections
    of its class, so that it does not matter how high a model's scores are.

    - "not annotated": certain detections where nothing is annotated, no crowd region either.
    - "found by nothing": objects of which no detection of any score and class has an IoU of
      `REACHED`; not where the class has as many detections in the image as count at all.
    - "other class": certain detections of an IoU of at least `SAME_OUTLINE` with an object of
      another class that is not found.
    """
    lists: Dict[str, List[Suspect]] = {
        name: [] for name in (NOT_ANNOTATED, FOUND_BY_NOTHING, OTHER_CLASS)
    }
    certain = _certain_scores(examined, verdicts)
    for i, (image, verdict) in enumerate(zip(examined.images, verdicts)):
        overlap = image.overlap(examined.kind)
        sure = image.found.scores >= certain[image.found.classes]
        crowded = (overlap[:, image.objects.crowd] >= COVERED).any(axis=1)
        for row in np.flatnonzero(sure & ~crowded & (np.array(verdict.found) == BACKGROUND)):
            lists[NOT_ANNOTATED].append(_detection(examined, verdict, i, int(row)))
        for row in np.flatnonzero(sure & (np.array(verdict.found) == CLASSIFICATION)):
            column = verdict.partner[row]
            if overlap[row, column] >= SAME_OUTLINE and verdict.objects[column] != FOUND:
                lists[OTHER_CLASS].append(_detection(examined, verdict, i, int(row)))
        many = np.bincount(image.found.classes, minlength=len(certain)) >= examined.max_detections
        unseen = overlap.max(axis=0, initial=0.0) < REACHED
        unseen &= ~image.objects.crowd & ~many[image.objects.classes]
        for column in np.flatnonzero(unseen):
            lists[FOUND_BY_NOTHING].append(_object(examined, verdict, i, int(column)))
    return {name: _spread(suspects, count) for name, suspects in lists.items()}


def _certain_scores(examined: Examined, verdicts: List[ImageVerdicts]) -> np.ndarray:
    """[K + 1] float64 the median score of each class's right detections; infinite without any."""
    right = [np.array(verdict.found) == RIGHT for verdict in verdicts]
    found = [image.found for image in examined.images]
    none = [np.zeros(0)]
    scores = np.concatenate(none + [f.scores[r] for f, r in zip(found, right)])
    classes = np.concatenate(none + [f.classes[r] for f, r in zip(found, right)])
    overall = np.median(scores) if len(scores) else np.inf
    certain = np.full(examined.num_classes + 1, overall)
    for k in range(1, len(certain)):
        if (classes == k).sum() >= ENOUGH_RIGHT:
            certain[k] = np.median(scores[classes == k])
    return certain


def _spread(suspects: List[Suspect], count: int) -> List[Suspect]:
    """The `count` of the highest score, a quarter from one image at most if there are others."""
    suspects = sorted(suspects, key=lambda suspect: -suspect.score)
    most = -(-count // 4)
    seen: Dict[int, int] = {}
    first, later = [], []
    for suspect in suspects:
        seen[suspect.image] = seen.get(suspect.image, 0) + 1
        (first if seen[suspect.image] <= most else later).append(suspect)
    chosen = first[:count] + later[: max(count - len(first), 0)]
    return sorted(chosen, key=lambda suspect: -suspect.score)


def _detection(examined: Examined, verdict: ImageVerdicts, i: int, row: int) -> Suspect:
    image, kind, column = examined.images[i], verdict.found[row], int(verdict.partner[row])
    score = float(image.found.scores[row])
    reason, fit = _REASONS[kind], ""
    if column != NONE:
        fit = f" (IoU {image.overlap(examined.kind)[row, column]:.2f})"
        reason = reason.format(
            name=_name(examined, image.objects.classes[column]),
            better=image.found.scores[verdict.finder[column]],  # read for duplicates alone
        )
    text = f"{_name(examined, image.found.classes[row])} {score:.2f}, {reason}{fit}"
    return Suspect(i, row, column, score, kind, text)


def _object(examined: Examined, verdict: ImageVerdicts, i: int, column: int) -> Suspect:
    image = examined.images[i]
    area = float(image.objects.areas[column])
    share = area / max(image.size[0] * image.size[1], 1)
    text = f"{_name(examined, image.objects.classes[column])} of {area:.0f} px, not found"
    overlap = image.overlap(examined.kind)[:, column]
    rows = np.flatnonzero((np.array(verdict.found) == UNSURE) & (overlap >= COVERED))
    if len(rows):  # the best of them comes first
        name = _name(examined, image.found.classes[rows[0]])
        text += f"; {name} {image.found.scores[rows[0]]:.2f} is below the threshold"
    return Suspect(i, NONE, column, share, verdict.objects[column], text)


def _name(examined: Examined, k: int) -> str:
    return examined.class_names[k - 1]
