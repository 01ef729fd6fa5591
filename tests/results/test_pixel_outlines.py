"""`results/pixel_outlines.py`: rings along the sides of pixels."""

import numpy as np
import pytest

from tfmaskrcnn.results.pixel_outlines import pixel_outlines
from tfmaskrcnn.results.polygons_of_masks import ring_area


def bitmap(*rows):
    return np.array([[c == "#" for c in row] for row in rows])


def covered(ring, height, width):
    """[H, W] bool, the pixels whose centres a ring encloses, by the even-odd rule."""
    (x1, y1), (x2, y2) = ring.T, np.roll(ring, -1, axis=0).T
    ys, xs = np.mgrid[:height, :width] + 0.5
    passed = ((y1 > ys[..., None]) != (y2 > ys[..., None])) & (x1 > xs[..., None])
    return np.sum(passed & (x1 == x2), axis=-1) % 2 == 1


def test_a_rectangle_is_its_four_corners_clockwise():
    (part,) = pixel_outlines(bitmap("....", ".##.", ".##."))
    np.testing.assert_array_equal(part[0], [[1, 1], [3, 1], [3, 3], [1, 3]])
    assert len(part) == 1


def test_pixels_that_touch_at_a_corner_are_two_parts():
    parts = pixel_outlines(bitmap("#.", ".#"))
    assert [len(part) for part in parts] == [1, 1]
    assert [len(part[0]) for part in parts] == [4, 4]


def test_a_gap_at_a_corner_is_a_hole_that_touches_the_outline():
    # The ring is closed by sides, but the hole's corner is the outline's.
    (part,) = pixel_outlines(bitmap("###", "#.#", "##."))
    assert len(part) == 2
    assert ring_area(part[0]) + ring_area(part[1]) == 7
    assert len({tuple(point) for point in part[0]}) == len(part[0])


def test_an_island_in_a_hole_is_a_part_of_its_own():
    rows = ["#######", "#.....#", "#.###.#", "#.#.#.#", "#.###.#", "#.....#", "#######"]
    parts = pixel_outlines(bitmap(*rows))
    assert sorted(sum(map(ring_area, part)) for part in parts) == [8, 24]
    assert [len(part) for part in parts] == [2, 2]


@pytest.mark.parametrize("rows", [(), ("...",), ("",)])
def test_no_pixel_has_no_outline(rows):
    assert pixel_outlines(bitmap(*rows).reshape(len(rows), -1 if rows else 0)) == []


@pytest.mark.parametrize("seed", range(20))
def test_parts_and_holes_are_exactly_the_bitmap(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 25, 2).tolist()
    mask = rng.random((height, width)) < rng.uniform(0.2, 0.95)
    total = np.zeros((height, width), int)
    for part in pixel_outlines(mask):
        for ring in part:
            sides = np.roll(ring, -1, axis=0) - ring
            assert np.all((sides != 0).sum(axis=1) == 1)  # along one axis, of some length
            assert np.all((sides[:, 0] != 0) != (np.roll(sides[:, 0], -1) != 0))  # alternating
            assert len({tuple(point) for point in ring}) == len(ring)
        inside = covered(part[0], height, width)
        for hole in part[1:]:
            enclosed = covered(hole, height, width)
            assert (inside & enclosed == enclosed).all()  # it lies in its own part
            inside &= ~enclosed
        total += inside
    np.testing.assert_array_equal(total, mask)  # each pixel in one part
