"""`drawing/coloring.py`: who gets which colour."""

import numpy as np
import pytest

from tfmaskrcnn.drawing.coloring import PALETTE, SHADES, choose_colors, shade_of

APART = np.float32([[0, 0, 9, 9], [50, 0, 59, 9], [0, 50, 9, 59]])


def grid(seed, side=20):
    """36 boxes that touch, in an order of chance."""
    y, x = (a.ravel() * float(side) for a in np.mgrid[:6, :6])
    boxes = np.stack([y, x, y + side, x + side], axis=1).astype(np.float32)
    return np.random.default_rng(seed).permutation(boxes)


def touching(boxes, side=20):
    for i in range(len(boxes)):
        for j in range(i):
            if np.abs(boxes[i, :2] - boxes[j, :2]).max() <= side:
                yield i, j


def test_classes_keep_their_colour_and_never_share_one_while_there_are_enough():
    first, second, again = choose_colors(APART, np.array([2, 5, 2]), one_class=False)
    assert (first, second, again) == (PALETTE[1], PALETTE[4], PALETTE[1])
    clash = choose_colors(APART, np.array([1, 1 + len(PALETTE), 2]), one_class=False)
    assert len(set(clash)) == 3 and clash[0] == PALETTE[0]
    assert len(choose_colors(np.zeros((80, 4)), np.arange(1, 81), one_class=False)) == 80


@pytest.mark.parametrize("seed", range(20))
def test_touching_objects_of_one_class_differ_in_colour(seed):
    boxes = grid(seed)
    colors = choose_colors(boxes, np.ones(36, int), one_class=True)
    by_object = choose_colors(boxes, np.arange(36) % 3 + 1, one_class=False, color_by="object")
    assert all(colors[i] != colors[j] for i, j in touching(boxes))
    assert all(by_object[i] != by_object[j] for i, j in touching(boxes))


@pytest.mark.parametrize("seed", range(20))
def test_touching_objects_of_several_classes_differ_and_keep_to_their_class(seed):
    boxes = grid(seed)
    classes = np.random.default_rng(seed).integers(1, 4, 36)
    colors = choose_colors(boxes, classes, one_class=False)
    # 9 neighbours and 4 shades: where there are too many the least used is taken.
    equal = sum(colors[i] == colors[j] for i, j in touching(boxes))
    assert equal <= 2
    families = [{color for color, k in zip(colors, classes) if k == c} for c in (1, 2, 3)]
    assert not families[0] & families[1] and not families[1] & families[2]
    plain = choose_colors(boxes, classes, one_class=False, color_by="class")
    assert plain == [PALETTE[k - 1] for k in classes]


def test_a_class_is_in_one_colour_where_nothing_touches_and_where_it_is_asked_for():
    ones = np.ones(3, int)
    assert set(choose_colors(APART, ones, one_class=False)) == {PALETTE[0]}
    assert set(choose_colors(APART, ones, True, color_by="class")) == {PALETTE[0]}
    assert len(set(choose_colors(APART, ones, one_class=True))) == 3


def test_a_number_has_one_colour_in_all_frames():
    ids, ones = np.array([4, 17, 2]), np.ones(3, int)
    first = choose_colors(APART, ones, True, ids=ids)
    later = choose_colors(APART[::-1] + 7, ones, True, ids=ids[::-1])
    assert first == later[::-1] and len(set(first)) == 3
    shaded = choose_colors(APART, ones, False, ids=ids)
    assert shaded == choose_colors(APART[::-1], ones, False, ids=ids[::-1])[::-1]


def test_shades_differ_even_where_hues_must_not_turn():
    for color in PALETTE:
        for spread in (0.0, 1.0):
            shades = np.array([shade_of(color, s, spread) for s in range(len(SHADES))])
            assert tuple(shades[0]) == color and shades.min() >= 0 and shades.max() <= 255
            apart = np.abs(shades[:, None] - shades[None]).sum(-1)[np.triu_indices(len(SHADES), 1)]
            assert apart.min() >= 20, (color, spread)
