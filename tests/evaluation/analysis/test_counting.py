"""Counts on hand cases."""

import pytest

from helpers.drawn_sets import drawn, random_set
from helpers.without_masks import without_masks
from tfmaskrcnn.evaluation.analysis.counting import counting


def bar(left):
    return (0, left, 10, left + 10)


def test_errors_of_both_signs_in_three_images():
    one, two = (1, bar(0)), (2, bar(20))
    images = [
        ([one, two], [(*one, 0.9), (*two, 0.9), (1, bar(40), 0.9)]),  # one too many
        ([one, two], [(1, bar(60), 0.9), (1, bar(80), 0.3), (2, bar(0), 0.6)]),  # one too few
        ([one], [(2, bar(0), 0.8)]),  # as many, of another class
    ]
    result = counting(drawn(images), [0.5, 0.7])
    assert result.annotated.tolist() == [2, 2, 1] and result.found.tolist() == [3, 1, 1]
    assert result.mean_error == 0.0 and result.mean_absolute_error == pytest.approx(2 / 3)
    assert result.relative_error == pytest.approx(2 / 5) and result.exact == pytest.approx(1 / 3)
    assert result.per_class == {
        "class 1": (3, 3, pytest.approx(2 / 3)),
        "class 2": (2, 2, pytest.approx(2 / 3)),
    }


def test_too_many_is_a_positive_error():
    result = counting(
        drawn([([], [(1, bar(0), 0.9)]), ([(1, bar(0))], [(1, bar(50), 0.5)])]), [0.5]
    )
    assert result.mean_error == 0.5 and result.relative_error == 1.0 and result.exact == 0.5


def test_what_lies_in_a_crowd_region_is_not_counted():
    crowd = (1, (0, 0, 50, 100), True)
    found = [
        (1, bar(0), 0.9),
        (1, bar(30), 0.9),
        (1, (45, 0, 55, 10), 0.8),
        (1, (46, 0, 57, 9), 0.8),
    ]
    result = counting(drawn([([crowd, (1, bar(30))], found)]), [0.5])
    # The object in the crowd is one; half of the third lies in the crowd, less of the fourth.
    assert result.annotated.tolist() == [1] and result.found.tolist() == [2]


def test_boxes_alone_are_counted_like_masks():
    examined = random_set(0)
    assert counting(without_masks(examined), [0.5] * 3)[2:] == counting(examined, [0.5] * 3)[2:]


def test_a_perfect_predictor_counts_exactly():
    objects = [(1, bar(0)), (2, bar(20))]
    result = counting(drawn([(objects, [(*entry, 0.9) for entry in objects])]), [0.5, 0.5])
    assert result[2:6] == (0.0, 0.0, 0.0, 1.0)


def test_without_objects_or_images_numbers_are_marked_as_absent():
    assert counting(drawn([([], [])]), [0.5])[2:6] == (0.0, 0.0, -1.0, 1.0)
    nothing = counting(drawn([]), [0.5])
    assert nothing[2:6] == (0.0, -1.0, -1.0, -1.0)
    assert nothing.per_class == {"class 1": (0, 0, -1.0)}
