"""What each detection and each object is: right, or which of TIDE's six errors.

Bolya et al. 2020, "TIDE: A General Toolbox for Identifying Object Detection Errors" (arXiv
2008.08115); where its text leaves a choice, the choice is that of its authors' tidecv 1.0.1.
"""

from typing import List, NamedTuple, Optional, Tuple

import numpy as np

from tfmaskrcnn.evaluation.analysis.coco_matching import NONE, Matches, match_all
from tfmaskrcnn.evaluation.analysis.examined import Examined, ExaminedImage

# Of detections.
RIGHT = "right"
CLASSIFICATION = "classification"  # covers an object of another class
LOCALISATION = "localisation"  # overlaps an object of its class, too little
BOTH = "both"  # overlaps an object of another class, too little
DUPLICATE = "duplicate"  # covers an object that a better one has found
BACKGROUND = "background"  # there is nothing
UNSURE = "unsure"  # below the threshold: not looked at
IGNORED = "ignored"  # in a crowd region of its class: neither right nor wrong

# Of objects.
FOUND = "found"
MISSED = "missed"
MISJUDGED = "misjudged"  # hit, but only by an error of class or localisation
CROWD = "crowd"  # a region, neither to be found nor to be missed

ERRORS = (CLASSIFICATION, LOCALISATION, BOTH, DUPLICATE, BACKGROUND)  # in TIDE's order


class ImageVerdicts(NamedTuple):
    """The verdicts of an image, in the rows of `ExaminedImage.found` and `.objects`."""

    found: List[str]  # D of the codes for detections
    # [D] int, the object that the verdict is about, NONE where there is none. Of an IGNORED one the
    # object that it would be, were its box or class mended.
    partner: np.ndarray
    objects: List[str]  # G of the codes for objects
    # [G] int, the detection that found the object, or the best one that misjudges it; else NONE.
    finder: np.ndarray


def judge(
    examined: Examined,
    kind: str,
    thresholds: Optional[np.ndarray] = None,
    iou: float = 0.5,
    background: float = 0.1,
) -> List[ImageVerdicts]:
    """The verdicts of each image.

    RIGHT and IGNORED are COCO's at `iou`. Of the rest, the first of these that fits: its best
    overlap with an object of its class is between `background` and `iou` (LOCALISATION), with one
    of another class at least `iou` (CLASSIFICATION), with one of its class, then a found one, at
    least `iou` (DUPLICATE), with any at most `background` (BACKGROUND); else BOTH.

    Args:
        examined: the images.
        kind: "mask" or "box": what overlaps are of.
        thresholds: [K] least score of each class; None takes all detections.
        iou: least IoU of a match.
        background: IoU up to which a detection has nothing to do with an object.
    """
    return judge_matches(examined, kind, match_all(examined, kind, [iou]), thresholds, background)


def judge_matches(
    examined: Examined,
    kind: str,
    matches: Matches,
    thresholds: Optional[np.ndarray] = None,
    background: float = 0.1,
) -> List[ImageVerdicts]:
    """`judge` on the `match_all` of all sizes that one has, at the first of its IoUs."""
    limits = (matches.thresholds[0], background)
    least = np.full(examined.num_classes, -np.inf) if thresholds is None else np.array(thresholds)
    starts = np.searchsorted(matches.images, np.arange(len(examined.images) + 1))
    verdicts = []
    for i, image in enumerate(examined.images):
        part = slice(*starts[i : i + 2])
        own = np.full(len(image.found.scores), NONE)
        ignored = np.zeros(len(own), bool)
        own[matches.rows[part]] = matches.objects[0, part]
        ignored[matches.rows[part]] = matches.ignored[0, part]
        sure = image.found.scores >= least[image.found.classes - 1]
        overlap = np.where(image.objects.crowd, 0.0, image.overlap(kind))
        own = np.where(sure & ~ignored, own, NONE)
        verdicts.append(_verdicts(image, overlap, own, (sure, ignored), limits))
    return verdicts


def _verdicts(image: ExaminedImage, overlap, own, flags, limits) -> ImageVerdicts:
    """Of an image's [D, G] overlaps, 0 for crowds; own: [D] the object that each is, or NONE."""
    (sure, ignored), (iou, background) = flags, limits
    right = own != NONE
    finder = np.full(overlap.shape[1], NONE)
    finder[own[right]] = np.flatnonzero(right)
    taken = np.append(finder != NONE, True)  # and what NONE is the index of

    same = image.found.classes[:, None] == image.objects.classes  # [D, G]
    of_class, here = _best(overlap * same)
    of_other, there = _best(overlap * ~same)
    of_any, near = _best(overlap)
    misplaced = (background <= of_class) & (of_class <= iou)
    confused = of_other >= iou
    about = np.select([misplaced, confused], [here, there], NONE)
    excused = np.where(taken[about], NONE, about)  # what an ignored one would be
    cases = (
        (UNSURE, ~sure, NONE),
        (RIGHT, right, own),
        (IGNORED, ignored, excused),
        (LOCALISATION, misplaced, here),
        (CLASSIFICATION, confused, there),
        (DUPLICATE, of_class >= iou, here),  # or it would be right
        (BACKGROUND, of_any <= background, NONE),
    )
    codes, tests, partners = zip(*cases)
    partner = np.select(tests, partners, near)
    found = [(*codes, BOTH)[case] for case in np.select(tests, range(len(codes)), len(codes))]

    objects = np.where(taken[:-1], FOUND, np.where(image.objects.crowd, CROWD, MISSED)).tolist()
    hits = np.flatnonzero(sure & ~right & ~taken[about])
    for row in hits[::-1]:  # the best one comes last, and stays
        objects[about[row]], finder[about[row]] = MISJUDGED, row
    return ImageVerdicts(found, partner, objects, finder)


def _best(overlap: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """[D] the largest overlap of each detection, and with which object, of equals the first."""
    if not overlap.shape[1]:
        return np.zeros(len(overlap)), np.full(len(overlap), NONE)
    columns = overlap.argmax(axis=1)
    return overlap[np.arange(len(overlap)), columns], columns
