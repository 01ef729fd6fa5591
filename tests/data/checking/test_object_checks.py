"""`data/checking/object_checks.py`: the geometry that its rules rest on."""

import itertools

import numpy as np
import pytest

from tfmaskrcnn.data.checking.object_checks import box_fits, first_crossing, inside_image, mask_box
from tfmaskrcnn.data.coco.segmentation import decode

SQUARE = np.float32([10, 10, 30, 10, 30, 40, 10, 40])


def crosses_slowly(points):
    """Whether two edges without a common end have a point in common, edge by edge."""
    n = len(points)
    for i, j in itertools.combinations(range(n), 2):
        if j in (i + 1, (i - 1) % n):
            continue
        a, b, c, d = points[i], points[(i + 1) % n], points[j], points[(j + 1) % n]
        s = np.linalg.solve(np.stack([b - a, c - d], axis=1), c - a)
        if np.all((s > 0) & (s < 1)):
            return True
    return False


@pytest.mark.parametrize("seed", range(20))
def test_a_polygon_crosses_itself_as_edge_by_edge_shows(seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 50, (rng.integers(4, 7), 2))
    assert (first_crossing(points.reshape(-1)) is not None) == crosses_slowly(points)


def test_touching_and_repeated_points_are_no_crossing():
    assert first_crossing(SQUARE) is None
    assert first_crossing(np.float32([10, 10, 10, 10, 30, 10, 30, 40, 10, 40, 10, 10])) is None
    pinched = np.float32([0, 0, 10, 0, 5, 5, 10, 10, 0, 10, 5, 5])  # two triangles at a point
    assert first_crossing(pinched) is None
    assert first_crossing(np.float32([0, 0, 10, 10, 10, 0, 0, 10])) == (5, 5)


def test_crossings_of_long_polygons_are_found_beyond_the_first_edges():
    angle = np.linspace(0, 2 * np.pi, 1500, endpoint=False)
    points = 100 + 50 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert first_crossing(points.reshape(-1)) is None
    points[[1000, 1002]] = points[[1002, 1000]]
    assert first_crossing(points.reshape(-1)) is not None


@pytest.mark.parametrize("seed", range(20))
def test_the_box_of_a_mask_is_where_its_pixels_are(seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-30, 80, (5, 2))
    points = points[np.argsort(np.arctan2(*(points - points.mean(axis=0)).T))]
    shape = [np.float32(points.reshape(-1))]
    pixels = decode(inside_image(shape, 40, 60), 40, 60)
    box = mask_box(shape, 40, 60)
    y, x = np.nonzero(pixels)
    assert np.abs(np.array(box) - (y.min(), x.min(), y.max() + 1, x.max() + 1)).max() <= 1.5


def test_what_lies_outside_the_image_has_no_box():
    assert mask_box([SQUARE], 5, 60) is None and mask_box([SQUARE], 60, 60) == (10, 10, 40, 30)
    assert mask_box(None, 60, 60) is None


def test_a_box_may_be_off_by_two_pixels_or_a_twentieth():
    assert box_fits((8, 10, 41, 32), (10, 10, 40, 30))
    assert not box_fits((10, 10, 40, 32.1), (10, 10, 40, 30))
    assert box_fits((4, 10, 100, 30), (0, 10, 100, 30))
    assert not box_fits((6, 10, 100, 30), (0, 10, 100, 30))
