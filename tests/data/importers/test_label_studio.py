"""`data/importers/label_studio.py` and `data/importers/task_images.py`."""

import json

import numpy as np
import pytest
from PIL import Image

from helpers.brush_code import encoded
from tfmaskrcnn.data import load_coco
from tfmaskrcnn.data.coco.segmentation import decode
from tfmaskrcnn.data.importers import from_label_studio
from tfmaskrcnn.errors import InputError

HEIGHT, WIDTH = 50, 200
TRIANGLE = {"points": [[10, 10], [50, 10], [50, 60]]}


def region(kind, value, label="leaf", key=None, **more):
    value = {**value, kind: [label]} if label is not None else value
    size = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    return {"id": key, "type": kind, "value": value, **size, **more}


def task(*results, image="/data/upload/1/1a2b3c4d-p0.png", **more):
    return {"id": 7, "data": {"image": image}, "annotations": [{"result": list(results)}], **more}


def written(folder, *tasks):
    (folder / "images").mkdir(exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "images" / "p0.png")
    (folder / "export.json").write_text(json.dumps(list(tasks)))
    return str(folder / "export.json")


def one(folder, *results):
    (annotation,) = from_label_studio(written(folder, task(*results))).coco["annotations"]
    return annotation


def test_polygons_are_percent_of_the_image(tmp_path):
    path = written(tmp_path, task(region("polygonlabels", TRIANGLE)))
    found = from_label_studio(path)
    assert found.coco["images"][0]["file_name"] == "p0.png"
    assert found.coco["annotations"][0]["segmentation"] == [[20, 5, 100, 5, 100, 30]]
    found.write(str(tmp_path / "out.json"))
    assert load_coco(str(tmp_path / "out.json"), found.image_dir).class_names == ("leaf",)


def test_rectangles_turn_about_their_first_corner_in_pixels(tmp_path):
    box = {"x": 50, "y": 20, "width": 10, "height": 40, "rotation": 0}
    assert one(tmp_path, region("rectanglelabels", box))["bbox"] == [100, 10, 20, 20]
    turned = one(tmp_path, region("rectanglelabels", {**box, "rotation": 90}))
    np.testing.assert_allclose(turned["bbox"], [80, 10, 20, 20], atol=1e-9)


def test_ellipses_lie_about_their_middle(tmp_path):
    value = {"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "rotation": 0}
    found = one(tmp_path, region("ellipselabels", value))
    np.testing.assert_allclose(found["bbox"], [80, 15, 40, 20], atol=0.11)
    found = one(tmp_path, region("ellipselabels", {**value, "rotation": 90}))
    np.testing.assert_allclose(found["bbox"], [90, 5, 20, 40], atol=0.11)


def test_brush_strokes_are_masks(tmp_path):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[3:9, 10:90] = mask[30, 5] = True
    code = encoded(np.repeat(mask.reshape(-1) * 255, 4), np.random.default_rng(0))
    found = one(tmp_path, region("brushlabels", {"format": "rle", "rle": code}))
    np.testing.assert_array_equal(decode(found["segmentation"], HEIGHT, WIDTH), mask)


def test_a_class_may_stand_in_a_result_of_its_own(tmp_path):
    plain = region("polygon", TRIANGLE, label=None, key="a")
    named = region("labels", TRIANGLE, key="a")
    assert one(tmp_path, plain, named)["segmentation"] == [[20, 5, 100, 5, 100, 30]]
    with pytest.raises(InputError, match="task 7: region a: its class is None, wanted a name"):
        one(tmp_path, plain)
    found = from_label_studio(written(tmp_path, task(plain)), classes=["stem"])
    assert found.coco["categories"] == [{"id": 1, "name": "stem"}]


def test_the_first_annotation_that_was_not_cancelled_counts(tmp_path):
    cancelled = {"result": [region("polygonlabels", TRIANGLE, "no")], "was_cancelled": True}
    others = [{"result": [region("polygonlabels", TRIANGLE, n)]} for n in ("leaf", "stem")]
    both = {**task(), "annotations": [cancelled, *others]}
    found = from_label_studio(written(tmp_path, both))
    assert [c["name"] for c in found.coco["categories"]] == ["leaf"]
    assert found.left_out == {"of a task's second and further annotations": 1}
    none = {**task(image="x.png"), "annotations": []}
    found = from_label_studio(written(tmp_path, both, none))
    assert "note        1 tasks without an annotation are left out" in found.summary()
    both["annotations"] = [cancelled]
    with pytest.raises(InputError, match="none of its 2 tasks has an annotation"):
        from_label_studio(written(tmp_path, both, none))


def test_what_has_no_area_is_counted_and_what_is_of_the_image_passed_over(tmp_path):
    point = region("keypointlabels", {"x": 10, "y": 10, "width": 0.3}, key="p")
    choice = region("choices", {"choices": ["good"]}, label=None)
    relation = {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right"}
    path = written(tmp_path, task(region("polygonlabels", TRIANGLE), point, choice, relation))
    found = from_label_studio(path)
    assert len(found.coco["annotations"]) == 1
    assert found.left_out == {"points, lines and other marks without an area": 1}


@pytest.mark.parametrize(
    "image",
    [
        "p0.png",
        "/data/upload/1/abcd-p0.png",
        "/data/local-files/?d=deep/p0.png",
        "https://example.org/a/p0.png?X-Amz=1",
        "s3://bucket/a/p0.png",
        "..\\..\\media\\upload\\4\\p0.png",
        "/data/upload/4/1a2b3c4d-p%30.png",
    ],
)
def test_the_image_is_found_whatever_its_address_looks_like(tmp_path, image):
    found = from_label_studio(
        written(tmp_path, task(region("brush", TRIANGLE), image=image)), classes=["a"]
    )
    assert found.coco["images"][0]["file_name"] == "p0.png"


def test_the_image_may_stand_under_any_key(tmp_path):
    other = {**task(region("polygonlabels", TRIANGLE)), "data": {"text": "hello", "leaf": "p0.png"}}
    assert from_label_studio(written(tmp_path, other)).coco["images"][0]["file_name"] == "p0.png"
    none = {**other, "data": {"text": "hello"}}
    with pytest.raises(InputError, match="task 7: its 'data' names no image file"):
        from_label_studio(written(tmp_path, none))
    gone = {**other, "data": {"image": "/data/upload/1/gone.png"}}
    with pytest.raises(InputError, match=r"there is no /data/upload/1/gone.png in .* holds 1 .png"):
        from_label_studio(written(tmp_path, gone))


@pytest.mark.parametrize(
    "wrong, said",
    [
        (region("polygonlabels", {"points": [[1, 2], [3, "x"], [1, 1]]}), "coordinate is 'x'"),
        (region("polygonlabels", {"points": [[1, 2, 3]]}), "wanted a list of \\[x, y\\]"),
        (region("polygonlabels", {"points": [[0, 0], [1e12, 0], [1e12, 9]]}), "10 sides outside"),
        (region("rectanglelabels", {"x": 1, "y": 1, "width": 0, "height": 3}), "must be above 0"),
        (region("rectanglelabels", {"x": 1, "width": 1, "height": 3}), "it has no 'y'"),
        (region("brushlabels", {"rle": [1, 2, 3]}), "end too early"),
        (region("polygonlabels", TRIANGLE, image_rotation=90), "turned by 90 degrees"),
        ({**region("polygonlabels", TRIANGLE), "value": 5}, "wanted an object with 'value'"),
        (region("polygonlabels", {**TRIANGLE, "labels": ["stem"]}), "has the labels"),
    ],
)
def test_a_wrong_region_is_named_or_skipped(tmp_path, wrong, said):
    path = written(tmp_path, task(region("polygonlabels", TRIANGLE, key="good"), wrong))
    with pytest.raises(InputError, match=f"export.json: task 7: region number 1: .*{said}"):
        from_label_studio(path)
    found = from_label_studio(path, skip_invalid=True)
    assert len(found.coco["annotations"]) == 1 and found.left_out == {"wrong": 1}


def test_another_size_and_other_files_are_told(tmp_path):
    small = region("polygonlabels", TRIANGLE, original_height=3)
    with pytest.raises(InputError, match="but was annotated at 3 x 200"):
        one(tmp_path, small)
    with pytest.raises(InputError, match="of an image of .* and of"):
        one(tmp_path, small, region("polygonlabels", TRIANGLE))
    path = written(tmp_path, {"annotation_id": 1, "annotator": 1, "image": "p0.png"})
    with pytest.raises(InputError, match="is Label Studio's JSON-MIN.*choose its export 'JSON'"):
        from_label_studio(path)
    with pytest.raises(InputError, match="is a folder; wanted the export 'JSON'"):
        from_label_studio(str(tmp_path))
