"""`data/checking/holes.py`: a polygon wholly inside another of the same object."""

import numpy as np

from tfmaskrcnn.data.checking.holes import first_hole


def square(x, y, side):
    return np.float32([x, y, x + side, y, x + side, y + side, x, y + side])


def test_only_what_lies_wholly_inside_is_a_hole():
    assert first_hole([square(0, 0, 40), square(10, 10, 20)]) == (1, 0)
    assert first_hole([square(10, 10, 20), square(0, 0, 40)]) == (0, 1)
    for other in (square(50, 0, 10), square(30, 30, 20), square(0, 0, 40)):
        assert first_hole([square(0, 0, 40), other]) is None
    assert first_hole([square(0, 0, 40)]) is None and first_hole([]) is None


def test_the_bay_of_a_concave_polygon_is_no_hole():
    horseshoe = np.float32([0, 0, 40, 0, 40, 40, 30, 40, 30, 10, 10, 10, 10, 40, 0, 40])
    assert first_hole([horseshoe, square(15, 20, 10)]) is None
    assert first_hole([horseshoe, square(2, 2, 5)]) == (1, 0)


def test_very_many_points_are_not_compared():
    angle = np.linspace(0, 6.28, 10_000)
    ring = np.stack([50 + 40 * np.cos(angle), 50 + 40 * np.sin(angle)], axis=1)
    assert first_hole([np.float32(ring.reshape(-1)), square(40, 40, 10)]) is None
