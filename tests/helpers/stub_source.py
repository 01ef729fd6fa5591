"""A model that finds the same objects in every image, and images for it."""

import os

import numpy as np
from PIL import Image

from tfmaskrcnn import Instances
from tfmaskrcnn.inference.opening import Source


def picture(path, size=(20, 30), value=90):
    """Write a grey RGB image of (height, width); returns its path as text."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Image.fromarray(np.full((*size, 3), value, np.uint8)).save(path)
    return str(path)


def found_in(image, classes=(1,)):
    """An object of each class, all with the box y 2..10, x 5..15, score 0.9 and less."""
    count = len(classes)
    return Instances(
        boxes=np.tile(np.float32([2, 5, 10, 15]), (count, 1)),
        scores=np.linspace(0.9, 0.3, count, dtype=np.float32),
        classes=np.array(classes, np.int32),
        size=image.shape[:2],
        mask_probabilities=np.ones((count, 28, 28), np.float32),
    )


def source_of(classes=(1,), category_ids=(), batches=None):
    """A `Source` that finds an object of each of `classes`; sizes of batches go into `batches`."""

    def predict(images):
        if batches is not None:
            batches.append([image.shape[:2] for image in images])
        return (found_in(image, classes) for image in images)  # any iterable will do

    return Source(predict, (), category_ids)


def seen_source(log=None):
    """A `Source` whose objects and scores depend on the image's pixels, and on those beside it."""

    def predict(images):
        if log is not None:
            log.append(len(images))
        return [_seen(image, max(i.shape[0] for i in images)) for image in images]

    return Source(predict, ("cell", "dust"), (5, 9))


def _seen(image, padded):
    rng = np.random.default_rng([int(image.sum()), padded])
    count = int(rng.integers(0, 6))
    corner = rng.uniform(0, 10, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(2, 10, (count, 2))], axis=1)
    return Instances(
        boxes=boxes,
        scores=np.sort(rng.uniform(0, 1, count))[::-1],
        classes=rng.integers(1, 3, count),
        size=image.shape[:2],
        mask_probabilities=rng.uniform(0, 1, (count, 14, 14)),
        class_names=("cell", "dust"),
    )
