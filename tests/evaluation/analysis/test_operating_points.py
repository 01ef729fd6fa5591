import numpy as np
import pytest

from helpers.drawn_sets import drawn, random_set
from tfmaskrcnn.evaluation.analysis.coco_matching import match_all
from tfmaskrcnn.evaluation.analysis.operating_points import operating_points, reliability
from tfmaskrcnn.evaluation.analysis.precision import ABSENT

A, B, C = (10, 10, 30, 30), (10, 60, 30, 80), (60, 10, 80, 30)
NOWHERE = (60, 80, 90, 110)


def points_of(objects, found, num_classes=None):
    examined = drawn([(objects, found)], num_classes=num_classes)
    return operating_points(examined, match_all(examined, "box", [0.5]), "box")


def test_precision_recall_and_f1_by_hand():
    found = [(1, A, 0.9), (1, NOWHERE, 0.8), (1, B, 0.6), (1, NOWHERE, 0.2)]
    curve = points_of([(1, A), (1, B), (1, C)], found).overall
    np.testing.assert_allclose(curve.scores, [0.9, 0.8, 0.6, 0.2])
    np.testing.assert_allclose(curve.precision, [1, 1 / 2, 2 / 3, 2 / 4])
    np.testing.assert_allclose(curve.recall, [1 / 3, 1 / 3, 2 / 3, 2 / 3])
    np.testing.assert_allclose(curve.f1, [2 / 4, 2 / 5, 4 / 6, 4 / 7])
    # Half-way to the next lower score.
    assert curve.best == pytest.approx((0.4, 2 / 3, 2 / 3, 2 / 3)) and curve.num_objects == 3
    assert curve.usual == pytest.approx((0.5, 2 / 3, 2 / 3, 2 / 3))


def test_detections_of_equal_scores_are_taken_or_left_together():
    curve = points_of([(1, A)], [(1, A, 0.5), (1, NOWHERE, 0.5), (1, C, 0.5)]).overall
    assert curve.scores.tolist() == [0.5] and curve.precision.tolist() == [1 / 3]
    assert curve.best.score == 0.5


def test_a_threshold_takes_the_detections_at_it_and_above():
    curve = points_of([(1, A), (1, B)], [(1, A, 0.75), (1, B, 0.5)]).overall
    assert curve.at(0.5).recall == 1 and curve.at(0.75).recall == 0.5
    assert curve.at(0.76) == (0.76, 1.0, 0.0, 0.0)  # nothing found, nothing of it wrong


def test_classes_have_their_own_scores_and_those_without_objects_the_overall_one():
    found = [(1, A, 0.9), (1, NOWHERE, 0.7), (2, B, 0.3), (3, C, 0.8)]
    points = points_of([(1, A), (2, B)], found, num_classes=3)
    assert points.per_class["class 1"].best.score == pytest.approx(0.8)
    assert points.per_class["class 2"].best.score == pytest.approx(0.3)
    assert points.per_class["class 3"].best == (0.5, ABSENT, ABSENT, ABSENT)
    expected = [0.8, 0.3, points.overall.best.score]
    np.testing.assert_allclose(points.thresholds(), expected)


def test_nothing_right_leaves_the_usual_threshold():
    assert points_of([(1, A)], [(1, NOWHERE, 0.9)]).overall.best.score == 0.5
    assert points_of([(1, A)], []).overall.best == (0.5, 1.0, 0.0, 0.0)
    assert points_of([], []).overall.best.f1 == ABSENT


def test_the_threshold_of_one_half_is_no_worse_than_one_half_on_the_other():
    # The bar on drawn sets; over all splits, because a single one may fall either way.
    chosen = usual = 0.0
    for seed in range(10):
        examined = random_set(seed, num_images=60, num_classes=1)
        halves = []
        for part in (slice(None, None, 2), slice(1, None, 2)):
            half = type(examined)(examined.images[part], examined.class_names, True, 100)
            halves.append(operating_points(half, match_all(half, "mask", [0.5]), "mask").overall)
        for own, other in (halves, halves[::-1]):
            chosen += other.at(own.best.score).f1
            usual += other.usual.f1
    assert chosen >= usual


def test_reliability_by_hand():
    # In 0.9..1: one of two right at a mean of 0.95; in 0.2..0.3: none of one.
    found = [(1, A, 0.9), (1, NOWHERE, 1.0), (1, C, 0.25)]
    examined = drawn([([(1, A)], found)])
    table = reliability(match_all(examined, "box", [0.5]))
    assert table.counts.tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 0, 2]
    assert table.mean_scores[9] == pytest.approx(0.95) and table.shares_right[9] == 0.5
    assert table.shares_right[2] == 0 and np.isnan(table.shares_right[0])
    assert table.ece == pytest.approx((2 * 0.45 + 0.25) / 3)


def test_scores_that_are_shares_are_reliable_and_no_detection_says_nothing():
    assert reliability(match_all(drawn([([(1, A)], [])]), "box", [0.5])).ece == ABSENT
    boxes = [(i, j, i + 8, j + 8) for i in range(0, 90, 10) for j in range(0, 110, 10)][:50]
    found = [(1, box, 0.7) for box in boxes]
    examined = drawn([([(1, box) for box in boxes[:35]], found)])
    assert reliability(match_all(examined, "box", [0.5])).ece == pytest.approx(0)


def test_a_detection_in_a_crowd_region_counts_nowhere():
    objects, found = [(1, A), (1, B, True)], [(1, A, 0.9), (1, (12, 62, 28, 78), 0.95)]
    points = points_of(objects, found)
    for curve in (points.overall, points.per_class["class 1"]):
        assert curve.scores.tolist() == [0.9] and curve.num_objects == 1 and curve.best.f1 == 1
    examined = drawn([(objects, found)])
    assert reliability(match_all(examined, "box", [0.5])).counts.sum() == 1


def test_a_threshold_between_neighbouring_scores_parts_them_in_float32_too():
    above = float(np.nextafter(np.float32(0.5), np.float32(1)))
    best = points_of([(1, A)], [(1, A, above), (1, NOWHERE, 0.5)]).overall.best
    assert best.f1 == 1 and 0.5 < np.float32(best.score) <= above
