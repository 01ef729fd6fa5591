"""`data/checking/polygon_tests.py`: many polygons at a time give what each gives alone."""

import numpy as np
import pytest

from tfmaskrcnn.data.checking import polygon_tests as module
from tfmaskrcnn.data.checking.holes import first_hole
from tfmaskrcnn.data.checking.object_checks import first_crossing
from tfmaskrcnn.data.checking.polygon_tests import Polygons, crossing, winds_once, within


def polygons_of(outlines):
    counts = np.array([len(outline) for outline in outlines])
    ends = np.cumsum(counts)
    return Polygons(np.float64(np.concatenate(outlines)), ends - counts, ends)


def around(draw, count):
    """Points around a middle, some of which go back, wind twice, repeat a point or touch."""
    angles = np.sort(draw.uniform(0, 2 * np.pi, count)) * draw.choice([1, 1, 1, 2])
    if draw.random() < 0.3:
        angles[[0, -1]] = angles[[-1, 0]]
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * draw.uniform(3, 20, (count, 1))
    if draw.random() < 0.3:
        points[1] = points[draw.integers(count)]
    return (25 + points[:: draw.choice([-1, 1])]).round(int(draw.integers(0, 4)))


@pytest.mark.parametrize("seed", range(20))
def test_crossings_are_found_as_one_by_one(seed, monkeypatch):
    monkeypatch.setattr(module, "_AT_A_TIME", 300)
    draw = np.random.default_rng(seed)
    outlines = [draw.uniform(0, 50, (draw.integers(3, 20), 2)).round(1) for _ in range(40)]
    outlines += [around(draw, int(draw.integers(3, 40))) for _ in range(100)]
    found = crossing(polygons_of(outlines))
    wanted = np.array([first_crossing(outline.reshape(-1)) is not None for outline in outlines])
    assert found.tolist() == wanted.tolist() and any(found) and not all(found)
    assert not wanted[winds_once(polygons_of(outlines))].any()


def test_what_goes_around_once_is_known_without_comparing_edges():
    square = np.array([[10, 10], [30, 10], [30, 40], [10, 40]])
    bow, thin = square[[0, 2, 1, 3]], np.array([[0, 0], [9, 0], [5, 0]])
    angles = np.arange(5) * 4 * np.pi / 5
    pentagram = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    outlines = [square, square[::-1], bow, thin, pentagram, square[[0, 0, 1, 2, 3]]]
    assert winds_once(polygons_of(outlines)).tolist() == [True, True, False, False, False, False]


@pytest.mark.parametrize("seed", range(10))
def test_what_lies_within_is_a_hole(seed):
    draw = np.random.default_rng(seed)
    outlines = [around(draw, int(draw.integers(3, 20))) for _ in range(20)]
    for n in range(0, 20, 2):
        outlines[n] = 25 + (outlines[n] - 25) * draw.uniform(0.05, 0.6)
    inner = np.arange(0, 20, 2)
    found = within(polygons_of(outlines), inner, inner + 1).tolist()
    both = [[outlines[n].reshape(-1), outlines[n + 1].reshape(-1)] for n in inner]
    # What spans no less lies in no other, which is asked before.
    spans = [[(p.min(axis=0), p.max(axis=0)) for p in outlines[n : n + 2]] for n in inner]
    nested = [np.all(a[0] > b[0]) and np.all(a[1] < b[1]) for a, b in spans]
    wanted = [first_hole(pair) == (0, 1) for pair in both]
    assert [f for f, n in zip(found, nested) if n] == [w for w, n in zip(wanted, nested) if n]
    assert any(found)
    assert within(polygons_of(outlines), inner[:0], inner[:0]).shape == (0,)
