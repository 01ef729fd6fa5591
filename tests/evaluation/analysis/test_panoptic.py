"""Panoptic quality on hand cases."""

import pytest

from helpers.drawn_sets import drawn
from tfmaskrcnn.evaluation.analysis.panoptic import panoptic_quality

THERE = (0, 0, 10, 10)


def bar(left, width=10):
    """10 pixels high."""
    return (0, left, 10, left + width)


def quality(objects, found, thresholds=(0.5,)):
    return panoptic_quality(drawn([(objects, found)], num_classes=len(thresholds)), thresholds)


def test_the_formula_on_a_right_a_wrong_and_two_missed_objects():
    # IoU 9 / 11 of the right one; F1 = 1 / (1 + (1 + 2) / 2) = 0.4.
    objects = [(1, bar(0)), (1, bar(30)), (1, bar(60))]
    result = quality(objects, [(1, bar(1), 0.9), (1, bar(80), 0.8)])
    assert result.sq == pytest.approx(9 / 11) and result.rq == pytest.approx(0.4)
    assert result.pq == pytest.approx(0.4 * 9 / 11)
    assert result.per_class["class 1"] == (result.pq, result.sq, result.rq)


def test_half_an_overlap_is_no_match():
    assert quality([(1, bar(0))], [(1, bar(0, 5), 0.9)]).pq == 0.0
    assert quality([(1, bar(0))], [(1, bar(0, 6), 0.9)]).pq == pytest.approx(0.6)


def test_a_pixel_belongs_to_the_best_detection():
    # The worse one covers both objects; what is left of it is the second. One is left with nothing.
    objects = [(1, bar(0)), (1, bar(10))]
    found = [(1, bar(0), 0.9), (1, bar(0, 20), 0.8), (1, bar(5), 0.7)]
    assert quality(objects, found) == (1.0, 1.0, 1.0, {"class 1": (1.0, 1.0, 1.0)})


def test_each_class_has_its_threshold_and_the_mean_is_over_those_that_occur():
    objects = [(1, bar(0)), (2, bar(20))]
    found = [(1, bar(0), 0.6), (2, bar(20), 0.6)]
    result = quality(objects, found, (0.5, 0.7, 0.5))
    assert result.per_class == {"class 1": (1, 1, 1), "class 2": (0, 0, 0), "class 3": (-1, -1, -1)}
    assert result[:3] == (0.5, 0.5, 0.5)


def test_another_class_is_wrong_and_missed_at_once():
    result = quality([(1, bar(0))], [(2, bar(0), 0.9)], (0.5, 0.5))
    assert result.per_class == {"class 1": (0, 0, 0), "class 2": (0, 0, 0)}


def test_counts_are_summed_over_images_before_the_quality():
    right, missed = ([(1, THERE)], [(1, THERE, 0.9)]), ([(1, THERE)], [])
    assert panoptic_quality(drawn([right, missed]), [0.5]).rq == pytest.approx(1 / 1.5)


def test_a_crowd_region_excuses_what_lies_in_it_by_more_than_half():
    objects = [(1, bar(0)), (1, bar(20, 20), True)]
    right = (1, bar(0), 0.9)
    assert quality(objects, [right]).pq == 1.0
    assert quality(objects, [right, (1, bar(14), 0.8)]).rq == pytest.approx(1 / 1.5)
    assert quality(objects, [right, (1, bar(15), 0.8)]).rq == pytest.approx(1 / 1.5)
    assert quality(objects, [right, (1, bar(16), 0.8)]).rq == 1.0
    other = quality(objects, [right, (2, bar(22), 0.8)], (0.5, 0.5))
    assert other.per_class["class 2"].rq == 0.0


def test_a_perfect_predictor_is_perfect():
    objects = [(1, bar(0)), (2, bar(20)), (1, bar(40))]
    found = [(*entry, 0.9) for entry in objects]
    assert quality(objects, found, (0.5, 0.5))[:3] == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("images", ([], [([], [])], [([], [(1, THERE, 0.3)])]))
def test_nothing_there_and_nothing_found_has_no_quality(images):
    result = panoptic_quality(drawn(images), [0.5])
    assert result == (-1.0, -1.0, -1.0, {"class 1": (-1.0, -1.0, -1.0)})
