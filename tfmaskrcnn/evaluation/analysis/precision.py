"""Average precision of stored matches, of all images or of any draw of them."""

from typing import Optional

import numpy as np

from tfmaskrcnn.evaluation.analysis.coco_matching import Matches

RECALLS = np.linspace(0.0, 1.0, 101)  # COCO's
ABSENT = -1.0  # COCO's mark of a number that has no ground truth to refer to
_CHUNK = 4_000_000  # detections times draws that are held at a time


def average_precision(matches: Matches, draws: Optional[np.ndarray] = None) -> np.ndarray:
    """AP of each draw, class and IoU threshold; ABSENT where the draw has no object of the class.

    Args:
        matches: of `match_all`.
        draws: [B, I] how often each image counts; None for each once.

    Returns:
        [B, K, T] float64. The mean over present classes and thresholds is COCO's AP.
    """
    num_classes, num_images = matches.counts.shape
    draws = np.ones((1, num_images), int) if draws is None else np.asarray(draws, int)
    ap = np.full((len(draws), num_classes, len(matches.thresholds)), ABSENT)
    for k in range(num_classes):
        members = np.flatnonzero(matches.classes == k + 1)
        members = members[np.argsort(-matches.scores[members], kind="stable")]
        step = max(1, _CHUNK // max(len(members), 1))
        for start in range(0, len(draws), step):
            part = slice(start, start + step)
            ap[part, k] = _of_class(matches, members, draws[part], matches.counts[k])
    return ap


def mean_present(ap: np.ndarray) -> np.ndarray:
    """[B] COCO's AP of `average_precision`'s [B, K, T]: the mean without ABSENT; else ABSENT."""
    present = ap > ABSENT
    total = np.where(present, ap, 0.0).sum(axis=(1, 2))
    count = present.sum(axis=(1, 2))
    return np.where(count > 0, total / np.maximum(count, 1), ABSENT)


def _of_class(matches: Matches, members, draws, counts) -> np.ndarray:
    """[B, T] of the detections `members`, best first."""
    wanted = draws @ counts  # [B] objects to be found
    weights = draws[:, matches.images[members]]  # [B, N]
    right, ignored = matches.right[:, members], matches.ignored[:, members]
    needed = _needed(wanted)
    ap = np.full((len(draws), len(matches.thresholds)), ABSENT)
    ranked, seen = None, None
    for t in range(len(matches.thresholds)):
        if ranked is None or not np.array_equal(ignored[t], ranked):
            ranked, seen = ignored[t], np.cumsum(weights * ~ignored[t], axis=1)
        places = np.flatnonzero(right[t])  # between them precision only falls
        hits = np.cumsum(weights[:, places], axis=1)
        precision = hits / np.maximum(seen[:, places], 1)
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        precision = np.concatenate([precision, np.zeros((len(draws), 1))], axis=1)
        reached = np.take_along_axis(precision, _first_places(hits, needed), axis=1)
        ap[:, t] = np.where(wanted > 0, reached.mean(axis=1), ABSENT)
    return ap


def _needed(wanted: np.ndarray) -> np.ndarray:
    """[B, 101] int: of [B] objects so many have to be found for each of `RECALLS`."""
    whole = np.maximum(wanted, 1)[:, None]
    needed = np.ceil(RECALLS * whole).astype(int)
    # COCOeval compares quotients, whose rounding decides about recalls such as 0.29 of 100.
    needed -= (needed - 1) / whole >= RECALLS
    return needed + (needed / whole < RECALLS)


def _first_places(hits: np.ndarray, needed: np.ndarray) -> np.ndarray:
    """[B, 101] first index at which [B, P] ascending `hits` reach `needed`; P where they do not."""
    draws, places = hits.shape
    room = max(int(needed.max(initial=0)), int(hits.max(initial=0))) + 1
    offsets = np.arange(draws)[:, None] * room  # one ascending row of all
    found = np.searchsorted((hits + offsets).ravel(), (needed + offsets).ravel(), side="left")
    return np.minimum(found.reshape(needed.shape) - np.arange(draws)[:, None] * places, places)
