import csv
import dataclasses
import json
import os

import numpy as np
import pytest

from helpers.drawn_sets import drawn, random_set
from helpers.without_masks import without_masks
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.evaluation.class_choice import ClassChoice
from tfmaskrcnn.evaluation.coco_result import CocoResult
from tfmaskrcnn.evaluation.reporting.report import Report
from tfmaskrcnn.evaluation.reporting.sheets import sheets, to_json, write_csv
from tfmaskrcnn.evaluation.reporting.summary import summary, verdict

A, B, NOWHERE = (10, 10, 30, 30), (10, 60, 30, 80), (60, 80, 90, 110)


def report_of(examined, left_out=(), **options):
    numbers = {"AP": 0.5}
    names = dict.fromkeys(examined.class_names, 0.5)
    totals = (len(examined.images), 3, 4)
    result = CocoResult(numbers, numbers, names, names, *totals, left_out=tuple(left_out))
    return Report(result, examined, "runs/a", "val.json", **options)


def test_all_tables_hold_rows_of_equal_columns_in_json_and_csv(tmp_path):
    report = report_of(random_set(0))
    read = json.loads(to_json(report))
    assert read["masks"] == {"AP": 0.5} and read["report"]["kind"] == "mask"
    assert read["report"]["expected_calibration_error"] == report.reliability.ece > 0
    paths = write_csv(report, str(tmp_path / "tables"))
    assert sorted(os.listdir(tmp_path / "tables")) == sorted(map(os.path.basename, paths))
    for path in paths:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        same = read["report"][os.path.basename(path)[:-4]]
        assert len(rows) == len(same) > 0
        for row, values in zip(rows, same):
            expected = {key: "" if value is None else str(value) for key, value in values.items()}
            assert row == expected


def test_the_tables_agree_with_each_other():
    examined = random_set(1)
    tables = sheets(report_of(examined))
    total = tables["counts"][0]
    assert total["annotated"] == sum(row["objects"] for row in tables["images"])
    assert total["found"] == sum(row["found"] for row in tables["images"])
    assert total["annotated"] == tables["thresholds"][0]["objects"]
    annotated = [row for row in tables["confusion"] if row["annotated"] != "background"]
    assert sum(row["count"] for row in annotated) == total["annotated"]
    assert [row["class"] for row in tables["ap"][:2]] == ["all classes", "class 1"]
    assert sum(row["detections"] for row in tables["reliability"]) > 0
    assert {row["error"] for row in tables["errors"]} >= {"missed", "false_positives"}


def test_the_tables_hold_the_numbers_of_the_report():
    report = report_of(random_set(3))
    tables, overall, names = sheets(report), report.points.overall, report.class_names
    rows = [row for row in tables["curves"] if row["class"] == "all classes"]
    for key, values in (("score", overall.scores), ("precision", overall.precision)):
        np.testing.assert_allclose([row[key] for row in rows], values)
    assert tables["thresholds"][0]["f1"] == overall.best.f1 != overall.usual.f1
    assert tables["thresholds"][0]["f1_at_0.5"] == overall.usual.f1
    np.testing.assert_allclose(
        [r["score_to"] for r in tables["reliability"]], np.arange(1, 11) / 10
    )
    labels = ("background", *names)
    for row in tables["confusion"]:
        pair = labels.index(row["annotated"]), labels.index(row["found"])
        assert row["count"] == report.confusion.counts[pair]
        assert row["share_of_annotated"] == row["count"] / report.confusion.counts[pair[0]].sum()
    errors = {(row["kind"], row["error"]): row for row in tables["errors"]}
    assert errors["mask", "missed"]["count"] == report.costs["mask"].counts["missed"] > 0
    assert errors["box", "false_negatives"]["ap_cost"] == report.costs["box"].false_negatives
    quality = {row["class"]: row["value"] for row in tables["masks"] if row["measure"] == "pq"}
    expected = {name: report.panoptic.per_class[name].pq for name in names}
    assert quality == {"all classes": report.panoptic.pq, **expected}
    for i, row in enumerate(tables["images"]):
        found = [verdict for verdict in report.verdicts[i].found if verdict != "unsure"]
        judged = ("right", "classification", "localisation", "both", "duplicate", "background")
        assert [row[name] for name in judged] == [found.count(name) for name in judged]
        assert row["missed"] == report.verdicts[i].objects.count("missed")


def test_long_curves_are_thinned_to_two_hundred_points_first_and_last_among_them():
    found = [(1, A if i == 500 else NOWHERE, i / 1000) for i in range(1, 600)]
    rows = sheets(report_of(drawn([([(1, A)], found)])))["curves"]
    own = [row["score"] for row in rows if row["class"] == "class 1"]
    assert len(own) == 200 and (own[0], own[-1]) == (0.599, 0.001)


def test_what_is_absent_is_null_and_a_count_too_low_is_not():
    examined = drawn([([(1, A)], []), ([(1, A)], [])], num_classes=2)
    tables = sheets(report_of(examined))
    assert [row["value"] for row in tables["ap"] if row["class"] == "class 2"] == [None, None]
    assert tables["thresholds"][2]["f1"] is None and tables["thresholds"][0]["f1"] == 0
    assert tables["counts"][0]["mean_absolute_error"] == 1
    json.loads(to_json(report_of(examined)), parse_constant=pytest.fail)  # no NaN


def test_a_set_without_anything_and_boxes_alone_have_tables_too(tmp_path):
    for examined in (drawn([]), drawn([([], [])]), without_masks(random_set(2))):
        report = report_of(examined)
        json.loads(to_json(report), parse_constant=pytest.fail)
        write_csv(report, str(tmp_path / "tables"))
        assert summary(report)
    assert report.outlines is None and report.panoptic is None and report.kind == "box"


def test_the_summary_tells_ap_threshold_errors_count_and_cautions():
    examined = drawn([([(1, A), (1, B)], [(1, A, 0.9), (1, NOWHERE, 0.3)])] * 4)
    text = summary(report_of(examined, left_out=("plum", "leaf")), width=200)
    # Scores of right ones are 0.9, of wrong ones 0.3: half-way.
    assert "Take detections with a score of 0.60 or more" in text
    assert "mask AP" in text and "box AP" in text and "missed objects" in text
    assert (
        "The model does not know 'plum', 'leaf'; all numbers are of the other categories." in text
    )
    assert "4 images are few" in text
    assert max(map(len, summary(report_of(examined), width=80).splitlines())) <= 80


def test_more_objects_than_detections_that_count_are_told():
    boxes = [(i, j, i + 3, j + 3) for i in range(0, 90, 5) for j in range(0, 110, 5)][:150]
    examined = drawn([([(1, box) for box in boxes], [(1, A, 0.5)])])
    [caution] = [text for text in report_of(examined).cautions if "more than" in text]
    assert caution == (
        "1 image has more than 100 objects of a class, and COCO counts the best 100 detections: "
        "even a perfect model would find 67% of all objects. Take --max-detections 1 100 200."
    )


def test_classes_of_few_objects_are_told():
    cautions = report_of(random_set(0, num_images=40, most=20)).cautions
    assert cautions == []
    examined = drawn([([(1, A)] * 5 + [(2, B)], [])] * 4)
    assert any(
        "1 class has fewer than 10 objects (class 2)" in t for t in report_of(examined).cautions
    )


def test_thresholds_travel_with_the_classes_of_the_model():
    found = [(1, A, 0.9), (1, NOWHERE, 0.7), (2, B, 0.4)]
    report = report_of(drawn([([(1, A), (2, B)], found)]))
    own = report.score_thresholds()
    assert own.class_names == ("class 1", "class 2") and own.kind == "mask" and own.images == 1
    np.testing.assert_allclose(own.scores, [0.8, 0.4])
    assert own.overall == pytest.approx(report.points.overall.best.score)
    more = report_of(drawn([([(1, A)], [(1, A, 0.9), (2, B, 0.4)])], num_classes=2))
    assert more.score_thresholds().scores == (pytest.approx(0.9), None)
    # A model of more classes in another order; its class b is the file's class 1.
    choice = ClassChoice.of(["b=class 1"])
    mapped = report.score_thresholds(("x", "class 2", "b"), choice)
    assert mapped.scores == (None, pytest.approx(0.4), pytest.approx(0.8))


def test_another_iou_judges_by_that():
    half_right = (10, 10, 30, 22)  # IoU 0.6
    examined = drawn([([(1, A)], [(1, half_right, 0.9)])] * 3)
    assert report_of(examined).points.overall.best.f1 == 1
    report = report_of(examined, iou=0.7)
    assert report.points.overall.best.f1 == 0
    assert report.verdicts[0].found == ["localisation"] and report.costs["mask"].ap == 0
    assert report.confusion.counts.tolist() == [[0, 3], [3, 0]]
    assert report.score_thresholds().iou == 0.7
    for iou in (0.1, 1, float("nan")):
        with pytest.raises(InputError, match="The IoU is .* above 0.1 and below 1"):
            report_of(examined, iou=iou)


def test_images_are_told_apart_by_brightness_where_that_is_known_of_all():
    examined = random_set(0)
    known = {image.image_id: 10.0 * image.image_id for image in examined.images}
    for brightness, expected in ((known, True), ({1: 10.0}, False), ({}, False)):
        tables = report_of(examined, brightness=brightness).conditions
        assert ("by brightness of the image" in [t.title for t in tables]) is expected


def test_each_of_two_models_is_judged_at_its_own_thresholds():
    sure, unsure = (report_of(drawn([([(1, A)], [(1, A, s)])] * 3)) for s in (0.9, 0.2))
    changes = sure.compared_with(unsure).against.comparison.changes
    assert [(change.first, change.second) for change in changes] == [(1, 1)] * 3


def test_a_comparison_says_yes_no_or_not_enough_images():
    right, wrong = ([(1, A)], [(1, A, 0.9)]), ([(1, A)], [(1, NOWHERE, 0.9)])
    good, bad = (report_of(drawn([part] * 30)) for part in (right, wrong))
    assert "Yes: the difference in mask AP is +1.000" in verdict(good.compared_with(bad), 200)
    assert "No, it is worse: the difference" in verdict(bad.compared_with(good), 200)
    mixed = report_of(drawn([right, right, wrong, right]))
    other = report_of(drawn([right, wrong, wrong, right]))
    text = verdict(mixed.compared_with(other), 200)
    assert "Not enough images to tell" in text and "images would tell" in text
    assert "1.png: F1 1.00 against 0.00" in text
    assert sheets(mixed.compared_with(other))["against"][0]["value"] == pytest.approx(
        mixed.intervals["mask"].value - other.intervals["mask"].value
    )


def test_half_a_character_in_a_name_is_a_question_mark_in_csv(tmp_path):
    examined = dataclasses.replace(drawn([([(1, A)], [])]), class_names=("a\ud800",))
    write_csv(report_of(examined), str(tmp_path))
    assert "a?" in (tmp_path / "thresholds.csv").read_text(encoding="utf-8")


def test_a_class_may_be_called_as_all_of_them_are():
    examined = dataclasses.replace(random_set(0), class_names=("all classes", "b", "c"))
    report = report_of(examined)
    other = dataclasses.replace(report, source="runs/b")
    rows = sheets(report.compared_with(other))["against"]
    assert {row["against"] for row in rows} == {"runs/b"}
    assert [row["class"] for row in rows] == ["all classes", "all classes", "b", "c"]


def test_masks_and_boxes_are_judged_each_by_themselves():
    examined = drawn([([(1, A)], [(1, A, 0.9)])] * 3)
    for image in examined.images:  # the box fits, the mask does not
        image.found.rles[0] = drawn([([(1, NOWHERE)], [])]).images[0].objects.rles[0]
    report = report_of(examined)
    assert report.intervals["mask"].value == 0 and report.intervals["box"].value == 1
    assert report.costs["mask"].ap == 0 and report.costs["box"].ap == 1


def test_all_but_ap_is_judged_at_the_thresholds():
    # The best F1 is at 0.9: what comes after is half wrong, and not looked at.
    found = [(1, A, 0.9), (1, NOWHERE, 0.3), (1, (60, 10, 90, 40), 0.3)]
    report = report_of(drawn([([(1, A)], found)] * 4))
    assert report.verdicts[0].found == ["right", "unsure", "unsure"]
    assert report.confusion.counts.tolist() == [[0, 0], [0, 4]]
    assert report.counting.found.tolist() == [1] * 4 and report.panoptic.pq == 1
    [row] = {tuple(row.values())[2:] for row in sheets(report)["images"]}
    assert row == (1, 1, 1, 0, 0, 0, 0, 0, 0, 1.0)


def test_a_comparison_computes_nothing_anew():
    report, other = report_of(random_set(0)), report_of(random_set(0))
    before = report.verdicts, report.class_intervals
    compared = report.compared_with(other)
    assert compared.verdicts is before[0] and compared.class_intervals is before[1]
    assert compared.against.report is other and report.against is None
