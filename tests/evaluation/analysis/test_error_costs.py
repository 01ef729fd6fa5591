import numpy as np
import pytest

from helpers.drawn_sets import drawn, random_set
from helpers.paths import GOLDEN
from tfmaskrcnn.evaluation.analysis import precision
from tfmaskrcnn.evaluation.analysis.coco_matching import match_all
from tfmaskrcnn.evaluation.analysis.error_costs import error_costs
from tfmaskrcnn.evaluation.analysis.examined import Examined, ExaminedImage, Found, Objects
from tfmaskrcnn.evaluation.analysis.precision import ABSENT, average_precision, mean_present

A, B = (10, 10, 30, 30), (10, 60, 30, 80)
NEAR_A = (10, 22, 30, 42)  # IoU 1/4 with A
NOWHERE = (60, 80, 90, 110)
HALF = 51 / 101  # of COCO's 101 recalls, those up to 1/2

# Objects, detections, AP, and what AP would be with the one error mended.
CASES = {
    # Class 1: the false one first, precision 1/2; class 2: nothing. Mended, both are perfect.
    "classification": ([(1, A), (2, B)], [(1, B, 0.9), (1, A, 0.8)], 1 / 4, 1),
    # One wrong, then one right: precision 1/2 up to recall 1/2.
    "localisation": ([(1, A), (1, B)], [(1, NEAR_A, 0.9), (1, B, 0.8)], HALF / 2, 1),
    # Class 1: precision 1/2; class 2 is perfect.
    "both": ([(2, A), (1, B)], [(1, NEAR_A, 0.9), (1, B, 0.8), (2, A, 0.7)], 3 / 4, 1),
    # Precision 1 up to recall 1/2, then 2/3.
    "duplicate": (
        *([(1, A), (1, B)], [(1, A, 0.9), (1, A, 0.8), (1, B, 0.7)]),
        *(HALF + (1 - HALF) * 2 / 3, 1),
    ),
    "background": ([(1, A)], [(1, NOWHERE, 0.9), (1, A, 0.8)], 1 / 2, 1),
    # Precision 1 up to recall 1/2, then nothing.
    "missed": ([(1, A), (1, B)], [(1, A, 0.9)], HALF, 1),
}


@pytest.mark.parametrize("name", CASES)
def test_the_cost_of_a_single_error_is_what_paper_gives(name):
    objects, found, ap, mended = CASES[name]
    costs = error_costs(drawn([(objects, found)]), "mask")
    assert list(costs.costs) == list(costs.counts) == list(CASES)
    assert costs.ap == pytest.approx(ap, abs=1e-12)
    expected = {other: mended - ap if other == name else 0.0 for other in CASES}
    assert costs.costs == pytest.approx(expected, abs=1e-12)
    assert costs.counts == {other: int(other == name) for other in CASES}


def test_false_detections_cost_their_places_and_objects_not_found_their_share():
    # Precision 1/2 up to recall 1/2. Wrong ones last: 1 up to there. One object only: 1/2 to 1.
    costs = error_costs(drawn([([(1, A), (1, B)], [(1, NOWHERE, 0.9), (1, A, 0.8)])]), "mask")
    assert costs.ap == pytest.approx(HALF / 2, abs=1e-12)
    assert costs.false_positives == pytest.approx(HALF / 2, abs=1e-12)
    assert costs.false_negatives == pytest.approx(1 / 2 - HALF / 2, abs=1e-12)


def test_of_two_errors_about_an_object_the_better_one_is_mended_and_the_other_goes():
    # Both are about A. Mending classes takes the second away, and mends nothing.
    objects, found = [(1, A), (2, B)], [(1, NEAR_A, 0.9), (2, A, 0.8), (2, B, 0.7)]
    costs = error_costs(drawn([(objects, found)]), "mask")
    assert costs.ap == pytest.approx(1 / 4, abs=1e-12)
    assert costs.costs["localisation"] == pytest.approx(1 / 2, abs=1e-12)
    assert costs.costs["classification"] == pytest.approx(1 / 4, abs=1e-12)


def test_a_perfect_predictor_has_an_ap_of_1_and_no_error_of_any_kind():
    there = [[(1, A), (2, B), (1, NOWHERE, True)], [(2, A)], []]
    found = [[(*entry[:2], 0.5) for entry in objects if len(entry) == 2] for objects in there]
    costs = error_costs(drawn(list(zip(there, found))), "mask")
    assert costs.ap == pytest.approx(1, abs=1e-12)
    assert [*costs.costs.values(), costs.false_positives, costs.false_negatives] == [0.0] * 8
    assert set(costs.counts.values()) == {0}


def test_without_objects_there_is_no_cost():
    costs = error_costs(drawn([([], [(1, A, 0.9)]), ([], [])]), "box")
    numbers = [costs.ap, *costs.costs.values(), costs.false_positives, costs.false_negatives]
    assert numbers == [ABSENT] * 9


def test_a_class_that_is_missed_as_a_whole_leaves_the_mean_unless_it_is_found_elsewhere():
    elsewhere = [(1, A, 0.9), (2, NOWHERE, 0.8)]
    for found, cost in (([(1, A, 0.9)], 0.5), (elsewhere, 0.0), ([], 1.0)):
        costs = error_costs(drawn([([(1, A), (2, B)], found)]), "mask")
        assert costs.costs["missed"] == pytest.approx(cost, abs=1e-12)


def test_ap_is_cocos_and_a_class_without_objects_is_no_part_of_it():
    for seed in range(5):
        examined = random_set(seed, crowds=0.2)
        ap = mean_present(average_precision(match_all(examined, "box", [0.5])))[0]
        assert error_costs(examined, "box").ap == pytest.approx(ap, abs=1e-12)
    costs = error_costs(drawn([([(1, A)], [(1, A, 0.9), (2, A, 0.8)])]), "box")
    assert costs.ap == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("number", range(5))
def test_costs_are_those_of_the_authors_program(number, monkeypatch):
    # Its recalls are i / 100. Ten of COCO's differ from them by a last bit, which decides which
    # precision an exact recall such as 0.29 is given: up to 2.3e-4 of a cost in these sets.
    golden = np.load(GOLDEN / "tide.npz")
    examined = of_golden(golden, number)
    crowds = any(image.objects.crowd.any() for image in examined.images)
    for kind in ("mask", "box"):
        expected = golden[f"{kind}_costs_{number}"]
        for recalls, tolerance in ((precision.RECALLS, 3e-4), (np.arange(101) / 100, 1e-12)):
            monkeypatch.setattr(precision, "RECALLS", recalls)
            costs = error_costs(examined, kind)
            parts = [*costs.costs.values(), costs.false_positives, costs.false_negatives]
            np.testing.assert_allclose([costs.ap, *parts], expected, atol=tolerance)
        monkeypatch.undo()
        counts, authors = np.array(list(costs.counts.values())), golden[f"{kind}_counts_{number}"]
        # It counts what crowd regions excuse among the errors; their costs are the same.
        assert (counts <= authors).all() if crowds else (counts == authors).all()


def of_golden(golden, number):
    size, images = tuple(golden["size"].tolist()), []
    rows = {name: golden[f"{name}_{number}"] for name in ("objects", "found")}
    rles = {name: golden[f"{name}_rles_{number}"].tolist() for name in rows}
    for i in range(golden["num_images"]):
        parts = []
        for name, order in (("objects", None), ("found", -rows["found"][:, 2])):
            members = np.arange(len(rows[name])) if order is None else np.argsort(order)
            members = members[rows[name][members, 0] == i]
            masks = [{"size": list(size), "counts": rles[name][m]} for m in members]
            parts.append((rows[name][members], masks))
        (there, there_masks), (found, found_masks) = parts
        classes, crowd = there[:, 1].astype(int), there[:, 2] > 0
        areas, ids = np.ones(len(there)), tuple(range(len(there)))
        objects = Objects(classes, there[:, 3:], areas, crowd, ids, there_masks)
        seen = Found(found[:, 1].astype(int), found[:, 2], found[:, 3:], found_masks)
        images.append(ExaminedImage(i, f"{i}.png", size, objects, seen))
    names = tuple(f"class {k + 1}" for k in range(golden["num_classes"]))
    return Examined(images, names, True, 100)
