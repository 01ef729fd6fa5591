"""`evaluation/reporting/views.py`: rows of tables."""

import numpy as np

from helpers.drawn_report import changed, report_of
from helpers.drawn_sets import drawn, random_set
from tfmaskrcnn.evaluation.analysis.confusion import Confusion
from tfmaskrcnn.evaluation.reporting import views


def test_choices_are_the_ends_of_what_a_goal_allows():
    # Sure ones are right, then one wrong, then right again: 90 % of ten is first reached late.
    boxes = [(5, 10 * i + 2, 25, 10 * i + 10) for i in range(10)]
    found = [(1, box, 0.99 - 0.01 * i) for i, box in enumerate(boxes)]
    found.insert(5, (1, (60, 60, 80, 80), 0.945))
    curve = report_of(drawn([([(1, box) for box in boxes], found)])).points.overall
    points = dict(views.choices(curve))
    precise, complete = points["90 % of the detections right"], points["90 % of the objects found"]
    assert precise.score == complete.score - 0.01 == 0.9 and precise.recall == 1.0
    assert complete.recall == 0.9 and abs(complete.precision - 0.9) < 1e-12
    none = report_of(drawn([([(1, boxes[0])], [(1, (60, 60, 80, 80), 0.9)])])).points.overall
    assert [p.precision for p in dict(views.choices(none)).values()][2:] == [-1.0, -1.0]


def test_confused_pairs_come_by_count_and_never_with_themselves():
    report = report_of(random_set(0, num_images=1))
    counts = np.array([[0, 1, 0, 0], [2, 9, 3, 0], [0, 0, 5, 4], [0, 1, 0, 0]])
    changed(report, confusion=Confusion(counts, 0.5, np.full(3, 0.5)))
    pairs = views.confused_pairs(report)
    assert [(p.annotated, p.found, p.count, p.objects) for p in pairs] == [
        ("class 2", "class 3", 4, 9),
        ("class 1", "class 2", 3, 14),
        ("class 3", "class 1", 1, 1),
    ]
    axes = views.matrix_axes(report)
    assert axes == [1, 2, 3, 0]
    cells = views.matrix_cells(report, axes)
    assert cells[0, 3].count == 2 and cells[0, 3].share == 2 / 14 and (0, 2) not in cells


def test_classes_are_ordered_by_their_objects_and_those_without_left_out():
    boxes = [(5, 5, 25, 25), (5, 40, 25, 60), (5, 70, 25, 90)]
    objects = [(3, boxes[0]), (3, boxes[1]), (1, boxes[2])]
    report = report_of(drawn([(objects, [])], num_classes=4))
    assert [row.name for row in views.class_rows(report)] == ["class 3", "class 1"]
    assert [name for name, _ in views.count_rows(report)] == ["class 3", "class 1"]
