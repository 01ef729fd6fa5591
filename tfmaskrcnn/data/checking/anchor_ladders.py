"""Anchors that fit the objects of a data set: of ladders of sizes the best one, and ratios."""

from typing import NamedTuple, Tuple

import numpy as np

from tfmaskrcnn.config.model import AnchorConfig, RpnConfig
from tfmaskrcnn.data.checking.coverage import Resized, best_iou

# Ladders of anchor sizes that are tried: each level's is so many times the one below.
_STEPS = (1.25, 1.4, 1.6, 1.8, 2.0, 2.25, 2.5)
_NUM_BASES = 25
_SAMPLE = 1500  # objects that a ladder is tried on ...
_JITTER = (0.8, 1.0, 1.25)  # ... at these sizes: augmentation and other images will differ
WORTH = 0.02  # a gain of `Fit.score` below this is no reason to change anchors
_FAR_WEIGHT = 2.0

Sizes = Tuple[Tuple[float, ...], ...]  # of anchors, p2 to p6


class Fit(NamedTuple):
    """How well anchors fit objects."""

    near: float  # share of the objects that an anchor covers
    # That, plus the mean of the best IoUs, minus _FAR_WEIGHT times the share of far objects: those
    # in between are still learned from their best anchor, far ones hardly are.
    score: float


def fit(sample: Resized, anchors: AnchorConfig, rpn: RpnConfig) -> Fit:
    """How well `anchors` fit the objects of `sample`."""
    iou = best_iou(sample, anchors)[0]
    near, far = float(np.mean(iou >= rpn.positive_iou)), float(np.mean(iou < rpn.negative_iou))
    return Fit(near, near + float(np.mean(iou)) - _FAR_WEIGHT * far)


def sample_of(objects: Resized) -> Resized:
    """A part of the objects, each at several sizes."""
    count = len(objects.boxes)
    index = np.linspace(0, count - 1, min(count, _SAMPLE)).astype(int)
    boxes, padded = objects.boxes[index], objects.padded[index]
    center, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    grown = [np.concatenate([center - f * half, center + f * half], axis=1) for f in _JITTER]
    return Resized(np.concatenate(grown), np.concatenate([padded] * len(_JITTER)))


def best_sizes(sample: Resized, anchors: AnchorConfig, rpn: RpnConfig) -> Sizes:
    """Five lists of sizes: of all ladders that cover no fewer objects, the one that fits best."""
    each, now = len(anchors.sizes[0]), fit(sample, anchors, rpn)
    low, high = np.quantile(sample.scales, [0.02, 0.7])
    best = (now.score, anchors.sizes)
    for base in np.geomspace(max(low, 4.0), max(high, 8.0), _NUM_BASES):
        for step in _STEPS:
            sizes = tuple(
                tuple(_rounded(base * step ** (level + k / each)) for k in range(each))
                for level in range(5)
            )
            found = fit(sample, anchors.model_copy(update={"sizes": sizes}), rpn)
            if found.near >= now.near:
                best = max(best, (found.score, sizes))
    return best[1]


def quantile_ratios(objects: Resized, count: int) -> Tuple[float, ...]:
    """`count` ratios (height / width) from the thinnest to the tallest tenth of the objects."""
    sides = np.maximum(objects.sides, 1e-3)
    shares = np.linspace(0.1, 0.9, count) if count > 1 else [0.5]
    ratios = np.quantile(sides[:, 0] / sides[:, 1], shares)
    return tuple(float(f"{r:.2g}") for r in ratios)


def _rounded(size: float) -> float:
    return round(size) if size >= 16 else round(size * 2) / 2
