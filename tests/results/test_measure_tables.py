"""`results/measure_tables.py`: what is in the CSV files."""

import csv

import numpy as np
import pytest

from tfmaskrcnn.instances import Instances
from tfmaskrcnn.results.image_result import ImageResult
from tfmaskrcnn.results.measure_tables import (
    count_columns,
    count_row,
    csv_line,
    write_counts,
    write_objects,
)
from tfmaskrcnn.results.measuring import measured


def result_of(name, classes, size=(30, 40)):
    boxes = [[2 * i, 2 * i, 2 * i + 5, 2 * i + 6] for i in range(len(classes))]
    found = Instances(
        boxes=boxes,
        scores=np.linspace(0.9, 0.5, len(classes)),
        classes=classes,
        size=size,
        mask_probabilities=np.ones((len(classes), 7, 7)),
        class_names=("nucleus", "=1+1"),
    )
    return ImageResult(int(name[0]), name, name, found)


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_objects_are_written_as_they_come(tmp_path):
    path = str(tmp_path / "objects.csv")
    results = [result_of("1.png", [1, 2]), result_of("2.png", []), result_of("3.png", [1])]
    write_objects((row for result in results for row in measured(result)), path)
    header, *rows = read(path)
    assert header[:6] == ["picture", "image_id", "id", "class", "score", "x1"]
    assert [row[:5] for row in rows] == [
        ["1.png", "1", "1", "nucleus", "0.9"],
        ["1.png", "1", "2", "'=1+1", "0.5"],
        ["3.png", "3", "1", "nucleus", "0.9"],
    ]
    assert [float(row[header.index("area")]) for row in rows] == [30, 30, 30]


def test_what_is_missing_is_an_empty_cell_and_what_is_too_much_an_error(tmp_path):
    path = str(tmp_path / "objects.csv")
    write_objects([{"a": 1, "b": None}, {"a": 2.5}, {"b": -3.0, "a": "-x"}], path)
    assert read(path) == [["a", "b"], ["1", ""], ["2.5", ""], ["'-x", "-3"]]
    with pytest.raises(ValueError, match="c"):
        write_objects([{"a": 1}, {"a": 2, "c": 3}], path)
    assert len(read(path)) == 4  # as it was


def test_nothing_found_anywhere_leaves_a_header(tmp_path):
    path = str(tmp_path / "objects.csv")
    write_objects([], path)
    assert read(path) == [
        ["picture", "image_id", "id", "class", "score", "x1", "y1", "x2", "y2"],
    ]
    write_objects([], path, columns=["picture", "area"])
    assert read(path) == [["picture", "area"]]


def test_counts_have_a_row_a_picture_also_without_objects(tmp_path):
    path = str(tmp_path / "counts.csv")
    results = [result_of("1.png", [1, 2, 1]), result_of("2.png", []), result_of("3=.png", [2])]
    write_counts(iter(results), path, ("nucleus", "=1+1"))
    assert read(path) == [
        ["picture", "image_id", "nucleus", "'=1+1", "all"],
        ["1.png", "1", "2", "1", "3"],
        ["2.png", "2", "0", "0", "0"],
        ["3=.png", "3", "0", "1", "1"],
    ]


def test_names_that_a_file_cannot_hold_do_not_end_it(tmp_path):
    path = str(tmp_path / "objects.csv")
    write_objects([{"picture": 'half \ud800 a "pair",\nof lines'}], path)
    assert read(path) == [["picture"], ['half ? a "pair",\nof lines']]


def test_lines_one_by_one_are_those_of_the_file(tmp_path):
    path, names = str(tmp_path / "counts.csv"), ("nucleus", "a\nb, c")
    results = [result_of("1.png", [1, 2, 1]), result_of("2=\r\n.png", [])]
    write_counts(results, path, names)
    rows = [count_columns(names), *(count_row(result, 2) for result in results)]
    with open(path, encoding="utf-8", newline="") as file:
        assert file.read() == "".join(csv_line(row) + "\r\n" for row in rows)
