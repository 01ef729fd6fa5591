"""`data/coco/records.py`: what is accepted, and the one sentence for each thing that is not."""

import copy
import itertools
import json
import logging

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from tfmaskrcnn.data.coco.records import limited, load_coco
from tfmaskrcnn.errors import InputError

TRIANGLE = [1.0, 1.0, 9.0, 1.0, 1.0, 9.0]
GOOD = {
    "images": [
        {"id": 7, "file_name": "a.png", "height": 20, "width": 30},
        {"id": 5, "file_name": "b.png", "height": 10, "width": 10},
    ],
    "categories": [{"id": 9, "name": "nut"}, {"id": 2, "name": "fig"}],
    "annotations": [
        {
            "id": 11,
            "image_id": 7,
            "category_id": 9,
            "bbox": [1, 1, 8, 8],
            "segmentation": [TRIANGLE],
            "iscrowd": 0,
        },
        {
            "id": 12,
            "image_id": 7,
            "category_id": 2,
            "bbox": [0, 0, 30, 20],
            "segmentation": {"size": [20, 30], "counts": [0, 600]},
            "iscrowd": 1,
        },
    ],
}


@pytest.fixture
def load(tmp_path):
    """A function that writes a COCO dictionary (or text) beside two image files and loads it."""
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"not read here")

    def load_it(coco, **options):
        text = coco if isinstance(coco, str) else json.dumps(coco)
        (tmp_path / "set.json").write_text(text)
        return load_coco(str(tmp_path / "set.json"), str(tmp_path), **options)

    return load_it


def changed(**fields):
    """`GOOD` with fields of its first annotation changed; the value `...` takes a field away."""
    coco = copy.deepcopy(GOOD)
    for key, value in fields.items():
        coco["annotations"][0][key] = value
        if value is ...:
            del coco["annotations"][0][key]
    return coco


def changed_image(**fields):
    coco = copy.deepcopy(GOOD)
    coco["images"][0].update(fields)
    return coco


def test_records_hold_what_the_json_says(load):
    data = load(GOOD)
    assert data.class_names == ("fig", "nut") and data.category_ids == (2, 9)
    first, second = data.records
    assert (first.image_id, first.file_name, first.height, first.width) == (7, "a.png", 20, 30)
    np.testing.assert_array_equal(first.boxes, [[1, 1, 9, 9], [0, 0, 20, 30]])
    assert first.boxes.dtype == np.float32 and first.classes.dtype == np.int32
    np.testing.assert_array_equal(first.classes, [2, 1])  # by ascending category id
    np.testing.assert_array_equal(first.crowd, [False, True])
    np.testing.assert_array_equal(first.segmentations[0][0], TRIANGLE)
    assert first.annotation_ids == [11, 12]
    assert second.boxes.shape == (0, 4) and second.segmentations == []


def test_boxes_are_yxyx_and_clipped_to_the_image(load):
    data = load(changed(bbox=[-3, 2, 10, 100]))
    np.testing.assert_array_equal(data.records[0].boxes[0], [2, 0, 20, 7])


def test_iscrowd_may_be_absent(load):
    assert not load(changed(iscrowd=...)).records[0].crowd[0]


@pytest.mark.parametrize("seed", range(20))
def test_a_compressed_rle_is_accepted_if_its_runs_fill_the_image(load, seed):
    rng = np.random.default_rng(seed)
    mask = (rng.random((20, 30)) < rng.choice([0.03, 0.5, 1.0])).astype(np.uint8)
    rle = coco_mask.encode(np.asfortranarray(mask))
    rle["counts"] = rle["counts"].decode()
    assert load(changed(segmentation=rle)).records[0].segmentations[0] == rle


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"image_id": 99}, "there is no image 99 in 'images'"),
        ({"category_id": 3}, "category_id 3 is not in 'categories' (2, 9)"),
        ({"bbox": [1, 1, 0, 8]}, "bbox [1, 1, 0, 8] has no area"),
        ({"bbox": [1, 1, 8, -2]}, "has no area"),
        ({"bbox": [1, float("nan"), 8, 8]}, "bbox is [1, nan, 8, 8]; wanted [x, y, width, height]"),
        ({"bbox": [1, 1, 8, float("inf")]}, "four finite numbers"),
        ({"bbox": [1, 1, 8, 8, 1]}, "bbox is [1, 1, 8, 8, 1]; wanted [x, y, width, height]"),
        ({"bbox": ["1", 1, 8, 8]}, "four finite numbers"),
        ({"bbox": [20, 1, 1e-7, 8]}, "is too small to count in the image of 20 x 30 pixels"),
        ({"area": "12"}, "its area is '12', wanted a number"),
        ({"bbox": [30, 1, 8, 8]}, "lies outside the image of 20 x 30 pixels"),
        ({"segmentation": []}, "segmentation is []; wanted polygons or an RLE"),
        ({"segmentation": {"size": [20, 30], "counts": [600]}}, "its RLE covers no pixel"),
        ({"segmentation": ...}, "segmentation is None; wanted polygons or an RLE"),
        ({"segmentation": "abc"}, "segmentation is a str"),
        ({"segmentation": [[1, 1, 9, 9]]}, "a polygon has 4 coordinates"),
        ({"segmentation": [TRIANGLE + [3.0]]}, "a polygon has 7 coordinates"),
        ({"segmentation": TRIANGLE}, "holds 1.0; wanted a list of polygons"),
        ({"segmentation": [[1, 1, 9, 1, 1, None]]}, "wanted finite numbers only"),
        ({"segmentation": [[1, 1, 9, 1, 1, float("nan")]]}, "wanted finite numbers only"),
        ({"segmentation": [[1, 1, 5, 5, 9, 9]]}, "enclose no area"),
        ({"segmentation": [[40, 1, 50, 1, 40, 9]]}, "polygons span x 40..50, y 1..9, outside"),
        (
            {"segmentation": {"size": [30, 20], "counts": [600]}},
            "'size' of its RLE is [30, 20]; wanted the image's [20, 30]",
        ),
        (
            {"segmentation": {"size": [20, 30], "counts": [600, 1]}},
            "add up to 601, the least is 1; wanted 20 * 30",
        ),
        ({"segmentation": {"size": [20, 30], "counts": [601, -1]}}, "the least is -1"),
        (
            {"segmentation": {"size": [20, 30], "counts": "52"}},
            "add up to 7, the least is 2; wanted 20 * 30",
        ),
        ({"segmentation": {"size": [20, 30], "counts": "5~"}}, "no compressed run lengths: '5~'"),
        ({"segmentation": {"size": [20, 30], "counts": "5P"}}, "no compressed run lengths: '5P'"),
        ({"segmentation": {"size": [20, 30], "counts": "é"}}, "no compressed run lengths"),
        ({"segmentation": {"size": [20, 30], "counts": "o" * 7 + "0"}}, "no compressed run length"),
        ({"segmentation": {"size": [20, 30], "counts": [600.0]}}, "must be integers"),
        ({"segmentation": {"size": [20, 30]}}, "'counts' of its RLE are None"),
        ({"iscrowd": 2}, "'iscrowd' is 2, wanted 0 or 1"),
        ({"category_id": "9"}, "'category_id' is '9', wanted an integer"),
        ({"bbox": [1, 1, 10**400, 8]}, "four finite numbers"),
        ({"bbox": [1, 1, 8, 1e9]}, "reaches from x 1, y 1 to x 9, y 1e+09, more than 10 sides"),
        ({"segmentation": [[1, 1, 9, 1, 1, 1e9]]}, "y 1 to x 9, y 1e+09, more than 10 sides"),
        ({"segmentation": [[1, 1, 9, 1, 1, 10**400]]}, "wanted finite numbers only"),
        ({"segmentation": [[-299, 0, 329, 9] * 4000]}, "outline is 5.02e+06 pixels long"),
        ({"segmentation": {"size": [20, 30], "counts": [2**70, 600 - 2**70]}}, "the least is -"),
        ({"segmentation": {"size": [20, 30], "counts": [True, 599]}}, "must be integers"),
        ({"segmentation": {"size": [20, 30], "counts": "5\ud800"}}, "run lengths: '5\\ud800'"),
        ({"iscrowd": [1]}, "'iscrowd' is [1], wanted 0 or 1"),
        ({"category_id": 10**400}, "category_id 1000"),
    ],
)
def test_a_wrong_annotation_is_named_and_can_be_left_out(load, caplog, fields, said):
    with pytest.raises(InputError) as caught:
        load(changed(**fields))
    message = str(caught.value)
    assert said in message and "set.json: annotation" in message and "\n" not in message
    assert message.endswith(".") and message.count("wanted") <= 1
    with caplog.at_level(logging.WARNING):
        data = load(changed(**fields), skip_invalid=True)
    assert sum(len(r.classes) for r in data.records) == 1
    assert "left out 1 wrong annotations" in caplog.text and said in caplog.text


@pytest.mark.parametrize(
    "own, said",
    [
        (12, "repeats the annotation id 12"),
        (None, "entry 0 of 'annotations': 'id' is None, wanted an integer"),
        ("11", "'id' is '11', wanted an integer"),
        (2**63, "does not fit 64 bits"),
    ],
)
def test_an_annotation_of_which_only_the_id_is_wrong_can_be_kept(load, caplog, own, said):
    with pytest.raises(InputError) as caught:
        load(changed(id=own))
    assert said in str(caught.value) and str(caught.value).count("--fix") <= 1
    with caplog.at_level(logging.WARNING):
        data = load(changed(id=own), skip_invalid=True)
    ids = sorted(i for record in data.records for i in record.annotation_ids)
    assert len(set(ids)) == 2 and all(type(i) is int for i in ids)
    assert "1 annotation ids are missing or repeated" in caplog.text
    assert "left out" not in caplog.text


@pytest.mark.parametrize(
    "fields, what",
    [
        ({"category_id": "9"}, "It is an integer, written in another way: "),
        ({"segmentation": TRIANGLE}, "It is a flat list of coordinates: "),
        ({"segmentation": [[1, 1], [9, 1], [1, 9]]}, "It is a list of points: "),
        ({"iscrowd": "0"}, "It is 0 or 1, written in another way: "),
    ],
)
def test_what_has_a_clear_meaning_is_told_with_the_command_that_mends_it(load, fields, what):
    with pytest.raises(InputError) as caught:
        load(changed(**fields))
    assert what in str(caught.value) and "check-data" in str(caught.value)


def test_an_annotation_of_a_senseless_image_id_is_named_by_its_place(load):
    with pytest.raises(InputError, match=r"entry 0 of 'annotations': 'image_id' is \[7\], wanted"):
        load(changed(image_id=[7]))


def test_a_size_that_no_file_has_is_refused_before_a_mask_is_drawn(load, tmp_path):
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    for height in (10**30, 2**31, 3_000_000):
        with pytest.raises(InputError, match="is said to have .* 30 pixels .*its file is 20 x 30"):
            load(changed_image(height=height), skip_invalid=True)


def test_a_wrong_annotation_says_its_id_and_its_image(load):
    with pytest.raises(InputError, match="annotation 11 of image 7: its bbox"):
        load(changed(bbox=[1, 1, 0, 0]))


def without(key):
    return {k: v for k, v in GOOD.items() if k != key}


@pytest.mark.parametrize(
    "coco, said",
    [
        ("", "is empty (0 bytes)"),
        ("{", "is not valid JSON"),
        ("[]", "no COCO instance set: its top level is a list"),
        (without("images"), "no COCO instance set: 'images' is missing"),
        (without("annotations"), "no COCO instance set: 'annotations' is missing"),
        (without("categories"), "no COCO instance set: 'categories' is missing"),
        ({**GOOD, "annotations": {}}, "'annotations' is a dict, wanted a list"),
        ({**GOOD, "images": []}, "'images' is empty"),
        ({**GOOD, "categories": []}, "'categories' is empty"),
        ({**GOOD, "categories": [{"id": 1}]}, "entry 0 of 'categories': 'name' is missing"),
        ({**GOOD, "categories": GOOD["categories"] * 2}, "repeats the id 9"),
        ({**GOOD, "images": [1]}, "entry 0 of 'images' is 1, wanted an object"),
        ({**GOOD, "images": GOOD["images"] * 2}, "image 7 occurs twice in 'images'"),
        (changed_image(id="7"), "'id' is '7', wanted an integer"),
        (changed_image(id=2**64), "does not fit 64 bits"),
        (changed_image(height=0), "image 7: 'height' is 0, wanted pixels above 0"),
        (changed_image(width=30.5), "image 7: 'width' is 30.5, wanted an integer"),
        (changed_image(file_name=None), "image 7: 'file_name' is None, wanted a text"),
        (changed_image(file_name="a\0.png"), r"image 7: 'file_name' is 'a\x00.png', which no file"),
        (changed_image(file_name="gone.png"), "gone.png does not exist"),
    ],
)
def test_a_wrong_file_stops_even_if_wrong_annotations_are_left_out(load, coco, said):
    with pytest.raises(InputError) as caught:
        load(coco, skip_invalid=True)
    assert said in str(caught.value) and "set.json" in str(caught.value)


def test_a_missing_json_or_image_folder_is_named(load, tmp_path):
    with pytest.raises(InputError, match="Cannot read .*none.json: No such file"):
        load_coco(str(tmp_path / "none.json"), str(tmp_path))
    load(GOOD)
    with pytest.raises(InputError, match="image folder .*nowhere does not exist"):
        load_coco(str(tmp_path / "set.json"), str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    "keys, masks", [(("segmentation",), True), (("segmentation", "bbox"), False)]
)
def test_a_set_without_masks_or_boxes_is_refused_as_a_whole(load, keys, masks):
    coco = copy.deepcopy(GOOD)
    for annotation, key in itertools.product(coco["annotations"], keys):
        del annotation[key]
    said = f"none of the 2 annotations has a '{keys[-1]}'; Mask R-CNN"
    with pytest.raises(InputError, match=said):
        load(coco, skip_invalid=True, masks=masks)


@pytest.mark.parametrize("missing", [..., None])
def test_a_box_that_is_missing_is_that_of_the_mask(load, missing):
    data = load(changed(bbox=missing, segmentation=[[2, 3, 12, 3, 12, 9, 2, 9], [1, 1, 5, 5]]))
    np.testing.assert_array_equal(data.records[0].boxes[0], [3, 2, 9, 12])


def test_a_set_of_nothing_but_wrong_annotations_is_refused(load):
    coco = changed(bbox=[1, 1, 0, 0])
    del coco["annotations"][1]
    with pytest.raises(InputError, match="All 1 annotations are wrong, the first: .*annotation 11"):
        load(coco, skip_invalid=True)


def test_images_without_objects_are_kept_and_counted(load, caplog):
    with caplog.at_level(logging.INFO):
        data = load({**GOOD, "annotations": []})
    assert [len(r.classes) for r in data.records] == [0, 0]
    assert "2 of 2 images have no object" in caplog.text


def test_a_file_that_serves_two_images_is_logged(load, caplog):
    load(changed_image(file_name="b.png"))
    assert "1 files belong to several images: b.png" in caplog.text


@pytest.mark.parametrize("missing", [..., None, []])
def test_annotations_of_boxes_alone_are_taken_where_no_masks_are_needed(load, missing):
    coco = changed(segmentation=missing)
    for entry in coco["annotations"]:
        entry.pop("segmentation", None)
    with pytest.raises(InputError, match=r"'segmentation'.*mask_head.enabled=false"):
        load(coco)
    record = load(coco, masks=False).records[0]
    assert record.segmentations == [None, None]
    np.testing.assert_array_equal(record.boxes[0], [1, 1, 9, 9])


def test_where_no_masks_are_needed_those_that_are_there_are_still_checked(load):
    assert len(load(GOOD, masks=False).records[0].segmentations[0]) == 1
    with pytest.raises(InputError, match="3 points"):
        load(changed(segmentation=[[1, 1, 2, 2]]), masks=False)


def test_a_limit_takes_images_with_objects_first_in_their_order(load):
    coco = copy.deepcopy(GOOD)
    coco["annotations"][0]["image_id"] = 5  # image 7 is left with a crowd alone
    coco["annotations"][0]["segmentation"] = [[1.0, 1.0, 9.0, 1.0, 1.0, 9.0]]
    data = load(coco)
    assert [r.image_id for r in limited(data, 1).records] == [5]
    assert [r.image_id for r in limited(load(GOOD), 1).records] == [7]
    for limit in (None, 2, 10):
        assert [r.image_id for r in limited(data, limit).records] == [7, 5]
