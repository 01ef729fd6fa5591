"""A detector that sees each blob of brightness, whole or cut, and is a little wrong of its box."""

import numpy as np
from scipy import ndimage

from tfmaskrcnn.inference.opening import Source
from tfmaskrcnn.inference.trained_sizes import NetworkInput, TrainedSizes
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.ops.paste import Window, window_rle

# Of the network; tiles are of 128 pixels and overlap by 40.
INPUT = NetworkInput(128, 200)
SIZES = TrainedSizes(1.0, 1.0, 1.0, 32.0, 0.2, 10, 100)

_GAP = 2  # pixels between shapes


def ideal_source(seed=0, masks=True, joints=0, error=1.0):
    """A `Source`. Its boxes are off by `error` pixels, its scores are from 0.6 to 1.

    An object's red value is its class; of its `joints` keypoints the first is its middle.
    """
    rng = np.random.default_rng(seed)

    def predict(images):
        return [_found(image, rng, masks, joints, error) for image in images]

    return Source(predict, ("a", "b"), (1, 2), input=INPUT, sizes=SIZES)


def drawn_shapes(rng, size, count, sides=(6, 32)):
    """A picture [H, W, 3] of `count` ellipses that do not touch, and their labels [H, W]."""
    image, labels = np.zeros((*size, 3), np.uint8), np.zeros(size, np.int32)
    number = 0
    for _ in range(100 * count):
        if number == count:
            break
        radii = rng.integers(sides[0], sides[1] + 1, 2) / 2
        top, left = (int(rng.integers(-2, side - 2)) for side in size)
        centre = top + radii[0], left + radii[1]
        low = max(top - _GAP, 0), max(left - _GAP, 0)
        part = tuple(slice(a, int(c + r) + _GAP + 1) for a, c, r in zip(low, centre, radii))
        y, x = np.mgrid[part]
        y, x = y[: size[0] - low[0], : size[1] - low[1]], x[: size[0] - low[0], : size[1] - low[1]]
        shape, room = (
            ((y - centre[0]) / (radii[0] + gap)) ** 2 + ((x - centre[1]) / (radii[1] + gap)) ** 2
            <= 1
            for gap in (0, _GAP)
        )
        if shape.sum() < 16 or labels[part][room].any():
            continue
        number += 1
        labels[part][shape] = number
        image[part][shape] = (1 + number % 2, 200, 0)
    return image, labels


def _found(image, rng, masks, joints, error):
    size = image.shape[:2]
    labels = ndimage.label(image[..., 1] > 0)[0]
    boxes, rles, classes, points = [], [], [], []
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        bitmap = labels[place] == number
        if bitmap.sum() < 4:
            continue
        low, high = [p.start for p in place], [p.stop for p in place]
        box = np.array([*low, *high]) + rng.normal(0, error, 4)
        boxes.append(np.clip(box, 0, [*size, *size]))
        rles.append(window_rle(Window(*low, bitmap), *size))
        classes.append(max(int(np.median(image[place][..., 0][bitmap])), 1))
        middle = (np.add(low, high) / 2).tolist()
        points.append([[*middle, 0.5]] * joints)
    scores = rng.uniform(0.6, 1.0, len(boxes))
    order = np.argsort(-scores)
    return Instances(
        np.reshape(boxes, (-1, 4))[order],
        scores[order],
        np.asarray(classes, int)[order],
        size,
        class_names=("a", "b"),
        exact_rle=[rles[i] for i in order] if masks else None,
        keypoints=np.reshape(points, (-1, joints, 3))[order] if joints else None,
    )
