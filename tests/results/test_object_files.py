"""`results/object_files.py`: names, and who gets a pixel of several objects."""

import numpy as np
import pytest

from helpers.some_results import boxes_alone, result_of, some_masks
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.results.object_files import (
    folder_of_objects,
    object_name,
    with_masks,
    without_overlaps,
)


@pytest.mark.parametrize(
    ("number", "name", "wanted"),
    [
        (12, "nucleus", "0012_nucleus"),
        (123456, "two words/..", "123456_two-words---"),
        (1, "细胞 𝔸", "0001_细胞--"),
        (1, "", "0001_"),
        (1, "x" * 300, "0001_" + "x" * 40),
    ],
)
def test_names_hold_what_every_file_system_and_imagej_can(number, name, wanted):
    assert object_name(number, name) == wanted


def test_the_best_score_keeps_its_pixels():
    masks = some_masks()
    # The ring is the worst here: the disk over it is whole.
    found = result_of(masks, scores=[0.9, 0.1, 0.8, 0.7, 0.6], ids=[5, 4, 3, 2, 1]).found
    drawn = np.zeros(found.size, int)
    order = []
    for number, (top, left, bitmap) in without_overlaps(found):
        part = drawn[top : top + bitmap.shape[0], left : left + bitmap.shape[1]]
        assert not part[bitmap].any()  # nobody else's
        part[bitmap] = number
        order.append(number)
    assert order == [5, 3, 2, 1, 4]
    np.testing.assert_array_equal(drawn == 1, masks[4])
    np.testing.assert_array_equal(drawn == 4, masks[1] & ~masks[4])
    assert list(without_overlaps(found[[]])) == []


def test_files_of_an_earlier_prediction_go_and_others_stay(tmp_path):
    place = tmp_path / "a"
    place.mkdir()
    for name in ("0001_cell.png", "12345_x.png", "mine.png", "0001.png"):
        (place / name).write_text("x")
    assert folder_of_objects(str(tmp_path), result_of()) == str(place)
    assert sorted(p.name for p in place.iterdir()) == ["0001.png", "mine.png"]
    nothing = result_of(some_masks()[:0], name="b/c.png")
    folder_of_objects(str(tmp_path), nothing)
    assert not (tmp_path / "b").exists()


def test_boxes_alone_are_refused_where_masks_are_wanted_unless_there_are_none():
    with pytest.raises(InputError, match="--save labels wants masks"):
        with_masks(boxes_alone(), "labels")
    assert len(with_masks(result_of(some_masks()[:0], exact_rle=None), "labels")) == 0
