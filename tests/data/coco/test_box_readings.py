"""`data/coco/box_readings.py`: outlines that give their box in another reading alone."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tfmaskrcnn.data.coco.meaning import clear_segmentation

FLAT = [70.0, 20.0, 110.0, 24.0, 106.0, 60.0, 68.0, 54.0]
BOX = [68, 20, 42, 40]
HEIGHT, WIDTH = SIZE = (96, 128)
POINTS = list(zip(FLAT[::2], FLAT[1::2]))


def shares(most):
    return [[v * most / (HEIGHT if n % 2 else WIDTH) for n, v in enumerate(FLAT)]]


@pytest.mark.parametrize(
    ("segmentation", "what"),
    [
        ([FLAT[::2], FLAT[1::2]], "a list of x and one of y"),
        ([FLAT[::2] * 3, FLAT[1::2] * 3], "a list of x and one of y"),
        ([[x, y, 0] for x, y in POINTS], "a list of points of three numbers"),
        ([[v for x, y in POINTS for v in (y, x)]], "polygons of y, x"),
        (shares(1), "polygons in shares of the image"),
        (shares(100), "polygons in percents of the image"),
    ],
)
def test_the_reading_that_gives_the_box_is_the_meaning(segmentation, what):
    meaning = clear_segmentation(segmentation, BOX, *SIZE)
    assert meaning.what == what
    np.testing.assert_allclose(meaning.mended[0][: len(FLAT)], FLAT, atol=1e-9)
    for box in (None, [0, 0, 30, 30], [68, 20, 0, 0]):  # then nobody can tell
        assert clear_segmentation(segmentation, box, *SIZE) is None


@pytest.mark.parametrize("seed", range(50))
def test_an_outline_that_gives_its_box_is_what_it_is(seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, [WIDTH, HEIGHT], (6, 2)) * rng.choice([1, 0.3])
    low, high = points.min(axis=0), points.max(axis=0)
    box = [*(low + rng.uniform(-1, 1, 2)), *(high - low)]
    assert clear_segmentation([points.reshape(-1).tolist()], box, *SIZE) is None


def test_a_mask_of_zeros_and_ones_is_one():
    mask = np.zeros(SIZE, np.uint8)
    mask[10:30, 100:] = 1
    mask[0, 0] = 1
    meaning = clear_segmentation(mask.tolist(), None, *SIZE)
    assert meaning.what == "a mask of zeros and ones"
    rle = coco_mask.frPyObjects(meaning.mended, *SIZE)
    np.testing.assert_array_equal(coco_mask.decode(rle), mask)
    assert clear_segmentation((mask * 7).tolist(), None, *SIZE) is None
