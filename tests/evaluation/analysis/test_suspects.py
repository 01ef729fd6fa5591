import numpy as np
import pytest

from helpers.drawn_sets import drawn, random_set
from tfmaskrcnn.evaluation.analysis.suspects import certain_mistakes, label_errors, worst_images
from tfmaskrcnn.evaluation.analysis.verdicts import ERRORS, judge

A, B, C = (10, 10, 30, 30), (10, 60, 30, 80), (60, 10, 80, 30)
NEAR_A = (10, 22, 30, 42)  # IoU 1/4 with A
NOWHERE = (60, 80, 90, 110)


def judged(images, thresholds=(0.5, 0.5)):
    examined = drawn(images, num_classes=2)
    return examined, judge(examined, "mask", thresholds)


def grid(right, missed):
    """A set of many objects in one image: the first `right` of them found."""
    boxes = [(y, x, y + 5, x + 5) for y in range(0, 95, 6) for x in range(0, 115, 6)]
    objects = [(1, box) for box in boxes[: right + missed]]
    return objects, [(*entry, 0.9) for entry in objects[:right]]


def test_the_worst_image_is_neither_the_most_crowded_nor_one_with_a_single_object():
    half_wrong, crowded, perfect = grid(20, 20), grid(220, 24), grid(30, 0)
    single = ([(1, A)], [(1, NOWHERE, 0.99)])
    examined, verdicts = judged([perfect, single, crowded, half_wrong])
    # Mistakes 24 of 244, 20 of 40, 2 of 2.
    assert worst_images(examined, verdicts, 4) == [3, 2, 1]
    assert worst_images(examined, verdicts, 1) == [3]


def test_of_images_with_equal_harm_the_one_that_is_surer_of_its_mistake_is_worse():
    images = [([(1, A)], [(1, A, 0.9), (1, NOWHERE, score)]) for score in (0.6, 0.9, 0.7)]
    assert worst_images(*judged(images), 3) == [1, 2, 0]


def test_each_kind_of_mistake_names_its_detection_its_object_and_the_reason():
    objects = [(1, A), (2, B), (1, C)]
    found = [(1, A, 0.95), (1, NOWHERE, 0.9), (1, B, 0.8), (1, A, 0.75), (2, NEAR_A, 0.7)]
    mistakes = certain_mistakes(*judged([([], []), (objects, [*found, (1, NEAR_A, 0.6)])]), 5)
    assert list(mistakes) == [*ERRORS, "missed"]
    places = {k: [(s.image, s.row, s.object) for s in suspects] for k, suspects in mistakes.items()}
    assert places == {
        "classification": [(1, 2, 1)],
        "localisation": [(1, 5, 0)],
        "both": [(1, 4, 0)],
        "duplicate": [(1, 3, 0)],
        "background": [(1, 1, -1)],
        "missed": [(1, -1, 2)],
    }
    assert all(s.kind == kind for kind, suspects in mistakes.items() for s in suspects)
    assert {kind: suspects[0].text for kind, suspects in mistakes.items()} == {
        "classification": "class 1 0.80, annotated as class 2 (IoU 1.00)",
        "localisation": "class 1 0.60, fits its object badly (IoU 0.25)",
        "both": "class 2 0.70, fits badly what is annotated as class 1 (IoU 0.25)",
        "duplicate": "class 1 0.75, found already with 0.95 (IoU 1.00)",
        "background": "class 1 0.90, no annotation fits it",
        "missed": "class 1 of 400 px, not found",
    }


def test_missed_objects_come_by_size_and_say_what_stays_below_the_threshold():
    objects = [(1, (0, 0, 5, 5)), (1, NOWHERE), (1, B)]
    missed = certain_mistakes(*judged([(objects, [(1, B, 0.9), (2, NOWHERE, 0.4)])]), 5)["missed"]
    assert [s.object for s in missed] == [1, 0]
    assert missed[0].text == "class 1 of 900 px, not found; class 2 0.40 is below the threshold"
    assert missed[1].text == "class 1 of 25 px, not found"
    assert missed[0].score == pytest.approx(900 / 12000)


def test_a_list_takes_a_quarter_from_one_image_unless_others_have_no_more():
    surest = ([], [(1, NOWHERE, 0.99 - i / 100) for i in range(8)])
    images = [surest, *[([], [(1, NOWHERE, 0.6 + i / 100)]) for i in range(3)]]
    background = certain_mistakes(*judged(images), 4)["background"]
    assert [s.image for s in background] == [0, 3, 2, 1]
    background = certain_mistakes(*judged(images), 8)["background"]
    assert [s.image for s in background] == [0, 0, 0, 0, 0, 3, 2, 1]


def test_certain_detections_without_an_annotation_may_be_forgotten_ones():
    # Half the right ones have 0.8 or more: 0.7 is above the threshold, and not certain.
    right = [([(1, A)], [(1, A, score)]) for score in (0.6, 0.7, 0.8, 0.9, 0.95)]
    right += [([(2, A)], [(2, A, 0.99)])] * 5  # another class, with scores of its own
    found = [(1, NOWHERE, 0.85), (1, C, 0.7), (1, B, 0.9)]
    doubtful = label_errors(*judged([*right, ([(2, B, True)], found)]), 5)["not annotated"]
    assert [(s.image, s.row, s.kind) for s in doubtful] == [(10, 1, "background")]  # B: a crowd


def test_with_few_right_detections_of_its_class_a_detection_must_be_as_sure_as_any():
    right = [([(1, A)], [(1, A, 0.9)])] * 5 + [([(2, A)], [(2, A, 0.6)])]
    found = [(2, NOWHERE, 0.7), (2, C, 0.95)]
    doubtful = label_errors(*judged([*right, ([], found)]), 5)["not annotated"]
    assert [s.score for s in doubtful] == [0.95]


def test_an_object_that_nothing_reaches_may_be_no_object():
    objects = [(1, A), (1, B), (2, C), (1, NOWHERE, True)]
    found = [(2, NEAR_A, 0.01), (1, (10, 75, 30, 95), 0.9)]  # IoU 1/4 with A, 1/7 with B
    examined, verdicts = judged([(objects, found)])
    doubtful = label_errors(examined, verdicts, 5)["found by nothing"]
    assert [(s.row, s.object, s.kind) for s in doubtful] == [(-1, 2, "missed")]


def test_an_object_is_not_doubted_where_no_more_detections_of_its_class_could_be():
    objects = [(1, C), (2, B)]
    examined, verdicts = judged([(objects, [(1, A, 0.9)] * 100)])
    doubtful = label_errors(examined, verdicts, 5)["found by nothing"]
    assert [s.object for s in doubtful] == [1]


def test_a_certain_and_exact_detection_of_another_class_doubts_the_annotation():
    right = ([(1, C)], [(1, C, 0.8)])
    exact = ([(2, A)], [(1, A, 0.9)])
    rough = ([(2, A)], [(1, (10, 10, 30, 24), 0.9)])  # IoU 0.7
    found_too = ([(2, A)], [(1, A, 0.9), (2, A, 0.85)])
    unsure = ([(2, A)], [(1, A, 0.7)])
    doubtful = label_errors(*judged([right, exact, rough, found_too, unsure]), 5)["other class"]
    assert [(s.image, s.row, s.object) for s in doubtful] == [(1, 0, 0)]


def test_a_model_that_finds_nothing_doubts_no_annotation_by_its_scores():
    doubtful = label_errors(*judged([([(1, A)], [(1, NOWHERE, 0.99)])]), 5)
    assert doubtful["not annotated"] == doubtful["other class"] == []


def test_a_perfect_predictor_and_an_empty_set_have_no_suspects():
    for images in ([], [([], [])], [([(1, A), (2, B)], [(1, A, 0.9), (2, B, 0.9)])]):
        examined, verdicts = judged(images)
        assert worst_images(examined, verdicts, 5) == []
        for lists in (certain_mistakes, label_errors):
            assert not any(lists(examined, verdicts, 5).values())


def test_lists_are_short_ordered_and_of_their_verdict():
    for seed in range(5):
        examined = random_set(seed, crowds=0.2)
        verdicts = judge(examined, "mask", np.full(3, 0.4))
        for lists in (certain_mistakes(examined, verdicts, 3), label_errors(examined, verdicts, 3)):
            for suspects in lists.values():
                assert len(suspects) <= 3
                assert [s.score for s in suspects] == sorted(s.score for s in suspects)[::-1]
                for s in suspects:
                    verdict = verdicts[s.image]
                    codes = verdict.objects if s.row < 0 else verdict.found
                    assert s.kind == codes[s.object if s.row < 0 else s.row]
