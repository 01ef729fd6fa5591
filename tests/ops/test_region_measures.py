"""`ops/region_measures.py`: sizes and shapes to be checked by hand, and against regionprops."""

import math
import sys

import numpy as np
import pytest
from skimage.measure import regionprops

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.ops.paste import Window
from tfmaskrcnn.ops.region_measures import (
    SHAPE_COLUMNS,
    convex_area,
    in_units,
    intensity_columns,
    intensity_measures,
    shape_measures,
    tight,
)


def some_mask(seed):
    """A tight bitmap of noise, or of a turned ellipse."""
    rng = np.random.default_rng(seed)
    h, w = rng.integers(4, 40, 2)
    if seed % 2:
        return tight(Window(0, 0, rng.uniform(size=(h, w)) < 0.3)).bitmap
    y, x = np.mgrid[:h, :w] - np.array([h / 2, w / 2]).reshape(2, 1, 1)
    a, b = y / h + 0.4 * x / w, x / w - 0.5 * y / h
    return tight(Window(0, 0, a * a + 2 * b * b < 0.1)).bitmap


def test_a_rectangle_has_the_measures_of_a_rectangle():
    bitmap = np.zeros((9, 20), bool)
    bitmap[2:6, 5:15] = True  # 4 x 10
    found = shape_measures(Window(100, 200, bitmap))
    assert tuple(found) == SHAPE_COLUMNS
    assert (found["area"], found["centroid_y"], found["centroid_x"]) == (40, 104.0, 210.0)
    assert found["equivalent_diameter"] == pytest.approx(math.sqrt(4 * 40 / math.pi))
    assert found["perimeter"] == 24  # along the centres of the border's pixels
    assert abs(found["orientation"]) == pytest.approx(math.pi / 2)  # it lies
    # The axes of the ellipse with the variances of n cells in a row, (n^2 - 1) / 12.
    assert found["axis_major"] == pytest.approx(4 * math.sqrt(99 / 12))
    assert found["axis_minor"] == pytest.approx(4 * math.sqrt(15 / 12))
    assert 0.9 < found["solidity"] <= 1


@pytest.mark.parametrize("seed", range(20))
def test_measures_are_regionprops(seed):
    bitmap = some_mask(seed)
    region = regionprops(bitmap.astype(np.uint8))[0]
    found = shape_measures(Window(3, 7, np.pad(bitmap, ((1, 2), (0, 4)))))
    assert convex_area(bitmap) == region.area_convex
    assert found["solidity"] == pytest.approx(region.solidity)
    assert found["centroid_y"] == pytest.approx(3 + 1 + region.centroid[0] + 0.5)
    assert found["centroid_x"] == pytest.approx(7 + region.centroid[1] + 0.5)
    for name in ("area", "perimeter", "orientation"):
        assert found[name] == getattr(region, name)
    assert found["axis_minor"] == region.axis_minor_length


@pytest.mark.parametrize("bitmap", [np.ones((1, 1)), np.ones((1, 5)), np.ones((7, 1)), np.eye(4)])
def test_thin_objects_are_measured_without_a_warning(bitmap, recwarn):
    found = shape_measures(Window(0, 0, bitmap.astype(bool)))
    assert found["area"] == bitmap.sum()
    assert found["axis_minor"] == pytest.approx(0, abs=1e-6)
    assert found["solidity"] == 1
    assert not recwarn.list


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (3, 3)])
def test_a_mask_without_pixels_has_an_area_of_zero_and_no_shape(shape):
    empty = Window(5, 5, np.zeros(shape, bool))
    found = shape_measures(empty)
    assert (found.pop("area"), found.pop("perimeter")) == (0, 0)
    assert set(found.values()) == {None}
    assert set(intensity_measures(empty, np.zeros((9, 9, 2))).values()) == {None}
    assert in_units(shape_measures(empty), 2.0, "um")["centroid_x_um"] is None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_intensities_are_means_and_spreads_of_the_mask(dtype, monkeypatch):
    monkeypatch.setattr("tfmaskrcnn.ops.region_measures._CHUNK", 30)  # some rows at a time
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 250, size=(20, 30, 3)).astype(dtype)
    bitmap = rng.uniform(size=(10, 12)) < 0.5
    found = intensity_measures(Window(4, 6, bitmap), image)
    assert list(found)[:3] == ["mean_channel_1", "std_channel_1", "mean_channel_2"]
    values = image[4:14, 6:18][bitmap].astype(np.float64)
    assert [found[f"mean_channel_{c}"] for c in (1, 2, 3)] == pytest.approx(values.mean(axis=0))
    assert [found[f"std_channel_{c}"] for c in (1, 2, 3)] == pytest.approx(values.std(axis=0))
    grey = intensity_measures(Window(4, 6, bitmap), image[..., 0])
    assert list(grey) == intensity_columns(1)
    assert grey["mean_channel_1"] == found["mean_channel_1"]


def test_units_scale_lengths_once_and_areas_twice():
    row = {"area": 100, "perimeter": 40.0, "centroid_x": 8.0, "orientation": 1.0, "id": 3}
    assert in_units(row, 0.5, "um") == {"area_um2": 25.0, "perimeter_um": 20.0, "centroid_x_um": 4}


def test_without_scikit_image_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.measure", None)
    with pytest.raises(InputError, match=r"pip install 'tfmaskrcnn\[formats\]'"):
        shape_measures(Window(0, 0, np.ones((2, 2), bool)))
