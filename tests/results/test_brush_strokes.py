"""`results/brush_strokes.py`, by way of the importer's decoder."""

import numpy as np
import pytest

from tfmaskrcnn.data.importers.brush import brush_mask
from tfmaskrcnn.ops.paste import Window
from tfmaskrcnn.results.brush_strokes import brush_strokes, fits_brush


@pytest.mark.parametrize("seed", range(20))
def test_masks_come_back_to_the_pixel(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 40, 2).tolist()
    h, w = rng.integers(0, height + 1), rng.integers(0, width + 1)
    top, left = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
    bitmap = rng.random((h, w)) < rng.choice([0, 0.1, 0.9, 1])
    expected = np.zeros((height, width), bool)
    expected[top : top + h, left : left + w] = bitmap
    code = brush_strokes(Window(top, left, bitmap), height, width)
    np.testing.assert_array_equal(brush_mask(code, height, width), expected)


@pytest.mark.parametrize("left", [0, 16384, 50000])
def test_long_runs_are_several_blocks(left):
    bitmap = np.ones((2, 16384), bool)  # 65536 values a row, the most of a block
    code = brush_strokes(Window(1, left, bitmap), 3, 70000)
    mask = brush_mask(code, 3, 70000)
    assert mask.sum() == bitmap.size
    assert mask[1:, left : left + 16384].all()
    assert len(code) < 150


def test_the_code_of_a_very_large_image_is_refused():
    assert fits_brush(30000, 30000)
    assert not fits_brush(1 << 15, 1 << 15)
