"""`instances.py`: what a user holds after prediction."""

import json
import sys
import types

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.ops.paste import masks_to_rle, paste_masks


def some_instances(count=5, seed=0, **changes):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 20, size=(count, 2))
    values = {
        "boxes": np.concatenate([corner, corner + rng.uniform(5, 15, size=(count, 2))], axis=1),
        "scores": np.sort(rng.uniform(size=count))[::-1],
        "classes": rng.integers(1, 4, size=count),
        "size": (40, 50),
        "mask_probabilities": rng.uniform(size=(count, 28, 28)),
        "class_names": ("cell", "nucleus", "debris"),
    }
    return Instances(**{**values, **changes})


def test_arrays_take_the_documented_types_and_shapes():
    found = some_instances()
    assert (found.boxes.dtype, found.boxes.shape) == (np.float32, (5, 4))
    assert (found.scores.dtype, found.scores.shape) == (np.float32, (5,))
    assert (found.classes.dtype, found.classes.shape) == (np.int32, (5,))
    assert found.mask_probabilities.dtype == np.float32
    assert len(found) == 5


def test_masks_are_the_pasted_probabilities_and_are_pasted_once():
    found = some_instances()
    expected = paste_masks(found.mask_probabilities, found.boxes, 40, 50)
    np.testing.assert_array_equal(found.masks, expected)
    assert found.masks is found.masks


def test_the_paste_rule_is_followed():
    found = some_instances(paste_rule="torchvision")
    rule = {"rule": "torchvision"}
    expected = paste_masks(found.mask_probabilities, found.boxes, 40, 50, **rule)
    np.testing.assert_array_equal(found.masks, expected)
    assert found.rle() == masks_to_rle(expected) != some_instances().rle()


@pytest.mark.parametrize("seed", range(20))
def test_rle_is_json_and_decodes_to_the_masks(seed):
    found = some_instances(seed=seed)
    rles = json.loads(json.dumps(found.rle()))
    np.testing.assert_array_equal([coco_mask.decode(r) for r in rles], found.masks)


def test_exact_rle_gives_exactly_those_masks():
    masks = np.random.default_rng(0).uniform(size=(2, 11, 13)) > 0.5
    boxes = np.array([[0, 0, 11, 13]] * 2)
    found = Instances(
        boxes=boxes, scores=[1, 1], classes=[1, 1], size=(11, 13), exact_rle=masks_to_rle(masks)
    )
    np.testing.assert_array_equal(found.masks, masks)
    np.testing.assert_array_equal(found[[1, 0]].masks, masks[::-1])


def test_names_fall_back_to_the_class_number():
    found = some_instances(classes=[1, 3, 2, 4, 1])
    assert found.names == ["cell", "debris", "nucleus", "class 4", "cell"]
    assert some_instances(count=1, class_names=(), classes=[3]).names == ["class 3"]


@pytest.mark.parametrize(
    "index, rows",
    [
        (slice(1, 4), [1, 2, 3]),
        ([4, 0, 0], [4, 0, 0]),
        (np.array([True, False, True, False, True]), [0, 2, 4]),
        (-1, [4]),
        ([], []),
        (slice(0, 0), []),
    ],
)
@pytest.mark.parametrize("pasted", [False, True])
def test_indexing_selects_the_same_rows_of_everything(index, rows, pasted):
    found = some_instances()
    assert not pasted or found.masks.any()  # rows of pasted masks are taken, not pasted again
    rows, part = np.array(rows, int), found[index]
    assert isinstance(part, Instances) and len(part) == len(rows)
    for name in ("boxes", "scores", "classes", "mask_probabilities", "masks"):
        np.testing.assert_array_equal(getattr(part, name), getattr(found, name)[rows])
    assert part.size == found.size and part.class_names == found.class_names


def test_instances_can_be_looped_over():
    assert [x.names[0] for x in some_instances()] == some_instances().names


def test_numbers_are_the_ids_or_count_from_one():
    found = some_instances()
    assert found.numbers.tolist() == [1, 2, 3, 4, 5] == found[::-1].numbers.tolist()
    tracked = some_instances(ids=[7, 3, 12, 1, 40])
    assert tracked.numbers.tolist() == [7, 3, 12, 1, 40]
    assert tracked[[4, 1]].numbers.tolist() == [40, 3]
    assert tracked.numbers.dtype == found.numbers.dtype == np.int64
    assert tracked[[]].numbers.tolist() == found[[]].numbers.tolist() == []


def test_a_score_threshold_is_a_bool_index():
    found = some_instances()
    assert len(found[found.scores > 2]) == 0
    assert found[found.scores > 2].masks.shape == (0, 40, 50)


def test_coco_results_hold_xywh_the_data_sets_ids_and_the_mask():
    found = Instances(
        boxes=np.array([[2, 4, 12, 8]]),
        scores=[0.75],
        classes=[2],
        size=(20, 10),
        mask_probabilities=np.ones((1, 28, 28)),
    )
    (entry,) = found.coco_results(image_id=17, category_ids=(5, 90))
    assert entry == {
        "image_id": 17,
        "category_id": 90,
        "bbox": [4.0, 2.0, 4.0, 10.0],
        "score": 0.75,
        "segmentation": found.rle()[0],
    }
    json.dumps(entry)
    assert coco_mask.area(entry["segmentation"]) == 40


def test_a_class_without_a_category_id_is_refused():
    with pytest.raises(ValueError, match=r"classes 1\.\.3 found, wanted 1\.\.2"):
        some_instances(count=2, classes=[1, 3]).coco_results(1, (4, 5))
    with pytest.raises(ValueError, match=r"classes 0\.\.1"):
        some_instances(count=2, classes=[0, 1]).coco_results(1, (4, 5))


def test_nothing_found_works_everywhere():
    for probabilities in (None, np.zeros((0, 28, 28)), []):
        none = Instances(
            boxes=[], scores=[], classes=[], size=(6, 7), mask_probabilities=probabilities
        )
        assert len(none) == 0 and none.names == [] and none.rle() == []
        assert none.boxes.shape == (0, 4) and none.masks.shape == (0, 6, 7)
        assert none.coco_results(1, ()) == [] and len(none[:5]) == 0
        assert repr(none) == "<0 Instances in 6x7>"


def test_boxes_alone_have_results_without_a_mask_and_say_so_when_asked_for_one():
    found = some_instances(mask_probabilities=None)
    assert "segmentation" not in found.coco_results(1, (1, 2, 3))[0] and not found.has_masks
    for ask in (lambda: found.masks, found.rle):
        with pytest.raises(ValueError, match="boxes alone"):
            ask()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"scores": np.ones(4)}, r"scores has the shape \(4,\), wanted \(5,\)"),
        ({"boxes": np.ones((5, 3))}, r"boxes has the shape \(5, 3\), wanted \(5, 4\)"),
        ({"mask_probabilities": np.ones((4, 28, 28))}, r"wanted \(5, 28, 28\)"),
        ({"exact_rle": []}, "exact_rle has 0 entries, wanted 5"),
    ],
)
def test_lengths_that_disagree_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        some_instances(**change)


def test_ids_from_zero_are_refused():
    with pytest.raises(ValueError, match="ids go from 1, found 0"):
        some_instances(ids=[0, 1, 2, 3, 4])


def test_repr_names_the_best_ones():
    text = repr(some_instances(classes=[1, 2, 3, 1, 1], scores=[0.987, 0.5, 0.25, 0.1, 0.1]))
    assert text == "<5 Instances in 40x50: cell 0.99, nucleus 0.50, debris 0.25, ...>"


@pytest.mark.parametrize("exact", [False, True])
def test_windows_are_the_masks_one_by_one(exact):
    found = some_instances()
    expected = found.masks
    if exact:
        found = some_instances(exact_rle=found.rle(), mask_probabilities=None)
    canvas = np.zeros_like(expected)
    for mask, (top, left, bitmap) in zip(canvas, found.windows()):
        mask[top : top + bitmap.shape[0], left : left + bitmap.shape[1]] = bitmap
    np.testing.assert_array_equal(canvas, expected)
    assert not list(found[:0].windows())
    with pytest.raises(ValueError, match="boxes alone"):
        some_instances(mask_probabilities=None).windows()


def test_a_table_is_a_row_an_object_with_its_number_box_and_measures():
    found = some_instances(ids=[9, 2, 3, 4, 5])
    image = np.full((40, 50, 3), 7, np.uint8)
    rows = found.table(image, "0.5um", pandas=False)
    assert [row["id"] for row in rows] == [9, 2, 3, 4, 5]
    assert [row["class"] for row in rows] == found.names
    np.testing.assert_array_equal([row["y2"] for row in rows], found.boxes[:, 2])
    assert [row["area"] for row in rows] == found.masks.sum(axis=(1, 2)).tolist()
    assert [row["area_um2"] * 4 for row in rows] == [row["area"] for row in rows]
    assert {row["mean_channel_3"] for row in rows} == {7.0}
    assert list(found.table(pandas=False)[0])[-1] == "solidity"


def test_a_table_is_a_data_frame_where_pandas_is(monkeypatch):
    found = some_instances()
    monkeypatch.setitem(sys.modules, "pandas", None)  # not installed
    assert found.table() == found.table(pandas=False)
    with pytest.raises(InputError, match="pip install pandas"):
        found.table(pandas=True)
    module = types.ModuleType("pandas")
    module.DataFrame = lambda rows, columns: ("frame", rows, columns)
    monkeypatch.setitem(sys.modules, "pandas", module)
    kind, rows, columns = found.table()
    assert (kind, rows, columns) == ("frame", found.table(pandas=False), list(rows[0]))
    assert found[[]].table() == ("frame", [], ["id", "class", "score", "x1", "y1", "x2", "y2"])


def test_a_table_of_another_image_is_refused():
    with pytest.raises(ValueError, match=r"\(10, 10, 3\), wanted \(40, 50\)"):
        some_instances().table(np.zeros((10, 10, 3)))
    with pytest.raises(InputError, match="has no unit"):
        some_instances().table(pixel_size="0.5")
