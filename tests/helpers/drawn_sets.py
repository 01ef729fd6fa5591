"""Small sets of rectangles to examine: what is there and what was found, without files."""

import numpy as np
from pycocotools import mask as coco_mask

from tfmaskrcnn.evaluation.analysis.examined import Examined, ExaminedImage, Found, Objects

SIZE = (100, 120)  # (height, width)


def drawn(images, size=SIZE, num_classes=None):
    """`Examined` of rectangles, class k named "class k", image i of id i + 1 named "i.png".

    Args:
        images: a pair for each: objects (class, yxyx box[, crowd]), and detections
            (class, yxyx box, score) in any order.
        size: (height, width) of all images.
        num_classes: K; None takes the highest class there is.
    """
    classes = [entry[0] for pair in images for part in pair for entry in part]
    names = tuple(f"class {k + 1}" for k in range(num_classes or max(classes, default=1)))
    return Examined([_image(i, *pair, size) for i, pair in enumerate(images)], names, True, 100)


def random_set(seed, num_images=8, num_classes=3, most=12, crowds=0.1, size=SIZE):
    """A set of up to `most` objects an image, with every kind of right and wrong detection.

    Objects are found well, badly, twice, as another class or not at all, and there are false
    detections. Scores have two decimals, so that some are equal.
    """
    rng = np.random.default_rng(seed)
    return drawn([_draw(rng, num_classes, most, crowds, size) for _ in range(num_images)], size)


def _draw(rng, num_classes, most, crowds, size):
    objects, found = [], []
    for _ in range(rng.integers(0, most + 1)):
        k, box = int(rng.integers(1, num_classes + 1)), _box(rng, size)
        objects.append((k, box, bool(rng.random() < crowds)))
        for _ in range(rng.choice(4, p=(0.15, 0.55, 0.2, 0.1))):
            shift = rng.normal(0, rng.choice((0.02, 0.1, 0.25)), 4) * np.tile(box[2:] - box[:2], 2)
            low, high = np.split(np.round(box + shift), 2)
            low = np.clip(low, 0, np.array(size) - 1)
            moved = np.concatenate([low, np.clip(high, low + 1, size)])
            other = int(rng.integers(1, num_classes + 1))
            found.append((k if rng.random() < 0.8 else other, moved, _score(rng)))
    for _ in range(rng.integers(0, most // 3 + 1)):
        found.append((int(rng.integers(1, num_classes + 1)), _box(rng, size), _score(rng)))
    return objects, found


def _box(rng, size):
    sides = rng.integers(4, np.array(size) // 2)
    low = rng.integers(0, np.array(size) - sides)
    return np.concatenate([low, low + sides]).astype(np.float64)


def _score(rng):
    return float(np.round(rng.beta(2, 1.2), 2))


def _image(number, objects, found, size):
    found = sorted(found, key=lambda entry: -entry[2])  # stable
    there = Objects(
        np.array([entry[0] for entry in objects], int),
        _boxes(objects),
        np.prod(_boxes(objects)[:, 2:] - _boxes(objects)[:, :2], axis=1),
        np.array([len(entry) > 2 and entry[2] for entry in objects], bool),
        tuple(range(1, len(objects) + 1)),
        _rles(objects, size),
    )
    seen = Found(
        np.array([entry[0] for entry in found], int),
        np.array([entry[2] for entry in found], np.float64),
        _boxes(found),
        _rles(found, size),
    )
    return ExaminedImage(number + 1, f"{number}.png", size, there, seen)


def _boxes(entries):
    return np.array([entry[1] for entry in entries], np.float64).reshape(-1, 4)


def _rles(entries, size):
    rles = []
    for y1, x1, y2, x2 in np.round(_boxes(entries)).astype(int):
        mask = np.zeros(size, np.uint8, order="F")
        mask[y1:y2, x1:x2] = 1
        rles.append(coco_mask.encode(mask))
    return rles
