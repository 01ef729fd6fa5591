"""`data/coco/meaning.py`: what a value clearly means, and that nothing is guessed."""

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from helpers.cases import case
from tfmaskrcnn.data.coco.meaning import (
    clear_box,
    clear_category_name,
    clear_crowd,
    clear_id,
    clear_number,
    clear_segmentation,
)

FLAT = [20, 20, 60, 24, 56, 60, 18, 54]
POINTS = [[20, 20], [60, 24], [56, 60], [18, 54]]
BOX = [18, 20, 42, 40]
SIZE = (96, 128)


def encoded(mask, along_rows=False, compressed=False):
    """An RLE of a mask [H, W], of which the runs may be counted along rows."""
    flat = mask.reshape(-1) if along_rows else mask.T.reshape(-1)
    edges = np.flatnonzero(np.diff(flat.astype(int))) + 1
    counts = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    counts = [0, *counts] if flat[0] else counts
    rle = {"size": list(mask.shape), "counts": counts}
    if compressed:
        rle = coco_mask.frPyObjects(rle, *mask.shape)
        rle["counts"] = rle["counts"].decode()
    return rle


def drawn(seed, height=40, width=60):
    """A mask of an ellipse, and its bbox."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    cy, cx = rng.uniform(8, height - 8), rng.uniform(8, width - 8)
    a, b = rng.uniform(3, 8, 2)
    mask = ((y - cy) / a) ** 2 + ((x - cx) / b) ** 2 < 1
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return mask, [
        int(v) for v in (cols[0], rows[0], cols[-1] + 1 - cols[0], rows[-1] + 1 - rows[0])
    ]


@pytest.mark.parametrize(
    ("segmentation", "what"),
    [
        (FLAT, "a flat list of coordinates"),
        ([[FLAT]], "a polygon with a list too many around it"),
        ([[[[[FLAT]]]]], "a polygon with a list too many around it"),
        (POINTS, "a list of points"),
        ([POINTS], "a list of points"),
        ([[[POINTS]]], "a list of points"),
        ([{"x": x, "y": y} for x, y in POINTS], "a list of points"),
        ([[{"x": str(x), "y": str(y)} for x, y in POINTS]], "a list of points"),
        ([[str(v) for v in FLAT]], "a polygon of texts"),
        ([f"{v}.0" for v in FLAT], "a flat list of coordinates"),
        ({"x": FLAT[::2], "y": FLAT[1::2]}, "lists of x and of y"),
        ([{"all_points_x": FLAT[::2], "all_points_y": FLAT[1::2]}], "a list of points"),
        (json.dumps([FLAT]), "a text"),
        (json.dumps(POINTS), "a text"),
        (" ".join(map(str, FLAT)), "a text"),
        (";".join(f"{x},{y}" for x, y in POINTS), "a text"),
    ],
)
def test_an_outline_in_any_form_is_the_polygon(segmentation, what):
    meaning = clear_segmentation(segmentation, BOX, *SIZE)
    assert meaning.what == what and meaning.mended == [FLAT]


def test_several_outlines_stay_several():
    other = [70, 20, 90, 20, 90, 40]
    for segmentation in ([[FLAT], [other]], [POINTS, [[70, 20], [90, 20], [90, 40]]]):
        assert clear_segmentation(segmentation, BOX, *SIZE).mended == [FLAT, other]


@pytest.mark.parametrize(
    "segmentation", [[BOX], BOX, [[BOX]], [[18, 20, 60, 60]], [[18, 20], [60, 60]], [list("1234")]]
)
def test_four_numbers_are_the_box_only_if_they_are(segmentation):
    meaning = clear_segmentation(segmentation, BOX, *SIZE)
    if segmentation == [list("1234")]:
        assert meaning is None
        return
    assert meaning.what == "the box given as polygon"
    assert meaning.mended == [[18, 20, 60, 20, 60, 60, 18, 60]]
    assert clear_segmentation(segmentation, None, *SIZE) is None
    assert clear_segmentation(segmentation, [0, 0, 5, 5], *SIZE) is None


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_rows_are_told_from_columns_by_the_box(seed, compressed):
    mask, bbox = drawn(seed)
    right = encoded(mask, compressed=compressed)
    assert clear_segmentation(right, bbox, *mask.shape) is None
    rows = encoded(mask, along_rows=True)
    if compressed:
        rows = encoded(mask.reshape(-1).reshape(mask.shape[::-1]).T, compressed=True)
        rows["size"] = list(mask.shape)
    meaning = clear_segmentation(rows, bbox, *mask.shape)
    assert meaning.what == "an RLE counted along rows"
    assert meaning.mended == encoded(mask)
    assert clear_segmentation(rows, None, *mask.shape) is None  # without a box who can tell
    in_list = clear_segmentation([rows], bbox, *mask.shape)
    assert "in a list" in in_list.what and in_list.mended == encoded(mask)


def test_a_swapped_size_is_put_right_in_either_order():
    mask, bbox = drawn(3)
    for along_rows in (False, True):
        swapped = {**encoded(mask, along_rows), "size": [60, 40]}
        assert clear_segmentation(swapped, bbox, 40, 60).mended == encoded(mask)
    assert clear_segmentation({**encoded(mask), "size": [60, 40]}, [0, 0, 9, 9], 40, 60) is None


def test_an_rle_without_a_size_or_of_texts_is_read():
    mask, bbox = drawn(4)
    right = encoded(mask)
    for change in (
        {"size": ["40", "60"]},
        {"size": None},
        {"counts": [str(c) for c in right["counts"]]},
        {"counts": [float(c) for c in right["counts"]]},
    ):
        assert clear_segmentation({**right, **change}, bbox, 40, 60).mended == right


@pytest.mark.parametrize(
    "segmentation",
    [
        None,
        [],
        {},
        "",
        "leaf",
        7,
        True,
        [FLAT],
        [FLAT, [1, 2, 3]],
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, 5]],
        [[20, 20], [60, 24]],
        [[20, 20, 60, float("nan"), 56, 60]],
        [["a", "b", "c", "d", "e", "f"]],
        [[[20, 20], [60, None], [56, 60]]],
        {"size": [96, 128], "counts": [5]},
        {"size": [96, 128], "counts": "\ud800"},
        {"size": [96, 128], "counts": [10**400]},
        {"size": [96, 128], "counts": [-1, 12289]},
        {"x": [1, 2], "y": [1, 2, 3]},
        [{"counts": [5]}, {"counts": [5]}],
        [{}],
        [[[]]],
    ],
)
def test_what_is_right_or_unclear_is_left(segmentation):
    assert clear_segmentation(segmentation, BOX, *SIZE) is None
    assert clear_segmentation(segmentation, "no box", 10**30, 2**63 - 1) is None


def test_lists_of_any_depth_end():
    deep = FLAT
    for _ in range(900):
        deep = [deep]
    assert clear_segmentation(deep, BOX, *SIZE) is None


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("d01_via_coco_export", "a flat list of coordinates"),
        ("d06_box_as_polygon", "the box given as polygon"),
        ("d07_list_of_points", "a list of points"),
        ("d07c_nested_thrice", "a polygon with a list too many around it"),
        ("d13_rle_size_swapped", "an RLE whose size is swapped"),
        ("d13d_rle_row_major", "an RLE counted along rows"),
        ("f01_one_nested", "a polygon with a list too many around it"),
        ("f02_one_box_polygon", "the box given as polygon"),
        ("d20_hole", None),
        ("d09_cvat_all_crowd", None),
        ("f09_nan_coordinate", None),
    ],
)
def test_the_first_annotation_of_each_case_is_told(name, what):
    coco = json.loads((case(f"data/{name}") / "train.json").read_text())
    entry = coco["annotations"][0]
    meaning = clear_segmentation(entry["segmentation"], entry["bbox"], *SIZE)
    assert (meaning and meaning.what) == what


def test_ids_are_integers_however_they_are_written():
    for value in (7, 7.0, "7", " 7 ", "7.0", "+7"):
        assert clear_id(value) == 7
    assert clear_id("1541715161401") == 1541715161401 and clear_id(-3) == -3
    wrong = (True, 7.5, float("nan"), float("inf"), 1e300, "7a", "", "٣", 2**70, "9" * 400, None)
    for value in (*wrong, [7]):
        assert clear_id(value) is None


def test_numbers_and_boxes_of_texts_are_read():
    assert clear_number("1e3") == 1000 and clear_number("-.5") == -0.5
    for value in (True, "nan", "1e999", 10**400, float("inf"), "1 2", None):
        assert clear_number(value) is None
    for bbox in (
        ["1", "2", "3", "4"],
        [[1, 2, 3, 4]],
        "[1, 2, 3, 4]",
        "1 2 3 4",
        {"x": 1, "y": 2, "width": 3, "height": 4},
    ):
        assert clear_box(bbox) == [1, 2, 3, 4]
    for bbox in (None, [1, 2, 3], [1, 2, 3, "x"], {"x": 1}, 5, "box", [[[]]]):
        assert clear_box(bbox) is None


def test_crowd_flags_and_names_are_read():
    assert [clear_crowd(v) for v in ("0", "1", True, False, 1.0, None, " True ")] == [
        *(0, 1, 1, 0, 1, 0, 1)
    ]
    assert [clear_crowd(v) for v in ("maybe", 2, [], {}, float("nan"))] == [None] * 5
    assert [clear_category_name(v) for v in (0, 1.0, 2.5, -1)] == ["0", "1", "2.5", "-1"]
    assert [clear_category_name(v) for v in (True, "0", None, float("nan"), 10**400)] == [None] * 5
