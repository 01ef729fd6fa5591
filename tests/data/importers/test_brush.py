"""`data/importers/brush.py`: against an encoder that is written here."""

import numpy as np
import pytest

from helpers.brush_code import encoded
from tfmaskrcnn.data.importers.brush import brush_mask


def coloured(mask, rng):
    """Red, green, blue and opacity of each pixel, flat, with any colours."""
    pixels = rng.integers(0, 3, (*mask.shape, 4)) * 100
    pixels[..., 3] = np.where(mask, 255, 0)
    return pixels.reshape(-1)


@pytest.mark.parametrize("seed", range(20))
def test_strokes_come_back_to_the_pixel(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 30, 2).tolist()
    mask = rng.random((height, width)) < rng.random()
    if seed % 2:
        mask[:] = False
        mask[height // 3 :, : width // 2 + 1] = True
    values = coloured(mask, rng) if seed % 3 else np.repeat(mask.reshape(-1) * 255, 4)
    np.testing.assert_array_equal(brush_mask(encoded(values, rng), height, width), mask)


def test_a_value_may_have_another_number_of_bits():
    rng = np.random.default_rng(0)
    mask = rng.random((9, 7)) < 0.5
    code = encoded(np.repeat(mask.reshape(-1).astype(int), 4), rng, bits_a_value=1)
    np.testing.assert_array_equal(brush_mask(code, 9, 7), mask)


def test_a_code_that_does_not_fit_the_image_is_refused_before_memory_is_taken():
    code = encoded(np.zeros(4 * 6, int), np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"is of 24 values, wanted 5 x 5 x 4"):
        brush_mask(code, 5, 5)
    huge = [255, 255, 255, 255, *code[4:]]
    with pytest.raises(ValueError, match="is of 4294967295 values"):
        brush_mask(huge, 2, 3)


@pytest.mark.parametrize(
    "code, said",
    [
        (5, "its rle is 5, wanted a list"),
        ([], "end too early"),
        ([0, 0, 0, 24], "end too early"),
        ([1, "a"], "other values than numbers"),
        ([300], "other values than numbers"),
        ([10**400], "other values than numbers"),
        ([0, 0, 0, 24, 57, 145, 223, 255, 255, 255, 255], "go beyond the image"),
    ],
)
def test_what_is_no_code_is_told(code, said):
    with pytest.raises(ValueError, match=said):
        brush_mask(code, 2, 3)
