import numpy as np
import pytest

from tfmaskrcnn.ops.mask_runs import (
    EMPTY,
    area,
    box_runs,
    clipped,
    intersection,
    runs_rle,
    union,
    window_runs,
)
from tfmaskrcnn.ops.paste import Window, rle_to_masks

SIZE = 11, 14


def blob(rng):
    """Runs of a mask in the picture of SIZE, and its bitmap."""
    top, left = rng.integers(0, 5), rng.integers(0, 7)
    bitmap = rng.random((rng.integers(1, SIZE[0] - top + 1), rng.integers(1, SIZE[1] - left))) < 0.6
    canvas = np.zeros(SIZE, bool)
    canvas[top : top + bitmap.shape[0], left : left + bitmap.shape[1]] = bitmap
    return window_runs(Window(top, left, bitmap), SIZE[0]), canvas


def bitmap_of(runs):
    return rle_to_masks([runs_rle(runs, *SIZE)], *SIZE)[0]


def test_runs_are_counted_down_the_columns():
    runs = window_runs(Window(2, 1, np.array([[True, False], [True, True]])), 10)
    assert runs.tolist() == [[12, 14], [23, 24]] and area(runs) == 3


@pytest.mark.parametrize("seed", range(20))
def test_sums_and_common_pixels_are_those_of_the_bitmaps(seed):
    rng = np.random.default_rng(seed)
    (a, first), (b, second) = blob(rng), blob(rng)
    assert area(a) == first.sum()
    assert intersection(a, b) == intersection(b, a) == (first & second).sum()
    np.testing.assert_array_equal(bitmap_of(union(a, b)), first | second)
    assert area(union(a, b)) == (first | second).sum()
    part = np.zeros(SIZE, bool)
    part[2:9, 3:8] = True
    np.testing.assert_array_equal(bitmap_of(clipped(a, (2, 3, 9, 8), SIZE[0])), first & part)


def test_a_full_column_stays_within_its_column():
    runs = union(box_runs((0, 2, 11, 4), SIZE), box_runs((0, 3, 11, 6), SIZE))
    assert len(runs) == 4 and area(runs) == 44
    assert area(clipped(runs, (1, 3, 3, 5), SIZE[0])) == 4


def test_an_empty_mask_has_no_pixel_in_common_with_any():
    runs = box_runs((1, 1, 3, 3), SIZE)
    assert intersection(EMPTY, runs) == intersection(runs, EMPTY) == area(EMPTY) == 0
    np.testing.assert_array_equal(union(EMPTY, runs), runs)
    assert len(union(EMPTY, EMPTY)) == len(clipped(EMPTY, (0, 0, 2, 2), 11)) == 0
    assert not bitmap_of(EMPTY).any()


def test_a_box_is_cut_off_at_the_picture_and_may_be_empty():
    assert area(box_runs((-3.0, -2.0, 2.4, 100.0), SIZE)) == 2 * 14
    assert len(box_runs((3.0, 3.0, 3.2, 9.0), SIZE)) == 0
