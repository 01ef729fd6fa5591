"""Which detection is which object: COCO's greedy matching, for any IoU and any range of sizes."""

from typing import Callable, NamedTuple, Sequence, Tuple

import numpy as np

from tfmaskrcnn.evaluation.analysis.examined import Examined, ExaminedImage

COCO_THRESHOLDS = np.linspace(0.5, 0.95, 10)  # IoU, as COCOeval.Params makes them
ALL_AREAS = (0.0, 1e10)  # pixels, as in COCOeval
NONE = -1  # a detection that is no object

Overlap = Callable[[ExaminedImage], np.ndarray]  # [D, G] IoU of an image


class Matches(NamedTuple):
    """The N detections of all images, each with the object it is, at T IoU thresholds."""

    thresholds: np.ndarray  # [T] float64
    images: np.ndarray  # [N] int, index into `Examined.images`
    rows: np.ndarray  # [N] int, index into `ExaminedImage.found`
    classes: np.ndarray  # [N] int, 1..K
    scores: np.ndarray  # [N] float64
    objects: np.ndarray  # [T, N] int, index into `ExaminedImage.objects`, NONE where there is none
    ignored: np.ndarray  # [T, N] bool: neither right nor wrong (in a crowd, of another size)
    counts: np.ndarray  # [K, I] int: objects to be found, of each class in each image

    @property
    def right(self) -> np.ndarray:
        """[T, N] bool: found an object that counts."""
        return (self.objects != NONE) & ~self.ignored

    @property
    def wrong(self) -> np.ndarray:
        """[T, N] bool: found nothing, though it should have."""
        return (self.objects == NONE) & ~self.ignored


def match_all(
    examined: Examined,
    kind: str,
    thresholds: Sequence[float] = COCO_THRESHOLDS,
    area: Tuple[float, float] = ALL_AREAS,
    overlap: Callable[[ExaminedImage], np.ndarray] = None,
) -> Matches:
    """COCO's matches of all images, each class by itself; equal to COCOeval's.

    Args:
        examined: the images.
        kind: "mask" or "box": what overlaps and areas are of.
        thresholds: T least IoUs of a match.
        area: objects of other areas (pixels, inclusive) do not count, nor do detections of other
            areas that match none.
        overlap: gives an image's [D, G] overlaps; None takes the IoU of `kind`.
    """
    thresholds = np.asarray(thresholds, np.float64)
    overlap = overlap or (lambda image: image.overlap(kind))
    counts = np.zeros((examined.num_classes, len(examined.images)), int)
    parts = []
    for i, image in enumerate(examined.images):
        objects, found = image.objects, image.found
        ignore = objects.crowd | (objects.areas < area[0]) | (objects.areas > area[1])
        areas = image.found_areas(kind)
        outside = (areas < area[0]) | (areas > area[1])  # [D]
        counts[:, i] = np.bincount(objects.classes[~ignore], minlength=len(counts) + 1)[1:]
        iou = overlap(image)
        for k in np.unique(found.classes):
            rows, columns = np.flatnonzero(found.classes == k), np.flatnonzero(objects.classes == k)
            part = iou[np.ix_(rows, columns)]
            own = match(part, objects.crowd[columns], ignore[columns], thresholds)  # [T, D]
            known = own != NONE
            matched = np.where(known, columns[own] if len(columns) else NONE, NONE)
            ignored = np.where(known, ignore[matched] if len(columns) else False, outside[rows])
            parts.append((np.full(len(rows), i), rows, found.classes[rows], matched, ignored))
    return _joined(examined, thresholds, parts, counts)


def match(iou, crowd, ignored, thresholds) -> np.ndarray:
    """[T, D] which object each detection is, NONE where none: the greedy rule of COCOeval.

    Each takes the object of the highest IoU that no better one has taken; one to be ignored only
    where no other will do. A crowd region can be taken any number of times.

    Args:
        iou: [D, G] of detections, best first.
        crowd: [G] bool.
        ignored: [G] bool, crowds among them.
        thresholds: [T] least IoUs.
    """
    matched = np.full((len(thresholds), len(iou)), NONE)
    if not iou.size:
        return matched
    least = np.minimum(thresholds, 1 - 1e-10)[:, None]  # [T, 1]
    free = np.ones((len(thresholds), iou.shape[1]), bool)
    lines = np.arange(len(thresholds))
    rank = iou + 2.0 * ~ignored  # those that count come first, whatever their IoU
    reachable = np.flatnonzero(iou.max(axis=1) >= least.min())
    for d in reachable:
        candidate = np.where(free & (iou[d] >= least), rank[d], -1.0)  # [T, G]
        # Of equals the last, as COCOeval.
        best = candidate.shape[1] - 1 - np.argmax(candidate[:, ::-1], axis=1)
        ok = candidate[lines, best] >= 0
        matched[ok, d] = best[ok]
        taken = ok & ~crowd[best]
        free[lines[taken], best[taken]] = False
    return matched


def _joined(examined: Examined, thresholds, parts, counts) -> Matches:
    if not parts:
        none, flat = np.zeros(0, int), np.zeros((len(thresholds), 0))
        scores = np.zeros(0)
        objects, ignored = flat.astype(int), flat.astype(bool)
        return Matches(thresholds, none, none, none, scores, objects, ignored, counts)
    images, rows, classes, objects, ignored = (
        np.concatenate(column, axis=-1) for column in zip(*parts)
    )
    scores = np.concatenate([examined.images[p[0][0]].found.scores[p[1]] for p in parts])
    return Matches(thresholds, images, rows, classes, scores, objects, ignored, counts)
