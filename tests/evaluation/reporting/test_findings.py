"""`evaluation/reporting/findings.py`: what the sentences say."""

import dataclasses

import numpy as np
import pytest

from helpers.drawn_report import changed, report_of
from helpers.drawn_sets import drawn
from tfmaskrcnn.evaluation.analysis.conditions import Condition, Conditions
from tfmaskrcnn.evaluation.analysis.operating_points import Reliability
from tfmaskrcnn.evaluation.reporting import findings, views

BOXES = [(5, 5, 25, 25), (5, 40, 25, 60), (5, 70, 25, 90), (50, 5, 90, 45)]


@pytest.fixture(scope="module")
def perfect():
    objects = [(1 + i % 2, box) for i, box in enumerate(BOXES)]
    return report_of(drawn([(objects, [(*o, 0.9) for o in objects])] * 2))


@pytest.fixture(scope="module")
def mixed():
    """Of 8 objects 5 found, 1 missed, 1 as the other class, 1 badly; 1 false detection."""
    objects = [(1, box) for box in BOXES]
    good = [(1, box, 0.9) for box in BOXES]
    spoilt = [good[0], (2, BOXES[1], 0.9), (1, (5, 70, 25, 78), 0.95), (1, (60, 60, 95, 95), 0.9)]
    return report_of(drawn([(objects, good), (objects, spoilt)]))


def test_a_perfect_model_has_nothing_wrong(perfect):
    assert findings.tally(perfect.verdicts) == (8, 8, 0, 0, 8, 0)
    text = findings.headline(perfect)
    assert "0.600 (0.500 to 0.700 with" in text and "8 (100 %) are found, none is missed" in text
    assert text.endswith("of 8 detections none is wrong.")
    assert "None is taken for another class" in findings.confusion(perfect, [])
    assert "costs anything" in findings.costs(perfect)
    assert "right in all 2 images" in findings.counting(perfect)
    assert "usual 0.5 does as well" in findings.threshold(perfect)
    assert findings.worst(perfect, []) == "No image has an error."
    assert "1.00" in findings.panoptic(perfect) and "mean IoU of 1.00" in findings.outlines(perfect)


def test_errors_are_counted_and_named(mixed):
    assert findings.tally(mixed.verdicts) == (8, 5, 1, 2, 8, 3)
    text = findings.headline(mixed)
    assert "5 (62 %) are found, 1 missed and 2 hit badly; of 8 detections 3 are wrong." in text
    pairs = views.confused_pairs(mixed)
    assert pairs == [("class 1", "class 2", 1, 8)]
    text = findings.confusion(mixed, pairs)
    assert "Of 8 objects 6 are found as something and 2 are not" in text
    assert "1 of those found (17 %)" in text and "class 1 for class 2 (1 of 8)" in text
    rows = views.worst_rows(mixed, [1])
    assert rows[0].errors == 4 and findings.worst(mixed, rows).startswith("100 % of all 4 errors")
    kinds = views.kinds_of_error(mixed)
    words = "1 wrong class, 1 badly outlined, 1 false, 1 missed, 1 right"
    assert rows[0].in_words(kinds) == words


def test_the_dearest_error_is_named_with_the_ap_without_it(mixed):
    costs = {"classification": 0.01, "localisation": 0.25, "missed": 0.1}
    changed(mixed, costs={"mask": mixed.costs["mask"]._replace(ap=0.5, costs=costs)})
    text = findings.costs(mixed)
    assert (
        text
        == "Most is lost by bad outlines: without them mask AP50 would be 0.750 instead of 0.500."
    )


def test_nothing_found_and_nothing_annotated_are_said():
    nothing = report_of(drawn([([(1, BOXES[0])], [])]))
    assert findings.headline(nothing).endswith("Of 1 object none is found; there is no detection.")
    assert "no threshold helps" in findings.threshold(nothing)
    assert "no scores to judge" in findings.reliability(nothing)
    assert "None of 1 object is found" in findings.confusion(nothing, [])
    assert "too few objects" in findings.failing(nothing)
    assert "no outlines" in findings.outlines(nothing)
    empty = report_of(drawn([([], [(1, BOXES[0], 0.9)])]))
    text = "Nothing is annotated in these images, so no AP exists (1 detection)."
    assert findings.headline(empty) == text
    assert "no score can be called the best" in findings.threshold(empty)
    assert "no error has a price" in findings.costs(empty)
    assert findings.headline(report_of(drawn([]))).startswith("No image")


def test_only_a_clear_difference_is_a_place_where_it_fails(mixed):
    def failing(recall, count):
        rows = [
            Condition("small", 2, count, recall, -1.0, 0.7),
            Condition("few", 1, 3, 0.0, -1, -1),
        ]
        return findings.failing(changed(mixed, conditions=[Conditions("", "", rows)]))

    assert "nowhere in particular" in failing(0.55, 12)  # of 62 %, half a standard error
    text = failing(0.3, 40)
    assert "\u201csmall\u201d: 30 % of 40 objects, against 62 % of all 8" in text


def test_reliability_says_in_which_direction_scores_are_wrong(mixed):
    def said(score, right):
        edges, counts = np.array([0, 0.5, 1]), np.array([0, 100])
        means, shares = np.array([np.nan, score]), np.array([np.nan, right])
        scores = Reliability(edges, counts, means, shares, abs(score - right))
        return findings.reliability(changed(mixed, reliability=scores))

    assert "promise too much, by 0.20" in said(0.9, 0.7) and "70 % are right" in said(0.9, 0.7)
    assert "promise too little" in said(0.6, 0.8) and "mean what they say" in said(0.8, 0.82)


@pytest.mark.parametrize(
    "masks, boxes, word", [(0.4, 0.5, "coarse"), (0.5, 0.4, "boxes are the weaker")]
)
def test_coarse_masks_are_told_from_wrong_boxes(mixed, masks, boxes, word):
    result = dataclasses.replace(mixed.result, masks={"AP": masks}, boxes={"AP": boxes})
    assert word in findings.outlines(changed(mixed, result=result))
