"""Tests of which pictures are worth labelling."""

import numpy as np
import pytest

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.results.uncertainty import most_uncertain, uncertainty


def found_with(scores):
    boxes = np.zeros((len(scores), 4))
    return Instances(boxes, np.array(scores, float), np.ones(len(scores)), (10, 10))


def test_a_detection_at_its_threshold_counts_a_half_and_a_sure_one_nothing():
    for threshold in (0.1, 0.5, 0.865):
        assert uncertainty(found_with([threshold]), np.float64(np.float32(threshold))) == 0.5
        assert uncertainty(found_with([1.0, 0.0]), threshold) == 0
    assert uncertainty(found_with([]), 0.5) == 0


def test_a_case_by_hand():
    # 0.9 is two fifths of the way from 1 to 0.75, hence wrong with 0.2; 0.375 is half of 0.75.
    assert uncertainty(found_with([0.9, 0.375]), 0.75) == pytest.approx(0.2 + 0.25)


def test_nearer_to_the_threshold_is_less_sure_from_both_sides():
    thresholds = np.full(1, 0.6)
    values = [uncertainty(found_with([s]), thresholds) for s in (0.1, 0.3, 0.6, 0.8, 0.99)]
    assert values[0] < values[1] < values[2] > values[3] > values[4]


def test_each_detection_has_the_threshold_of_its_class():
    found = found_with([0.8, 0.3])
    one = uncertainty(found[:1], 0.8) + uncertainty(found[1:], 0.4)
    assert uncertainty(found, [0.8, 0.4]) == pytest.approx(one)


def test_thresholds_at_the_ends_divide_by_nothing():
    for threshold in (0.0, 1.0):
        for score in (0.0, 0.4, 1.0):
            assert 0 <= uncertainty(found_with([score]), threshold) <= 0.5


@pytest.mark.parametrize("thresholds", [[0.5, 0.5], 1.5, -0.1, float("nan")])
def test_thresholds_that_do_not_fit_are_told(thresholds):
    with pytest.raises(InputError, match="threshold"):
        uncertainty(found_with([0.5]), thresholds)


def test_the_most_uncertain_come_first_and_ties_keep_their_order():
    assert most_uncertain([0.1, 0.7, 0.0, 0.7, 0.3], 3) == [1, 3, 4]
    assert most_uncertain([0.1], 5) == [0]
    assert most_uncertain([], 5) == []
