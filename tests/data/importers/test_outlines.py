"""`data/importers/outlines.py`: few corners, however large the radius."""

import math

import numpy as np
import pytest

from tfmaskrcnn.data.importers.outlines import MAX_CORNERS, TOLERANCE, ellipse, rectangle


@pytest.mark.parametrize("radius", [0.5, 10, 1e3, 1e5, 1e6, 1e12, 1e300])
def test_a_circle_has_a_bounded_number_of_corners_and_keeps_its_tolerance_until_then(radius):
    points = np.reshape(ellipse(0, 0, radius, radius), (-1, 2))
    assert 12 <= len(points) <= MAX_CORNERS
    if radius <= 1e5:
        inside = radius * math.cos(math.pi / len(points))
        assert radius - inside < 2.05 * TOLERANCE


@pytest.mark.parametrize("values", [(0, 0, 0, 1), (0, 0, 1, -1), (math.nan, 0, 1, 1)])
def test_what_is_no_ellipse_has_no_corner(values):
    assert ellipse(*values) == []


def test_a_rectangle_turns_clockwise_about_its_middle_any_number_of_times():
    np.testing.assert_allclose(rectangle(10, 20, 30, 24, 90), rectangle(10, 20, 30, 24, 360e6 + 90))
    assert rectangle(30, 24, 10, 20) == [10, 20, 30, 20, 30, 24, 10, 24]
