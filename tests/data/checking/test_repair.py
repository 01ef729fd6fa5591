"""`data/checking/repair.py`: what is mended, what is left, and that the input stays."""

import json

import numpy as np
import pytest
from PIL import Image

from helpers.spoilt import ANNOTATIONS, rle
from tfmaskrcnn.data.checking import check, write_repaired
from tfmaskrcnn.data.checking.page import page
from tfmaskrcnn.data.coco.records import load_coco
from tfmaskrcnn.errors import InputError

MENDED = ("annotation-id", "unknown-image", "box", "box-area", "box-outside", "box-xyxy")
MENDED += ("box-edge", "box-mask", "polygon", "polygon-outside", "polygon-edge", "mask-area")
MENDED += ("area",)
LEFT = ("unknown-category", "segmentation", "rle", "rle-size", "crossing")


@pytest.fixture
def mend(draft):
    """Write the mended JSON of the draft; (it, the kinds of changes, the sentences)."""

    def mend_it(*overrides):
        path = draft.folder / "fixed.json"
        changes = write_repaired(draft.check(*overrides), str(path))
        return json.loads(path.read_text()), {c.kind for c in changes}, [c.message for c in changes]

    return mend_it


@pytest.mark.parametrize("rule", MENDED)
def test_what_has_one_clear_answer_is_mended(draft, mend, rule):
    entry = draft.object(1, **ANNOTATIONS[rule][0])
    before = draft.copied()
    fixed, _, messages = mend()
    assert any(f"annotation {entry['id']}" in m for m in messages)
    assert draft.coco == before and json.loads(draft.json.read_text()) is not None
    draft.coco = fixed
    assert rule not in draft.check().by_rule and draft.check().num_errors == 0
    load_coco(str(draft.folder / "fixed.json"), str(draft.folder))


@pytest.mark.parametrize("rule", LEFT)
def test_what_has_no_clear_answer_is_left(draft, mend, rule):
    draft.object(1, **ANNOTATIONS[rule][0])
    fixed, kinds, _ = mend()
    assert len(fixed["annotations"]) == 13 and kinds <= {"areas"}


def test_a_good_set_stays_as_it_is(draft, mend):
    fixed, kinds, _ = mend()
    assert fixed == draft.coco and not kinds


def test_values_after_mending_are_right(draft, mend):
    draft.object(1, id=100)
    draft.object(1, **ANNOTATIONS["polygon-edge"][0], area=1000)
    draft.object(1, **ANNOTATIONS["box"][0])
    fixed, _, _ = mend()
    anew, clipped, boxed = fixed["annotations"][-3:]
    assert anew["id"] == 115
    xs = clipped["segmentation"][0][::2]
    assert (min(xs), max(xs)) == (100, 128) and clipped["area"] == 28 * 20
    assert boxed["bbox"] == [20, 30, 24, 20]


def test_one_bad_polygon_of_several_is_left_out_alone(draft, mend):
    draft.coco["annotations"][0]["segmentation"].append([1, 2, 3])
    fixed, kinds, messages = mend()
    assert len(fixed["annotations"][0]["segmentation"]) == 1 and kinds == {"polygons left out"}
    assert "3 coordinates" in messages[0]


def test_an_object_annotated_twice_stays_once(draft, mend):
    draft.object(1, (4, 10, 24, 26))
    fixed, kinds, _ = mend()
    assert [a["id"] for a in fixed["annotations"]] == list(range(100, 112))
    assert kinds == {"objects annotated twice"}


def test_a_wrong_size_is_taken_from_the_file_if_all_fits(draft, mend):
    draft.coco["images"][0].update(height=128, width=96)
    fixed, kinds, _ = mend()
    assert (fixed["images"][0]["height"], fixed["images"][0]["width"]) == (96, 128)
    assert kinds == {"image sizes"}


@pytest.mark.parametrize(
    "change",
    [
        {"bbox": [100, 90, 20, 30]},  # fits the JSON's size alone
        {"segmentation": {"size": [200, 300], "counts": [60000]}},
    ],
)
def test_a_size_is_left_if_an_annotation_contradicts_the_file(draft, mend, change):
    draft.coco["images"][0].update(height=200, width=300)
    draft.coco["annotations"][0].update(change)
    fixed, _, _ = mend()
    assert fixed["images"][0]["height"] == 200


def test_a_size_is_left_if_a_viewer_would_turn_the_image(draft, mend):
    exif = Image.Exif()
    exif[0x0112] = 6
    draft.image("turned.jpg", save={"exif": exif}).update(height=128, width=96)
    fixed, kinds, _ = mend()
    assert fixed["images"][2]["height"] == 128 and not kinds


def test_boxes_alone_are_mended_too(draft, mend):
    for entry in draft.coco["annotations"]:
        x, y, w, h = entry["bbox"]
        entry.update(bbox=[x, y, x + w, y + h])
        del entry["segmentation"]
    fixed, kinds, _ = mend("mask_head.enabled=false")
    assert fixed["annotations"][1]["bbox"] == [44, 10, 25, 26] and kinds == {"boxes of corners"}


def test_boxes_alone_are_clipped_or_left_out(draft, mend):
    for entry in draft.coco["annotations"]:
        del entry["segmentation"]
    draft.coco["annotations"][0]["bbox"] = [-5, 10, 25, 20]
    draft.coco["annotations"][1]["bbox"] = [5, 10, 0, 20]
    fixed, kinds, _ = mend("mask_head.enabled=false")
    assert fixed["annotations"][0]["bbox"] == [0, 10, 20, 20]
    assert kinds == {"boxes clipped", "objects without area"} and len(fixed["annotations"]) == 11


def test_the_input_is_never_overwritten(draft):
    link = draft.folder / "link.json"
    result = draft.check()
    link.symlink_to(draft.json)
    before = draft.json.read_bytes()
    for path in (draft.json, link):
        with pytest.raises(InputError, match="give the new one another name"):
            write_repaired(result, str(path))
    with pytest.raises(InputError, match="first 1 images"):
        write_repaired(draft.check(limit=1), str(draft.folder / "fixed.json"))
    assert draft.json.read_bytes() == before


def test_nonsense_stays_for_the_user_to_see(draft, mend):
    nonsense = [
        7,
        {"id": []},
        {"id": 500, "image_id": [1]},
        {"id": 501, "image_id": 1, "bbox": "x"},
    ]
    draft.coco["annotations"] += nonsense
    draft.coco["images"].append("no image")
    fixed, kinds, _ = mend()
    assert fixed["annotations"][-4:] == nonsense and not kinds


def test_an_rle_keeps_its_shape(draft, mend):
    mask = np.zeros((96, 128), bool)
    mask[50:70, 90:110] = True
    draft.object(1, bbox=[0, 0, 9, 9], segmentation=rle(mask), area=3)
    fixed, _, _ = mend()
    entry = fixed["annotations"][-1]
    assert entry["bbox"] == [90, 50, 20, 20] and entry["area"] == 400
    assert entry["segmentation"] == rle(mask)


def test_a_box_without_a_mask_is_no_loss_where_no_mask_is_trained(draft, mend):
    draft.object(1, segmentation=[[1, 2, 3, 4]])
    fixed, kinds, _ = mend("mask_head.enabled=false")
    assert len(fixed["annotations"]) == 13 and "masks left out" in kinds
    fixed, kinds, _ = mend()
    assert len(fixed["annotations"]) == 12 and "objects without area" in kinds


def test_annotations_stay_if_most_have_no_image(draft):
    for entry in draft.coco["annotations"][:6]:
        entry["image_id"] += 70
    repairs = write_repaired(draft.check(), str(draft.folder / "fixed.json"))
    assert len(repairs.left) == 6 and repairs.lost == 0
    draft.coco["annotations"][0]["image_id"] = 1
    for entry in draft.coco["annotations"][1:6]:
        entry["image_id"] -= 70
    draft.object(77)
    repairs = write_repaired(draft.check(), str(draft.folder / "fixed.json"))
    assert not repairs.left and repairs.lost == 1
    assert repairs.summary() == "1 change, 1 object lost, nothing stays wrong"


def test_what_is_lost_and_left_is_on_the_page(draft):
    draft.object(77)
    draft.object(1, category_id=9)
    result = draft.check()
    repairs = write_repaired(result, str(draft.folder / "fixed.json"))
    assert repairs.summary() == "1 change, 1 object lost, 1 thing stays wrong"
    assert repairs.summary() in page(result, repairs)


def test_a_category_listed_twice_stays_once_and_another_name_is_for_the_user(draft, mend):
    draft.coco["categories"].append(dict(draft.coco["categories"][0]))
    fixed, kinds, _ = mend()
    assert fixed["categories"] == [{"id": 5, "name": "nut"}] and kinds == {
        "categories listed twice"
    }
    draft.coco["categories"][1]["name"] = "fig"
    fixed, kinds, _ = mend()
    assert len(fixed["categories"]) == 2 and not kinds


@pytest.mark.parametrize("depth", [100, 900, 3000, 100_000])
def test_a_set_nested_deep_is_written_or_refused(draft, depth):
    # How deep a JSON may be that Python reads and writes depends on its version.
    draft.check()
    text = draft.json.read_text()
    draft.json.write_text(text.replace("{", '{"info": ' + "[" * depth + "]" * depth + ", ", 1))
    try:
        result = check(str(draft.json), str(draft.folder))
        write_repaired(result, str(draft.folder / "new.json"))
    except InputError as error:
        assert depth > 500 and ("nested" in str(error) or "recursion" in str(error))


@pytest.mark.parametrize("shape", [[[3, 4, 5]], [[1], [2], [3]], [[4, 10, 28, 10, 28]]])
def test_numbers_that_are_no_points_stay_wrong_and_no_object_is_lost(draft, mend, shape):
    draft.coco["annotations"][0]["segmentation"] = shape
    fixed, kinds, _ = mend()
    assert fixed["annotations"][0]["segmentation"] == shape
    assert "objects without area" not in kinds
