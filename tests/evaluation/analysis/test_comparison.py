import dataclasses

import numpy as np
import pytest

from helpers.drawn_sets import drawn, random_set
from helpers.without_masks import without_masks
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.evaluation.analysis.bootstrap import Interval, ap_interval
from tfmaskrcnn.evaluation.analysis.coco_matching import match_all
from tfmaskrcnn.evaluation.analysis.comparison import (
    NO,
    OPEN,
    YES,
    _images_needed,
    compare,
    image_scores,
)
from tfmaskrcnn.evaluation.analysis.precision import average_precision, mean_present

A, B = (10, 10, 30, 30), (10, 60, 30, 80)
BAD_A = (10, 10, 30, 22)  # IoU 0.6
LOW = np.zeros(3)


def lossy(examined, every):
    """The same with each `every`-th detection of an image lost."""
    images = []
    for image in examined.images:
        kept = np.flatnonzero(np.arange(len(image.found.scores)) % every != every - 1)
        found = image.found
        images.append(
            dataclasses.replace(
                image,
                found=found._replace(
                    classes=found.classes[kept],
                    scores=found.scores[kept],
                    boxes=found.boxes[kept],
                    rles=[found.rles[i] for i in kept],
                ),
            )
        )
    return dataclasses.replace(examined, images=images)


def test_a_model_that_finds_less_is_worse_and_the_other_way_round_better():
    examined = random_set(0, num_images=40)
    worse = lossy(examined, 3)
    found = compare(worse, examined, LOW, LOW)
    aps = [mean_present(average_precision(match_all(e, "mask")))[0] for e in (worse, examined)]
    assert (found.first, found.second) == pytest.approx(aps)
    assert found.difference.value == pytest.approx(aps[0] - aps[1]) and found.verdict == NO
    assert found.images_needed == 0
    back = compare(examined, worse, LOW, LOW)
    assert back.verdict == YES
    assert back.difference.low == pytest.approx(-found.difference.high)


def test_a_model_is_not_better_than_itself():
    examined = random_set(1, num_images=10)
    found = compare(examined, examined, LOW, LOW)
    assert found.verdict == OPEN and found.difference == (0, 0, 0) and found.images_needed == 0


def test_a_difference_in_few_images_is_none_and_more_images_are_asked_for():
    good = ([(1, A), (1, B)], [(1, A, 0.9), (1, B, 0.8)])
    bad = ([(1, A), (1, B)], [(1, A, 0.9)])
    first, second = drawn([good, good, bad, good]), drawn([good, bad, good, bad])
    found = compare(first, second, [0], [0])
    assert found.difference.value > 0 and found.verdict == OPEN and found.images_needed > 4


def test_pairing_tells_small_differences_that_separate_intervals_would_not():
    examined = random_set(4, num_images=60, num_classes=1)
    found = compare(examined, lossy(examined, 6), [0], [0])
    assert found.verdict == YES
    width = found.difference.high - found.difference.low
    alone = ap_interval(match_all(examined, "mask"))
    assert width < (alone.high - alone.low) / 2


def test_classes_are_compared_each_by_itself():
    first = drawn([([(1, A), (2, B)], [(1, A, 0.9)])] * 4, num_classes=3)
    second = drawn([([(1, A), (2, B)], [(2, B, 0.9)])] * 4, num_classes=3)
    found = compare(first, second, LOW, LOW)
    assert found.per_class["class 1"] == (1, 1, 1) and found.per_class["class 2"] == (-1, -1, -1)
    assert not found.per_class["class 3"].known and found.verdict == OPEN


def test_the_images_that_differ_most_come_first():
    right, half = ([(1, A)], [(1, A, 0.9)]), ([(1, A)], [(1, BAD_A, 0.9)])
    missed = ([(1, A)], [])
    first, second = drawn([right, right, right]), drawn([right, missed, half])
    found = compare(first, second, [0], [0])
    assert [change.image for change in found.changes] == [1, 2, 0]
    assert found.changes[0][1:] == (1.0, 0.0)
    assert found.changes[1].second == pytest.approx(0.3)  # right at 0.50, 0.55, 0.60 of ten


def test_scores_of_images_heed_the_thresholds():
    examined = drawn([([(1, A)], [(1, A, 0.4), (1, B, 0.3)]), ([], [])])
    matches = match_all(examined, "mask")
    assert image_scores(examined, matches, [0.35]).tolist() == [1.0, 1.0]
    np.testing.assert_allclose(image_scores(examined, matches, [0.0])[0], 2 / 3)
    assert image_scores(examined, matches, [0.5])[0] == 0


def test_boxes_are_compared_where_one_model_has_no_masks():
    examined = random_set(2)
    assert compare(examined, without_masks(examined), LOW, LOW).kind == "box"


def test_other_images_and_other_categories_are_refused():
    examined = random_set(2)
    fewer = dataclasses.replace(examined, images=examined.images[1:])
    with pytest.raises(InputError, match="not shown the same images"):
        compare(examined, fewer, LOW, LOW)
    other = dataclasses.replace(examined, class_names=("class 1", "class 2", "stone"))
    with pytest.raises(InputError, match="knows class 3, stone; compare .* --classes"):
        compare(examined, other, LOW, LOW)


def test_without_objects_nothing_is_told():
    empty = drawn([([], []), ([], [(1, A, 0.9)])])
    found = compare(empty, empty, [0], [0])
    assert found.verdict == OPEN and not found.difference.known and found.first == -1


def test_so_many_images_are_needed_as_make_the_interval_as_wide_as_the_difference():
    assert _images_needed(Interval(0.1, -0.1, 0.3), 10) == 40  # half as wide takes four times
    assert _images_needed(Interval(0.3, -0.1, 0.4), 4) == 5  # more than there are
    assert _images_needed(Interval(0.0, -0.1, 0.1), 4) == 0


def test_each_model_is_judged_at_its_own_thresholds():
    examined = drawn([([(1, A)], [(1, A, 0.5)])] * 3)
    change = compare(examined, examined, [0.5], [0.6]).changes[0]
    assert (change.first, change.second) == (1, 0)  # a score at the threshold counts
