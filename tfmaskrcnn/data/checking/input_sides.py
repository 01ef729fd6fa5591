"""Sizes of the network's input that are worth trying for a data set."""

import math
from typing import List, NamedTuple

import numpy as np

from tfmaskrcnn.config.model import InputConfig
from tfmaskrcnn.data.checking.coverage import Objects, resized

# The smallest tenth of the objects should be of this size in the network's input: some five cells
# of the finest level.
WANTED_SCALE = 20.0
_MOST_ENLARGED = 2.0  # more invents no detail
MAX_SIDE = 1344
_MIN_SIDE, _SIDE_STEP = 512, 64


class Tried(NamedTuple):
    """A size of the network's input."""

    scale: float  # a tenth of the objects is smaller, pixels: square roots of their boxes' areas
    min_side: int
    max_side: int


def tried_sides(shapes: np.ndarray, objects: Objects, input: InputConfig) -> List[Tried]:
    """Sizes from the smallest that is worth trying to the largest, at least one.

    Args:
        shapes: [n, 2] (height, width) of the images.
        objects: of them, at least one.
        input: the rest of how they are resized.
    """
    short = short_side(shapes)
    lowest = min(_MIN_SIDE, round_up(short, _SIDE_STEP))
    highest = max(lowest, min(MAX_SIDE, _MOST_ENLARGED * short))
    sides = range(int(lowest), int(highest) + 1, _SIDE_STEP)
    return [tried_side(side, shapes, objects, input) for side in sides]


def tried_side(side: int, shapes: np.ndarray, objects: Objects, input: InputConfig) -> Tried:
    """The size of the short side `side`; the rest is as of `tried_sides`."""
    long_side = round_up(side * aspect_of(shapes), input.pad_multiple)
    long_side = max(side, min(MAX_SIDE, long_side))
    tried = input.model_copy(update={"min_side": side, "max_side": long_side})
    return Tried(tenth(objects, tried), side, long_side)


def tenth(objects: Objects, input: InputConfig) -> float:
    """The size that a tenth of the objects stays below after the resize, pixels."""
    return float(np.quantile(resized(objects, input).scales, 0.1))


def short_side(shapes: np.ndarray) -> float:
    """Median of the images' short sides, pixels."""
    return float(np.median(np.min(shapes, axis=1)))


def aspect_of(shapes: np.ndarray) -> float:
    """Long side over short side; a twentieth of the images is longer."""
    return float(np.quantile(np.max(shapes, axis=1) / np.min(shapes, axis=1), 0.95))


def round_up(value: float, step: int) -> int:
    """The next multiple of `step`."""
    return step * math.ceil(value / step)
