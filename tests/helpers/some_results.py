"""Results of an image for tests of writers: blobs with a hole, in pieces, over the border."""

import numpy as np

from tfmaskrcnn.instances import Instances
from tfmaskrcnn.ops.paste import masks_to_rle
from tfmaskrcnn.results.image_result import ImageResult, ResultOptions

NAMES = ("nucleus", "two words/=1")
SIZE = (60, 80)
OPTIONS = ResultOptions(NAMES, (7, 11))


def some_masks(size=SIZE):
    """[5, H, W] bool: an ellipse over the border, one with a hole, two pieces, a pixel, overlap."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    masks = np.zeros((5, *size), bool)
    masks[0] = ((y - 8) / 14) ** 2 + ((x - 6) / 18) ** 2 < 1
    masks[1] = np.abs(np.hypot(y - 36, x - 40) - 11) < 5
    masks[2] = (np.hypot(y - 45, x - 12) < 8) | (np.hypot(y - 20, x - 65) < 9)
    masks[3, 55, 77] = True
    masks[4] = np.hypot(y - 36, x - 50) < 10  # over the ring
    return masks


def result_of(masks=None, name="a.png", image_id=3, **changes):
    """An `ImageResult` of masks [D, H, W] whose scores fall and whose classes take turns."""
    masks = some_masks() if masks is None else masks
    count, height, width = masks.shape
    boxes = np.zeros((count, 4))
    for box, mask in zip(boxes, masks):
        rows, columns = np.nonzero(mask)
        if len(rows):
            box[:] = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
    found = Instances(
        **{
            "boxes": boxes,
            "scores": np.linspace(0.9, 0.5, count),
            "classes": np.arange(count) % 2 + 1,
            "size": (height, width),
            "exact_rle": masks_to_rle(masks),
            "class_names": NAMES,
            **changes,
        }
    )
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return ImageResult(image_id, name, name.rpartition(".")[0], found, image=pixels)


def boxes_alone():
    return result_of(exact_rle=None)
