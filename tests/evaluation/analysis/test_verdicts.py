import numpy as np
import pytest

from helpers.drawn_sets import drawn, random_set
from tfmaskrcnn.evaluation.analysis.coco_matching import NONE, match_all
from tfmaskrcnn.evaluation.analysis.verdicts import judge

A, B, C = (10, 10, 30, 30), (10, 60, 30, 80), (60, 10, 80, 30)
NEAR_A, NEAR_B = (10, 22, 30, 42), (10, 72, 30, 92)  # IoU 1/4 with A, B
NOWHERE = (60, 80, 90, 110)


def one(objects, found, **options):
    return judge(drawn([(objects, found)], num_classes=2), "mask", **options)[0]


def test_each_of_the_verdicts_is_given_where_it_is_due():
    objects = [(1, A), (2, B), (1, C), (1, (90, 0, 100, 60), True)]
    found = [
        (1, A, 0.9),
        (1, (10, 10, 30, 29), 0.8),
        (1, B, 0.7),
        (2, NEAR_A, 0.6),
        (1, NOWHERE, 0.5),
        (1, (90, 20, 100, 40), 0.4),
        (2, NEAR_B, 0.3),
        (1, C, 0.1),
    ]
    verdict = one(objects, found, thresholds=[0.2, 0.2])
    assert verdict.found == [
        *("right", "duplicate", "classification", "both", "background", "ignored"),
        *("localisation", "unsure"),
    ]
    assert verdict.partner.tolist() == [0, 0, 1, 0, NONE, NONE, 1, NONE]
    assert verdict.objects == ["found", "misjudged", "missed", "crowd"]
    # The better of two that misjudge it, whatever their errors.
    assert verdict.finder.tolist() == [0, 2, NONE, NONE]


def test_without_thresholds_all_count():
    assert one([(1, C)], [(1, C, 0.0)]).found == ["right"]


def test_below_the_threshold_of_its_own_class_a_detection_finds_nothing():
    verdict = one([(1, A), (2, B)], [(1, A, 0.4), (2, B, 0.4)], thresholds=[0.5, 0.4])
    assert (verdict.found, verdict.objects) == (["unsure", "right"], ["missed", "found"])


def test_an_object_hit_badly_by_a_detection_that_a_crowd_excuses_is_not_missed():
    crowd = (1, (0, 20, 40, 60), True)  # most of NEAR_A is inside
    verdict = one([(1, A), crowd], [(1, NEAR_A, 0.9)])
    assert (verdict.found, verdict.objects) == (["ignored"], ["misjudged", "crowd"])
    assert (verdict.partner.tolist(), verdict.finder.tolist()) == ([0], [0, NONE])
    verdict = one([(1, A), crowd], [(1, A, 0.95), (1, NEAR_A, 0.9)])
    assert (verdict.found, verdict.objects) == (["right", "ignored"], ["found", "crowd"])
    assert verdict.partner.tolist() == [0, NONE]


def test_the_limits_of_iou_can_be_chosen():
    # IoU 1/4: right from 0.2 on, and nothing up to 0.3.
    assert one([(1, A)], [(1, NEAR_A, 0.9)], iou=0.2).found == ["right"]
    assert one([(1, A)], [(1, NEAR_A, 0.9)], background=0.3).found == ["background"]


def test_at_the_limits_themselves_an_overlap_is_what_the_authors_program_says():
    half = (1, (10, 10, 30, 20), 0.5)  # IoU 1/2
    assert one([(1, A)], [half]).found == ["right"]
    assert one([(1, A)], [(1, A, 0.9), half]).found == ["right", "localisation"]
    tenth = (10, 10, 30, 12)  # IoU 1/10
    assert one([(1, A)], [(1, tenth, 0.5)]).found == ["localisation"]
    assert one([(1, A)], [(2, tenth, 0.5)]).found == ["background"]


def test_nothing_anywhere_gets_no_verdict():
    verdict = one([], [])
    assert (verdict.found, verdict.objects) == ([], [])
    assert verdict.partner.shape == verdict.finder.shape == (0,)
    assert one([], [(1, A, 0.5)]).found == ["background"]
    assert one([(1, A)], []).objects == ["missed"]
    assert judge(drawn([]), "mask") == []


@pytest.mark.parametrize("thresholds", [None, [0.4, 0.6, 0.8]])
def test_what_is_right_is_what_coco_matches_and_pairs_point_at_each_other(thresholds):
    total = 0
    for seed in range(20):
        examined = random_set(seed, num_images=4, crowds=0.2)
        matches = match_all(examined, "mask", [0.5])
        sure = matches.scores >= np.array(thresholds or [0.0] * 3)[matches.classes - 1]
        verdicts = judge(examined, "mask", thresholds)
        right = sum(verdict.found.count("right") for verdict in verdicts)
        assert right == (matches.right[0] & sure).sum()
        total += right
        assert sum(v.found.count("unsure") for v in verdicts) == (~sure).sum()
        for image, verdict in zip(examined.images, verdicts):
            for row, (code, column) in enumerate(zip(verdict.found, verdict.partner)):
                assert code != "right" or verdict.finder[column] == row
                assert (column == NONE) == (code in ("unsure", "background")) or code == "ignored"
                assert column == NONE or not image.objects.crowd[column]
            for column, (code, row) in enumerate(zip(verdict.objects, verdict.finder)):
                assert (row != NONE) == (code in ("found", "misjudged"))
                assert row == NONE or verdict.partner[row] == column
                assert (code == "found") == (row != NONE and verdict.found[row] == "right")
                assert (code == "crowd") == image.objects.crowd[column]
    assert total > 50
