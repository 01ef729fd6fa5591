"""`results/kaggle_csv.py`: run lengths as the Data Science Bowl of 2018 defines them."""

import csv

import numpy as np
import pytest

from helpers.some_results import OPTIONS, boxes_alone, result_of, some_masks
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.ops.paste import Window
from tfmaskrcnn.results.kaggle_csv import encoded_pixels, write


def decoded(text, height, width):
    """Pixels are numbered from top to bottom, then left to right: 1 is (1, 1), 2 is (2, 1)."""
    flat = np.zeros(height * width, bool)
    numbers = [int(number) for number in text.split()]
    for start, length in zip(numbers[::2], numbers[1::2]):
        assert not flat[start - 1 : start - 1 + length].any()
        flat[start - 1 : start - 1 + length] = True
    return flat.reshape(width, height).T


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_runs_are_those_of_the_competitions_example():
    mask = np.zeros((10, 5), bool)
    mask[0:3, 0] = True  # pixels 1 to 3
    mask[9, 0] = mask[0:4, 1] = True  # pixel 10, and 11 to 14 of the next column: one run
    assert encoded_pixels(Window(0, 0, mask), 10, 5) == "1 3 10 5"
    assert encoded_pixels(Window(9, 4, np.ones((1, 1), bool)), 10, 5) == "50 1"


def test_rows_are_objects_without_overlaps_and_images_without_objects(tmp_path):
    masks = some_masks()
    hidden = masks[[0, 0]]
    results = [
        result_of(masks),
        result_of(masks[:0], name="sub/b.png"),
        result_of(hidden, name="c.png"),
        result_of(masks[:0], name="d.png", exact_rle=None),
    ]
    write(iter(results), str(tmp_path), OPTIONS)
    header, *rows = read(tmp_path / "kaggle.csv")
    assert header == ["ImageId", "EncodedPixels"]
    assert [row[0] for row in rows] == ["a"] * 5 + ["sub/b", "c", "d"]
    assert (rows[5][1], rows[7][1]) == ("", "")
    drawn = np.array([decoded(row[1], 60, 80) for row in rows[:5]])
    assert drawn.sum(axis=0).max() == 1
    np.testing.assert_array_equal(drawn[:4], masks[:4])
    np.testing.assert_array_equal(drawn[4], masks[4] & ~masks[1])
    np.testing.assert_array_equal(decoded(rows[6][1], 60, 80), masks[0])


def test_boxes_alone_are_refused_and_no_file_is_left(tmp_path):
    with pytest.raises(InputError, match="--save kaggle wants masks"):
        write([boxes_alone()], str(tmp_path), OPTIONS)
    assert not list(tmp_path.iterdir())
