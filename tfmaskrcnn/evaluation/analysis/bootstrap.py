"""How sure a number is: bootstrap over images, on matches that are stored."""

import math
from statistics import NormalDist
from typing import Callable, List, NamedTuple, Optional

import numpy as np

from tfmaskrcnn.evaluation.analysis.coco_matching import Matches
from tfmaskrcnn.evaluation.analysis.precision import ABSENT, average_precision, mean_present

DRAWS = 1000
HALVES = 200
LEVEL = 0.95

# [B, I] how often each image counts -> [B, M] numbers, NaN where the draw has none.
Statistic = Callable[[np.ndarray], np.ndarray]


class Interval(NamedTuple):
    """A number of the images at hand, and where it would lie on many more images like them."""

    value: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether there was any object to have a number of."""
        return not math.isnan(self.value)


NO_INTERVAL = Interval(math.nan, math.nan, math.nan)


def draw_images(num_images: int, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """[draws, num_images] int: how often each image is drawn, of as many with replacement."""
    random = np.random.default_rng(seed)
    shares = np.full(num_images, 1 / max(num_images, 1))
    return random.multinomial(num_images, shares, size=draws)


def draw_halves(num_images: int, draws: int = HALVES, seed: int = 0) -> np.ndarray:
    """[draws, num_images] int: 1 for half of the images, without replacement."""
    random = np.random.default_rng(seed)
    ranks = random.random((draws, num_images)).argsort(axis=1)
    return (ranks < num_images // 2).astype(int)


def intervals(
    statistic: Statistic, num_images: int, least: float = 0.0, most: float = 1.0
) -> List[Interval]:
    """M numbers and their 95 % intervals.

    The width is twice the wider side of the bootstrap's, with Student's correction for few images.
    Its place heeds that COCO's AP is too high on few images, because precision is made to fall:
    what halves of the images have more than all of them tells how much. That the excess falls with
    the root of their number was seen on drawn sets (tests/helpers/populations.py), where the plain
    percentile interval held the truth 89 to 96 times of 100, this one 91 to 99.

    Args:
        statistic: the numbers of any draw of the images.
        num_images: I.
        least: of the values that the numbers can have.
        most: likewise.
    """
    values = statistic(np.ones((1, num_images), int))[0]  # [M]
    if num_images < 2:  # one image says nothing of others
        return [_absent(v) or Interval(float(v), least, most) for v in values]
    drawn, halves = statistic(draw_images(num_images)), statistic(draw_halves(num_images))
    widened = _student(num_images - 1) * math.sqrt(num_images / (num_images - 1))
    return [
        _absent(v) or _interval(float(v), drawn[:, m], halves[:, m], widened, (least, most))
        for m, v in enumerate(values)
    ]


def ap_statistic(matches: Matches) -> Statistic:
    """COCO's AP of any draw of the images, of all classes together and then of each: M = 1 + K."""

    def aps(draws: np.ndarray) -> np.ndarray:
        ap = average_precision(matches, draws)  # [B, K, T]
        each = [mean_present(ap)] + [mean_present(ap[:, k : k + 1]) for k in range(ap.shape[1])]
        values = np.stack(each, axis=1)
        return np.where(values == ABSENT, np.nan, values)

    return aps


def ap_interval(matches: Matches) -> Interval:
    """COCO's AP with its interval."""
    return intervals(ap_statistic(matches), matches.counts.shape[1])[0]


def _absent(value: float) -> Optional[Interval]:
    return NO_INTERVAL if math.isnan(value) else None


def _interval(value: float, drawn, halves, widened: float, limits) -> Interval:
    drawn, halves = drawn[~np.isnan(drawn)], halves[~np.isnan(halves)]
    excess = (halves.mean() - value) / (math.sqrt(2) - 1) if len(halves) else 0.0
    tail = (1 - LEVEL) / 2
    reach = np.abs(np.quantile(drawn, [tail, 1 - tail]) - drawn.mean()).max() * widened
    low, high = value - excess - reach, value - excess + reach
    low, high = np.clip([min(low, value), max(high, value)], *limits)
    return Interval(value, float(low), float(high))


def _student(freedom: int) -> float:
    """Student's 97.5 % quantile over the normal one's, to 2 % from 4 on (Cornish and Fisher)."""
    z = NormalDist().inv_cdf(1 - (1 - LEVEL) / 2)
    first = (z**3 + z) / (4 * freedom)
    second = (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    return 1 + (first + second) / z
