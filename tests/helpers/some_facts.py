"""Facts of data sets that exist in numbers alone."""

import numpy as np

from tfmaskrcnn.config.yaml_files import load_config
from tfmaskrcnn.data.checking.coverage import Objects
from tfmaskrcnn.train.auto.facts import Facts, Looks, Machine

CPU = Machine(gpu=False)


def facts_of_squares(sides, image=(600, 800), images=10, low=0, median=100, high=255):
    """Objects of these sides in the middle of each of so many images of one size."""
    sides = np.atleast_1d(np.float64(sides))
    center, half = np.float64(image) / 2, sides[:, None] / 2
    boxes = np.tile(np.concatenate([center - half, center + half], axis=1), (images, 1))
    counts = np.full(images, len(sides))
    levels = (np.full(images, level, float) for level in (low, median, high))
    sizes = np.tile(np.float64(image), (len(boxes), 1))
    shapes = np.tile(np.float64(image), (images, 1))
    return Facts(Objects(boxes, sizes), counts, counts, shapes, Looks(*levels))


def no_facts():
    """Of a set without images."""
    nothing = np.zeros((0, 4)), np.zeros((0, 2))
    none = np.zeros(0, int)
    return Facts(Objects(*nothing), none, none, np.zeros((0, 2)), Looks(*[np.zeros(0)] * 3))


def values(proposals):
    return {p.key: p.value for p in proposals}


def auto(*overrides):
    """The recipe `auto` with them."""
    return load_config("auto", overrides)
