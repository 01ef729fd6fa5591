"""`data/checking/clearing.py` and the files it uses: what is clear is told, mended, and lost never.

The cases are one set of four images with two objects each, spoilt in different ways.
"""

import json

import numpy as np
import pytest

from helpers.cases import case
from helpers.one_stack import on_stack_a
from tfmaskrcnn.data.checking import check, write_repaired
from tfmaskrcnn.data.checking.clearing import clear_set
from tfmaskrcnn.data.coco.records import load_coco
from tfmaskrcnn.data.coco.segmentation import decode
from tfmaskrcnn.errors import InputError

pytestmark = on_stack_a  # Python and NumPy alone; `test_repair` mends on both

# Case -> the rules that are broken in it, and how often.
TOLD = {
    "d01_via_coco_export": {"id-form": 8, "mask-form": 8, "image-size": 3, "foreign": 1},
    "d03_label_studio_paths": {"file-name": 4},
    "d03b_images_backslash": {"file-name": 4},
    "d03d_url_file_name": {"file-name": 4},
    "d05_text_ids": {"id-form": 12},
    "d05b_float_ids": {"id-form": 30},
    "d06_box_as_polygon": {"mask-is-box": 8},
    "d07_list_of_points": {"mask-form": 8},
    "d07c_nested_thrice": {"mask-form": 8},
    "d08_ids_per_image": {"annotation-id": 6},
    "d08b_ids_missing": {"annotation-id": 8},
    "d12_size_swapped": {"image-size": 4},
    "d12b_size_missing": {"image-size": 4},
    "d13_rle_size_swapped": {"mask-form": 8},
    "d13d_rle_row_major": {"rle-rows": 8},
    "d22_categories_object": {"list-form": 1},
    "d22b_name_number": {"name-form": 2},
    "d24_iscrowd_text": {"crowd-form": 8},
    "e01d_same_id": {"annotation-id": 7},
    "f01_one_nested": {"mask-form": 1},
    "f02_one_box_polygon": {"mask-is-box": 1},
}
# What is wrong and has no one answer stays, and is counted.
STAYS = {
    "d01b_via_category_null": {"entry": 8, "no-objects": 1},
    "d09_cvat_all_crowd": {"no-objects": 1},
    "e05_one_empty_segmentation": {"segmentation": 1},
    "f09_nan_coordinate": {"polygon": 1},
    "g01_vertex_1e9": {"far": 1},
    "g03_vertex_1e5": {"far": 1},
}
FINE = (
    "d02_roboflow_parent",
    "d10_exif_90",
    "d10b_exif_180",
    "d14_boxes",
    "d14b_all_xyxy",
    "d19_many",
    "d20_hole",
    "f04_half_crowd",
)
# One of the eight objects is a rectangle, so that its mask is its box.
BOXES = ("d06_box_as_polygon", "f02_one_box_polygon")
SIDE_ISSUES = {"anchor", "rare-class", "area", "crowd", "empty"}


def checked(name):
    folder = case(f"data/{name}")
    return check(str(folder / "train.json"), str(folder / "images"))


def mended(name, tmp_path):
    """(the repairs, the data set of the new JSON or the sentence why there is none)."""
    repairs = write_repaired(checked(name), str(tmp_path / "fixed.json"))
    images = case(f"data/{name}") / "images"
    try:
        return repairs, load_coco(str(tmp_path / "fixed.json"), str(images))
    except InputError as error:
        return repairs, str(error)


def masks(data):
    return [
        decode(s, record.height, record.width)
        for record in data.records
        for s in record.segmentations
    ]


@pytest.fixture(scope="module")
def truth():
    folder = case("data/d02_roboflow_parent")
    return masks(load_coco(str(folder / "train.json"), str(folder / "images")))


@pytest.mark.parametrize("name", TOLD)
def test_a_set_in_another_form_is_told_once_and_no_object_is_lost(name, tmp_path, truth):
    result = checked(name)
    told = {rule: len(found) for rule, found in result.by_rule.items() if rule not in SIDE_ISSUES}
    assert told == TOLD[name]
    assert result.num_errors == sum(n for rule, n in told.items() if rule != "foreign")
    repairs, data = mended(name, tmp_path)
    assert repairs.lost == 0 and not repairs.left and "nothing stays wrong" in repairs.summary()
    found = masks(data)
    assert len(found) == len(truth) == 8
    assert all(a.shape == b.shape for a, b in zip(found, truth))
    same = [np.array_equal(a, b) for a, b in zip(found, truth)]
    assert sum(same) == (8 if name not in BOXES else 1 if name.startswith("d06") else 7)
    assert all((a & b).sum() == b.sum() for a, b in zip(found, truth))  # a box covers its mask
    assert len({i for r in data.records for i in r.annotation_ids}) == 8


@pytest.mark.parametrize("name", STAYS)
def test_what_is_not_clear_stays_wrong_and_is_counted(name, tmp_path):
    result = checked(name)
    wrong = {rule: len(found) for rule, found in result.by_rule.items()}
    assert {rule: wrong.get(rule) for rule in STAYS[name]} == STAYS[name]
    assert result.num_errors == sum(STAYS[name].values())
    repairs, data = mended(name, tmp_path)
    assert repairs.lost == 0 and len(repairs.left) == result.num_errors
    assert "stay" in repairs.summary() and "no change" in repairs.summary()
    before = json.loads((case(f"data/{name}") / "train.json").read_text())
    after = json.loads((tmp_path / "fixed.json").read_text())
    assert str(after) == str(before)  # a NaN is not equal to itself


@pytest.mark.parametrize("name", FINE)
def test_whatever_can_be_read_keeps_its_objects(name, tmp_path):
    before = json.loads((case(f"data/{name}") / "train.json").read_text())
    repairs, data = mended(name, tmp_path)
    assert repairs.lost == 0 and not repairs.left
    assert sum(len(r.classes) for r in data.records) == len(before["annotations"])


def test_crowds_of_cvat_become_objects_when_asked(tmp_path):
    result = checked("d09_cvat_all_crowd")
    (found,) = result.by_rule["no-objects"]
    assert "all 8 objects are crowd regions" in found.message and "--no-crowds" in found.message
    repairs = write_repaired(result, str(tmp_path / "fixed.json"), crowds=False)
    assert not repairs.left and len(repairs) == 8
    images = case("data/d09_cvat_all_crowd") / "images"
    data = load_coco(str(tmp_path / "fixed.json"), str(images))
    assert not any(r.crowd.any() for r in data.records)
    half = checked("f04_half_crowd")
    assert "4 of 8 objects are crowd regions" in half.by_rule["many-crowds"][0].message
    assert half.num_errors == 0


def test_a_hole_is_told_and_its_trace_stays(tmp_path):
    result = checked("d20_hole")
    (found,) = result.by_rule["hole"]
    assert "polygon 2 lies inside its polygon 1" in found.message and found.annotation_id == 1
    repairs, _ = mended("d20_hole", tmp_path)
    entry = json.loads((tmp_path / "fixed.json").read_text())["annotations"][0]
    assert not repairs and len(entry["segmentation"]) == 2 and entry["area"] == 1200


@pytest.mark.parametrize("name", ["d01_via_coco_export", "d01b_via_category_null"])
def test_a_coco_of_via_is_told_with_its_importer(name):
    (found,) = checked(name).by_rule["foreign"]
    assert "import-data via" in found.message


def test_many_objects_in_an_image_are_told():
    rules = checked("d19_many").by_rule
    assert "196 objects, data.max_instances is 100" in rules["instances"][0].message
    assert "196 objects, box_head.max_detections is 100" in rules["detections"][0].message


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("bbox_1e400.json", "box"),
        ("check_segv_height_1e30.json", "image-size"),
        ("eval_area_text.json", "entry"),
        ("eval_bbox_nan.json", "box"),
        ("eval_image_id_list.json", "entry"),
        ("eval_segv_polygon_1e9.json", "far"),
        ("surrogate_counts.json", "rle"),
    ],
)
def test_hostile_numbers_end_in_findings(name, rule, tmp_path):
    result = check(str(case(f"hostile/{name}")), str(case("hostile/images")))
    assert rule in result.by_rule and result.table().encode()
    repairs = write_repaired(result, str(tmp_path / "fixed.json"))
    if not repairs.left:
        load_coco(str(tmp_path / "fixed.json"), str(case("hostile/images")))


def test_a_flipped_bit_in_a_png_is_seen():
    folder = case("hostile/damaged")
    (found,) = check(str(folder / "set.json"), str(folder)).by_rule["image-unreadable"]
    assert "checksum" in found.message


def cleared(draft):
    """(the cleared JSON, rules that were broken)."""
    found = clear_set(draft.coco, str(draft.folder), "apply")
    return found.raw, [f.rule for f in found.findings]


def test_ids_that_are_names_are_numbered_and_followed(draft):
    for image in draft.coco["images"]:
        for entry in draft.coco["annotations"]:
            if entry["image_id"] == image["id"]:
                entry["image_id"] = f"image {image['id']}"
        image["id"] = f"image {image['id']}"
    for entry in draft.coco["annotations"]:
        entry["category_id"] = "nut"
        entry["id"] = f"uuid-{entry['id']}"
    raw, rules = cleared(draft)
    assert [i["id"] for i in raw["images"]] == [1, 2]
    assert [a["image_id"] for a in raw["annotations"]] == [1] * 6 + [2] * 6
    assert {a["category_id"] for a in raw["annotations"]} == {5}
    assert len({a["id"] for a in raw["annotations"]}) == 12 and set(rules) == {"id-form"}


def test_an_annotation_may_name_its_file(draft):
    for entry in draft.coco["annotations"]:
        entry["image_id"] = f"{entry['image_id']}.png"
    raw, rules = cleared(draft)
    assert [a["image_id"] for a in raw["annotations"]] == [1] * 6 + [2] * 6
    assert rules == ["id-form"] * 12


def test_ids_that_would_be_one_stay_two(draft):
    draft.image(id="1")
    raw, rules = cleared(draft)
    assert [i["id"] for i in raw["images"]] == [1, 2, "1"] and not rules


@pytest.mark.parametrize(
    ("categories", "wanted"),
    [
        ({"5": "nut"}, [{"id": 5, "name": "nut"}]),
        ({"nut": 5}, [{"id": 5, "name": "nut"}]),
        ({"5": {"name": "nut"}}, [{"id": 5, "name": "nut"}]),
        ({"any": {"id": 5, "name": "nut"}}, [{"id": 5, "name": "nut"}]),
        (["a", "b", "c", "d", "nut"], None),
    ],
)
def test_categories_in_other_forms_are_a_list(draft, categories, wanted):
    draft.coco["categories"] = categories
    draft.coco["annotations"][0]["category_id"] = 1 if isinstance(categories, list) else 5
    raw, rules = cleared(draft)
    wanted = wanted or [{"id": k, "name": n} for k, n in enumerate(categories, start=1)]
    assert raw["categories"] == wanted and rules == ["list-form"]
    assert draft.check("model.num_classes=5").num_errors == 1


def test_a_category_of_null_is_the_only_one_there_is(draft):
    draft.coco["annotations"][0]["category_id"] = None
    assert cleared(draft)[0]["annotations"][0]["category_id"] == 5
    draft.coco["categories"].append({"id": 6, "name": "fig"})
    assert cleared(draft)[0]["annotations"][0]["category_id"] is None


def test_files_are_found_below_the_folder_if_one_alone_can_be_meant(draft):
    (draft.folder / "deep").mkdir()
    (draft.folder / "1.png").rename(draft.folder / "deep" / "1.png")
    raw, rules = cleared(draft)
    assert raw["images"][0]["file_name"] == "deep/1.png" and rules == ["file-name"]
    (draft.folder / "deeper").mkdir()
    (draft.folder / "deeper" / "1.png").write_bytes(b"")
    assert cleared(draft) == (draft.coco, [])


def test_two_names_never_become_one_file(draft):
    draft.coco["images"][0]["file_name"] = "a\\2.png"
    draft.image("b/2.png", pixels=False)
    raw, rules = cleared(draft)
    assert [i["file_name"] for i in raw["images"]] == ["a\\2.png", "2.png", "b/2.png"] and not rules


@pytest.mark.parametrize(
    "size", [(-1, -1), (None, None), ("96", "128"), (96.0, 128.0), (0, 128), ([], {}), (10**30, 1)]
)
def test_sizes_are_taken_from_the_file(draft, size):
    draft.coco["images"][0].update(height=size[0], width=size[1])
    raw, rules = cleared(draft)
    assert (raw["images"][0]["height"], raw["images"][0]["width"]) == (96, 128)
    assert set(rules) == {"image-size"}


def test_boxes_in_other_forms_are_read(draft):
    boxes = [["4", "10", "24", "26"], [[44, 10, 25, 26]], "[84, 10, 26, 26]"]
    boxes.append({"x": 4, "y": 50, "width": 27, "height": 26})
    for entry, bbox in zip(draft.coco["annotations"], boxes):
        entry["bbox"] = bbox
    raw, rules = cleared(draft)
    found = [a["bbox"] for a in raw["annotations"][:4]]
    assert found == [[4, 10, 24, 26], [44, 10, 25, 26], [84, 10, 26, 26], [4, 50, 27, 26]]
    assert rules == ["box-form"] * 4


def test_what_is_right_is_not_copied(draft):
    found = clear_set(draft.coco, str(draft.folder), "apply").raw
    for key in ("images", "annotations", "categories"):
        assert all(a is b for a, b in zip(found[key], draft.coco[key]))


@pytest.mark.parametrize("key", ["filename", "fileName", "path", "coco_url", "list"])
def test_the_file_may_be_named_under_another_key(draft, key):
    for image in draft.coco["images"]:
        name = image.pop("file_name")
        if key == "list":
            image["file_name"] = [name]
        else:
            image[key] = f"https://host/{name}?size=1" if key == "coco_url" else name
    raw, rules = cleared(draft)
    assert [i["file_name"] for i in raw["images"]] == ["1.png", "2.png"]
    assert rules == ["file-name"] * 2


def test_coordinates_that_are_all_shares_of_the_image_become_pixels(draft):
    before = json.loads(json.dumps(draft.coco["annotations"]))
    for entry in draft.coco["annotations"]:
        entry["bbox"] = [v / side for v, side in zip(entry["bbox"], (128, 96) * 2)]
        (polygon,) = entry["segmentation"]
        entry["segmentation"] = [[v / (128, 96)[n % 2] for n, v in enumerate(polygon)]]
    raw, rules = cleared(draft)
    for entry, wanted in zip(raw["annotations"], before):
        assert entry["bbox"] == pytest.approx(wanted["bbox"], abs=1e-3)
        assert entry["segmentation"][0] == pytest.approx(wanted["segmentation"][0], abs=1e-3)
    assert rules == ["box-form"] * 12
    draft.coco["annotations"][-1]["bbox"] = before[-1]["bbox"]  # one in pixels: who knows
    assert "box-form" not in cleared(draft)[1]


def test_a_mask_in_lists_without_an_end_is_left_as_it_is(draft):
    nested = []
    for _ in range(10_000):
        nested = [nested]
    for entry in draft.coco["annotations"]:
        entry["bbox"], entry["segmentation"] = [0.1, 0.1, 0.5, 0.5], nested
    found = clear_set(draft.coco, str(draft.folder), "apply").raw
    assert all(entry["segmentation"] is nested for entry in found["annotations"])
