"""How sure an AP is: bootstrap over images, on matches that are stored."""

from typing import NamedTuple, Sequence

import numpy as np

from tfmaskrcnn.evaluation.analysis.matching import Matches
from tfmaskrcnn.evaluation.analysis.precision import ABSENT, average_precision, mean_present

DRAWS = 1000
LEVEL = 0.95


class Interval(NamedTuple):
    """A number of the images at hand, and between what it would lie on other images like them."""

    value: float
    low: float
    high: float


def draw_images(num_images: int, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """[draws, num_images] int: how often each image is drawn, of as many with replacement."""
    random = np.random.default_rng(seed)
    shares = np.full(num_images, 1 / max(num_images, 1))
    return random.multinomial(num_images, shares, size=draws)


def interval(value: float, drawn: np.ndarray, level: float = LEVEL) -> Interval:
    """The percentile interval of `drawn` (ABSENT ones left out) around `value`."""
    present = drawn[drawn > ABSENT]
    if not len(present) or value == ABSENT:
        return Interval(value, ABSENT, ABSENT)
    tail = (1 - level) / 2
    low, high = np.quantile(present, [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def ap_interval(matches: Matches, draws: np.ndarray) -> Interval:
    """COCO's AP with its interval."""
    value = mean_present(average_precision(matches))[0]
    return interval(float(value), mean_present(average_precision(matches, draws)))


class Comparison(NamedTuple):
    """AP of one model less that of another on the same images."""

    difference: Interval  # of AP over all classes
    per_class: Sequence[Interval]  # K; ABSENT (-1 to -1) where no object is
    verdict: str  # "yes", "no", "not enough images": is the first one better?
