"""Windows of RLEs against pycocotools, painting on hand cases."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tfmaskrcnn.evaluation.analysis.pixels import paint, rle_window
from tfmaskrcnn.ops.paste import masks_to_rle


def drawn(size, box):
    mask = np.zeros(size, bool)
    mask[box[0] : box[2], box[1] : box[3]] = True
    return mask


@pytest.mark.parametrize("seed", range(20))
def test_a_window_is_the_decoded_mask_on_its_box(seed):
    rng = np.random.default_rng(seed)
    size = tuple(rng.integers(1, 90, 2))
    mask = rng.uniform(size=size) < rng.choice([0.01, 0.3, 0.9, 1.0])
    mask &= drawn(size, (*rng.integers(0, size), *size))
    rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    top, left, bitmap = rle_window(rle)
    whole = np.zeros(size, bool)
    whole[top : top + bitmap.shape[0], left : left + bitmap.shape[1]] = bitmap
    np.testing.assert_array_equal(whole, mask)
    box = coco_mask.toBbox(rle)
    assert [left, top, *bitmap.shape[::-1]] == box.tolist() or not mask.any()


def test_runs_longer_than_a_character_of_text_and_strings_are_read():
    mask = drawn((3000, 400), (1, 7, 2999, 399))
    window = rle_window(masks_to_rle([mask])[0])
    assert (window.top, window.left, window.bitmap.shape) == (1, 7, (2998, 392))
    assert window.bitmap.all()


def test_an_empty_mask_has_an_empty_window():
    assert rle_window(masks_to_rle([np.zeros((4, 5), bool)])[0]).bitmap.shape == (0, 0)


def test_a_pixel_goes_to_the_best_mask_and_is_counted_once():
    size = (10, 20)
    bars = [drawn(size, (0, left, 10, left + 8)) for left in (0, 5, 6)]
    painted = paint(masks_to_rle(bars), size)
    # Columns 0-7, then 8-12 of 5-12, then 13 of 6-13.
    assert painted.sizes.tolist() == [80, 50, 10]
    np.testing.assert_array_equal(painted.labels[0, [0, 7, 8, 12, 13, 14]], [1, 1, 2, 2, 3, 0])
    others = masks_to_rle([drawn(size, (0, 7, 5, 9)), drawn(size, (0, 8, 10, 9))])
    # The first has 5 pixels of either bar, the second is the 10 of column 8.
    np.testing.assert_allclose(painted.iou(others), [[5 / 85, 0], [5 / 55, 10 / 50], [0, 0]])
    assert painted.inside(others).tolist() == [5, 10, 0]


def test_nothing_is_painted_of_nothing():
    painted = paint([], (4, 5))
    assert painted.sizes.shape == (0,) and painted.iou([]).shape == (0, 0)
    assert painted.inside([]).shape == (0,)
