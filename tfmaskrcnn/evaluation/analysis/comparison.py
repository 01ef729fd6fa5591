"""Is one model better than another? A paired bootstrap over the images that both were shown."""

import math
from typing import Dict, List, NamedTuple, Sequence

import numpy as np

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.evaluation.analysis.bootstrap import (
    NO_INTERVAL,
    Interval,
    ap_statistic,
    intervals,
)
from tfmaskrcnn.evaluation.analysis.coco_matching import match_all
from tfmaskrcnn.evaluation.analysis.examined import Examined
from tfmaskrcnn.evaluation.analysis.precision import ABSENT

YES, NO, OPEN = "yes", "no", "not enough images"


class ImageChange(NamedTuple):
    """How well an image was done: mean F1 over IoU 0.50 to 0.95, of each model's own thresholds."""

    image: int  # index into `Examined.images`
    first: float
    second: float


class Comparison(NamedTuple):
    """AP of a first model less that of a second, on the same images."""

    kind: str  # "mask" or "box"
    first: float  # AP
    second: float
    difference: Interval
    per_class: Dict[str, Interval]  # NO_INTERVAL where there is no object
    verdict: str  # is the first better? YES, NO (the second is), OPEN
    images_needed: int  # about so many would tell, if the difference stays; 0 where it is told
    changes: List[ImageChange]  # all images, those that differ most first


def compare(
    first: Examined,
    second: Examined,
    first_thresholds: Sequence[float],
    second_thresholds: Sequence[float],
) -> Comparison:
    """The comparison by masks if both have them, else by boxes.

    Args:
        first: the model that may be better.
        second: what it is measured against, on the same images and categories.
        first_thresholds: [K] scores from which on its detections count in single images.
        second_thresholds: [K] likewise.

    Raises:
        InputError: images or categories differ.
    """
    _check_same(first, second)
    kind = first.kind if first.has_masks and second.has_masks else "box"
    matches = [match_all(e, kind) for e in (first, second)]
    aps = [ap_statistic(m) for m in matches]
    num_images = len(first.images)
    ap = [float(np.nan_to_num(s(np.ones((1, num_images), int))[0, 0], nan=ABSENT)) for s in aps]
    difference, *each = [NO_INTERVAL] * (1 + first.num_classes)
    if num_images:
        difference, *each = intervals(lambda d: aps[0](d) - aps[1](d), num_images, -1.0, 1.0)
    per_class = dict(zip(first.class_names, each))
    scores = [
        image_scores(e, m, t)
        for e, m, t in zip((first, second), matches, (first_thresholds, second_thresholds))
    ]
    order = np.argsort(-np.abs(scores[0] - scores[1]), kind="stable")
    changes = [ImageChange(int(i), float(scores[0][i]), float(scores[1][i])) for i in order]
    verdict = _verdict(difference) if difference.known else OPEN
    needed = _images_needed(difference, num_images) if verdict == OPEN and difference.known else 0
    return Comparison(kind, *ap, difference, per_class, verdict, needed, changes)


def image_scores(examined: Examined, matches, thresholds: Sequence[float]) -> np.ndarray:
    """[I] mean over IoU thresholds of each image's F1; 1 where nothing is and nothing was found.

    Args:
        examined: the images.
        matches: of `match_all`.
        thresholds: [K] scores from which on detections count.
    """
    kept = matches.scores >= np.asarray(thresholds)[matches.classes - 1]
    num_images = len(examined.images)
    right, wrong = (
        np.stack([np.bincount(matches.images[line], minlength=num_images) for line in lines & kept])
        for lines in (matches.right, matches.wrong)
    )  # [T, I] each
    total = right + wrong + matches.counts.sum(axis=0)
    return np.where(total > 0, 2 * right / np.maximum(total, 1), 1.0).mean(axis=0)


def _verdict(difference: Interval) -> str:
    return YES if difference.low > 0 else NO if difference.high < 0 else OPEN


def _images_needed(difference: Interval, num_images: int) -> int:
    """The width of an interval falls with the root of the number of images."""
    half, distance = (difference.high - difference.low) / 2, abs(difference.value)
    if not distance:
        return 0
    return max(num_images + 1, math.ceil(num_images * (half / distance) ** 2))


def check_same_classes(first: Sequence[str], second: Sequence[str]) -> None:
    """Refuse to compare models that were judged on other categories; raises `InputError`."""
    if tuple(first) != tuple(second):
        more = [n for n in first if n not in second] + [n for n in second if n not in first]
        raise InputError(
            f"Only one of the two models knows {', '.join(more[:10])}; compare what both know with "
            "--classes."
        )


def _check_same(first: Examined, second: Examined) -> None:
    if [i.image_id for i in first.images] != [i.image_id for i in second.images]:
        raise InputError("The two models were not shown the same images.")
    check_same_classes(first.class_names, second.class_names)
