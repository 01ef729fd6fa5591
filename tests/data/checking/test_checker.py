"""`data/checking/checker.py`: every rule, in a set that breaks it in one place."""

import os
import re
import shutil

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from helpers.spoilt import ANNOTATIONS, ellipse, rle
from tfmaskrcnn.data.checking.rules import RULES, WRONG
from tfmaskrcnn.data.coco.records import load_coco
from tfmaskrcnn.errors import InputError


def places(result, rule):
    return [(f.file_name, f.image_id, f.annotation_id) for f in result.by_rule.get(rule, [])]


def test_a_good_set_gives_no_finding(draft):
    result = draft.check()
    assert result.findings == [] and result.num_errors == 0
    assert "Nothing is wrong" in result.table()


@pytest.mark.parametrize("rule", ANNOTATIONS)
def test_an_annotation_that_breaks_a_rule_is_named(draft, rule):
    fields, said = ANNOTATIONS[rule]
    entry = draft.object(1, **fields)
    result = draft.check()
    (found,) = result.by_rule[rule]
    assert said in found.message and found.annotation_id == entry["id"]
    assert str(entry["id"]) in found.message or rule == "annotation-id"
    assert set(result.by_rule) - {"anchor", "polygon-edge", "box-mask", "area"} <= {rule}
    assert result.num_errors == (RULES[rule].level == WRONG)
    # `load_coco` stops exactly there; boxes in the wrong order are boxes all the same.
    if result.num_errors and rule != "box-xyxy":
        with pytest.raises(InputError, match=re.escape(found.message)):
            load_coco(str(draft.json), str(draft.folder))
    else:
        load_coco(str(draft.json), str(draft.folder))


def test_nothing_stops_at_the_first_error(draft):
    for rule in ("box-area", "polygon", "unknown-category", "rle"):
        draft.object(1, **ANNOTATIONS[rule][0])
    draft.coco["annotations"].append("no object")
    draft.coco["images"].append({"id": 9, "file_name": "9.png", "height": 0, "width": 5})
    draft.object(9)  # of a wrong image: said once, of the image
    result = draft.check()
    assert {"box-area", "polygon", "unknown-category", "rle", "entry"} == set(result.by_rule)
    assert len(result.by_rule["entry"]) == 2 and result.num_errors == 6
    assert "6 things are wrong" in result.verdict()


def test_an_rle_that_fits_is_fine_and_an_empty_one_is_wrong(draft):
    box = coco_mask.toBbox(coco_mask.encode(np.asfortranarray(ellipse(), np.uint8))).tolist()
    draft.object(1, box=box, segmentation=rle(ellipse()), area=int(ellipse().sum()))
    assert draft.check().findings == []
    draft.object(1, segmentation=rle(np.zeros((96, 128))))
    assert places(draft.check(), "mask-area") == [("1.png", 1, 113)]


def test_an_object_annotated_twice_is_named_with_the_first(draft):
    draft.object(1, (4.2, 10, 24, 26))
    (found,) = draft.check().by_rule["duplicate-object"]
    assert found.annotation_id == 112 and "repeats annotation 100" in found.message
    draft.coco["annotations"][-1]["segmentation"] = [[4, 10, 28, 10, 4, 36]]  # another shape
    assert "duplicate-object" not in draft.check().by_rule


def test_boxes_alone_in_the_wrong_order_are_seen_from_all_of_them(draft):
    for entry in draft.coco["annotations"]:
        x, y, w, h = entry["bbox"]
        entry.update(bbox=[x, y, x + w, y + h], segmentation=None)
    result = draft.check("mask_head.enabled=false")
    assert "all 12 boxes are inside their images as [x1, y1, x2, y2]" in str(result.findings)
    draft.coco["annotations"][0]["bbox"] = [60, 60, 20, 20]  # one that cannot be corners
    assert "box-xyxy" not in draft.check("mask_head.enabled=false").by_rule


def test_files_that_cannot_be_read_are_named(draft):
    folder = draft.folder
    for name in ("missing.png", "cut.jpg", "text.png", "empty.png", "cut.png"):
        draft.image(name)
    os.remove(folder / "missing.png")
    for name in ("cut.jpg", "cut.png"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) * 2 // 3])
    (folder / "text.png").write_text("no image")
    (folder / "empty.png").write_bytes(b"")
    result = draft.check()
    assert places(result, "image-missing") == [("missing.png", 3, None)]
    unreadable = [f.file_name for f in result.by_rule["image-unreadable"]]
    assert unreadable == ["cut.jpg", "text.png", "empty.png", "cut.png"]
    assert "truncated" in result.by_rule["image-unreadable"][0].message


def test_another_size_and_what_exif_turns_is_named(draft):
    draft.image("size.png", size=(50, 60))["width"] = 61
    exif = Image.Exif()
    exif[0x0112] = 6
    draft.image("turned.jpg", size=(40, 30), save={"exif": exif})  # the size of the stored pixels
    upright = draft.image("upright.jpg", save={"exif": exif})
    upright.update(height=128, width=96)
    draft.object(4), draft.object(5)
    result = draft.check()
    first, second = result.by_rule["image-size"]
    assert "is 50 x 60 pixels (height x width), but its annotations say 50 x 61" in first.message
    assert "EXIF orientation 6: set input.exif=ignore" in second.message
    assert second.file_name == "turned.jpg"
    exif_of = [(f.file_name, f.message) for f in result.by_rule["exif"]]
    assert [name for name, _ in exif_of] == ["turned.jpg", "upright.jpg"]
    assert "turned by a quarter to the right, and so does training" in exif_of[0][1]
    ignored = draft.check("input.exif=ignore")
    assert "set input.exif=apply" in ignored.by_rule["image-size"][1].message
    assert "training does not" in ignored.by_rule["exif"][0].message


def test_kinds_of_pixels_are_named(draft):
    grey = np.random.default_rng(0).integers(0, 256, (96, 128), dtype=np.uint8)
    draft.image("grey.png", pixels=grey)
    draft.image("deep.png", pixels=grey.astype(np.uint16) * 257)
    draft.image("alpha.png", pixels=np.stack([grey] * 4, axis=-1))
    draft.image("print.jpg", pixels=False)
    Image.fromarray(grey).convert("CMYK").save(draft.folder / "print.jpg")
    result = draft.check()
    assert places(result, "grey") == [("grey.png", 3, None)]
    deep, alpha, cmyk = (f.message for f in result.by_rule["image-mode"])
    assert "16 bits" in deep and "alpha is dropped" in alpha and "CMYK" in cmyk
    assert result.num_errors == 0


def test_copies_and_leaks_are_named(draft, tmp_path_factory):
    shutil.copy(draft.folder / "1.png", draft.folder / "copy.png")
    draft.image("copy.png", pixels=False)
    draft.image("1.png", pixels=False)
    draft.check()
    other = draft.folder / "other.json"
    shutil.copy(draft.json, other)
    images = draft.coco["images"]
    draft.coco["images"] = [*images[:1], *images[2:]]
    draft.coco["annotations"] = draft.coco["annotations"][:6]
    result = draft.check(other_json=str(other))
    assert places(result, "same-file") == [("1.png", 4, None)]
    assert places(result, "duplicate-image") == [("copy.png", 3, None)]
    assert [f.image_id for f in result.by_rule["leak"]] == [1, 3, 4]


def test_names_that_differ_in_case_are_named(draft):
    draft.image("Nut.PNG")
    draft.coco["images"][-1]["file_name"] = "nut.png"  # as a file system without cases takes it
    draft.image("a.png")
    draft.image("A.png")
    messages = [f.message for f in draft.check().findings]
    assert any("the JSON says nut.png, the disk Nut.PNG" in m for m in messages)
    assert any("a.png and A.png" in m for m in messages)


def test_classes_are_counted(draft):
    draft.coco["categories"] += [{"id": 6, "name": "fig"}, {"id": 7, "name": "Nut "}]
    draft.object(1, (60, 70, 24, 20), category_id=7)
    draft.coco["categories"].append({"id": 6, "name": "date"})
    result = draft.check("model.num_classes=3")
    assert result.class_counts == {1: 12, 2: 0, 3: 1}
    messages = {rule: found[0].message for rule, found in result.by_rule.items()}
    assert "class 2, 'fig' (category 6) has no object" in messages["unused-class"]
    assert "'Nut ' (category 7) has 1 objects" in messages["rare-class"]
    assert "categories 5 and 7 are both named 'Nut '" in messages["same-name"]
    assert "repeats the id 6" in messages["category-id"]


def test_images_without_objects_and_with_too_many_are_named(draft):
    draft.image()
    result = draft.check(
        "data.max_instances=5", "box_head.max_detections=3", "evaluation.max_detections=[1,2,5]"
    )
    assert places(result, "empty") == [("3.png", 3, None)]
    assert [f.image_id for f in result.by_rule["instances"]] == [1, 2]
    assert "box_head.max_detections is 3" in result.by_rule["detections"][0].message
    assert "1 of them" not in result.table() and result.num_errors == 0


def test_ids_of_images_must_be_unique(draft):
    draft.image(id=2)
    assert "image 2 occurs twice" in draft.check().by_rule["image-id"][0].message


def test_a_set_of_crowds_has_nothing_to_train_on(draft):
    for entry in draft.coco["annotations"]:
        entry["iscrowd"] = 1
    result = draft.check()
    assert "no-objects" in result.by_rule and result.proposals == []
    assert "no objects" in result.table()


def test_wrong_keypoints_are_named(draft):
    draft.coco["categories"][0]["keypoints"] = ["tip", "stem"]
    draft.coco["annotations"][0]["keypoints"] = [1, 1, 2, 500, 1, 2]
    (found,) = draft.check("keypoint_head={enabled: true, num_keypoints: 2}").by_rule["keypoints"]
    assert "its stem at x 500" in found.message and found.annotation_id == 100


def test_a_limit_checks_the_first_images_alone(draft):
    draft.object(2, **ANNOTATIONS["box-area"][0])
    seen = []
    result = draft.check(limit=1, progress=lambda done, total: seen.append((done, total)))
    assert result.num_errors == 0 and result.num_objects == 6 and seen == [(1, 1)]


def test_a_set_that_is_none_is_refused(draft):
    for entry in draft.coco["annotations"]:
        del entry["segmentation"]
    with pytest.raises(InputError, match="mask_head.enabled=false"):
        draft.check()
