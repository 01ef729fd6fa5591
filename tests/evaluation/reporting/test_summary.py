"""What a terminal shows of a report and of a comparison."""

import dataclasses

from helpers.drawn_sets import drawn
from tfmaskrcnn.evaluation.analysis.bootstrap import NO_INTERVAL, Interval
from tfmaskrcnn.evaluation.analysis.comparison import NO, OPEN, YES, Comparison, ImageChange
from tfmaskrcnn.evaluation.coco_result import CocoResult
from tfmaskrcnn.evaluation.reporting.report import Against, Report
from tfmaskrcnn.evaluation.reporting.summary import answer, summary, verdict

A, NOWHERE = (10, 10, 30, 30), (60, 80, 90, 110)


def report_of(examined, source="runs/a"):
    names = dict.fromkeys(examined.class_names, 0.5)
    result = CocoResult({"AP": 0.5}, {"AP": 0.5}, names, names, len(examined.images), 3, 4)
    return Report(result, examined, source, "val.json")


def compared(difference, told=OPEN, needed=0, classes=(), changes=()):
    per_class = {name: Interval(*numbers) for name, numbers in classes}
    interval = Interval(*difference) if difference else NO_INTERVAL
    return Comparison("box", 0.4, 0.3, interval, per_class, told, needed, list(changes))


def test_the_answer_is_yes_no_or_how_many_images_would_tell():
    better = answer(compared((0.1, 0.05, 0.15), YES))
    assert better == (
        "Yes: the difference in box AP is +0.100, +0.050 to +0.150 with 95 % confidence."
    )
    assert answer(compared((-0.1, -0.15, -0.05), NO)).startswith("No, it is worse: the difference")
    unsure = answer(compared((0.1, -0.05, 0.25), OPEN, 1287))
    assert unsure.startswith(
        "Not enough images to tell: the difference in box AP is +0.100, -0.050"
    )
    assert unsure.endswith(" If it stays, some 1,300 images would tell.")
    assert answer(compared((0.0, -0.1, 0.1))).endswith("95 % confidence.")
    same = "Neither is: the box AP is the same on whichever of these images."
    assert answer(compared((0.0, 0.0, 0.0))) == same
    assert answer(compared(None)) == "There is no object to compare them on."


def lines_of(comparison):
    examined = drawn([([(1, A)], [(1, A, 0.9)])] * 8)
    examined.images[1] = dataclasses.replace(examined.images[1], file_name="")
    report = dataclasses.replace(
        report_of(examined), against=Against(report_of(examined, "runs/b"), comparison)
    )
    return [line.strip() for line in verdict(report, 200).splitlines()]


def test_both_models_and_the_images_that_differ_most_are_named():
    changes = [ImageChange(i, 0.9, 0.1 * i) for i in (1, 2, 3, 4, 5, 6)] + [ImageChange(0, 1, 1)]
    lines = lines_of(compared((0.1, -0.1, 0.3), changes=changes, classes=[("a", (0.1, -1, 1))]))
    assert lines[1:] == [
        "first    runs/a, box AP 0.400",
        "second   runs/b, box AP 0.300",
        "images   image 2: F1 0.90 against 0.10",
        *(f"{i}.png: F1 0.90 against 0.{i}0" for i in (2, 3, 4, 5)),
    ]
    assert len(lines_of(compared((0.0, 0.0, 0.0), changes=changes[-1:]))) == 3


def test_of_many_classes_those_that_differ_are_listed_and_the_largest_gain_first():
    classes = [("worse", (-0.2, -0.3, -0.1)), ("open", (0.05, -0.1, 0.2)), ("up", (0.1, 0.05, 0.2))]
    shown = lines_of(compared((0.1, -0.1, 0.3), classes=classes))[3:]
    assert shown[0] == "classes  up: +0.100 (+0.050 to +0.200)"
    assert [line.split()[0] for line in shown[1:]] == ["open:", "worse:"]
    many = classes + [(f"k{i}", (0.0, -0.1, 0.1)) for i in range(20)]
    shown = lines_of(compared((0.1, -0.1, 0.3), classes=many))[3:]
    assert shown == ["classes  up: +0.100 (+0.050 to +0.200)", "worse: -0.200 (-0.300 to -0.100)"]


def test_the_summary_tells_the_count_and_no_ap_where_there_is_none():
    text = summary(report_of(drawn([([(1, A)], [(1, A, 0.9), (1, NOWHERE, 0.9)])] * 2)), 200)
    assert "count      The count of an image is off by 1.0 on average" in text
    assert "mask AP    0.835, on other images like these " in text
    assert "AP  " not in summary(report_of(drawn([([], [])] * 2)), 200)
