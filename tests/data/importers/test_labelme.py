"""`data/importers/labelme.py`: shapes, groups, where images lie."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from helpers.cases import case
from tfmaskrcnn.data import load_coco
from tfmaskrcnn.data.coco.segmentation import decode
from tfmaskrcnn.data.importers import from_labelme
from tfmaskrcnn.errors import InputError

TRIANGLE = [[10.5, 5], [20, 5], [20, 15.25]]


def shape(label, points, kind="polygon", group=None, **more):
    return {"label": label, "points": points, "shape_type": kind, "group_id": group, **more}


def write(folder, name, *shapes, image=None, size=(60, 80), picture=True):
    folder.mkdir(parents=True, exist_ok=True)
    image = image or f"{name}.jpg"
    if picture:
        Image.new("RGB", (80, 60)).save(folder / image.replace("\\", "/").rsplit("/")[-1])
    raw = {"version": "5.0.1", "shapes": list(shapes), "imagePath": image, "imageData": None}
    raw.update(imageHeight=size[0], imageWidth=size[1])
    (folder / f"{name}.json").write_text(json.dumps(raw))


def png(mask):
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8)).save(buffer, "png")
    return base64.b64encode(buffer.getvalue()).decode()


def test_every_shape_with_an_area_is_an_object(tmp_path):
    circle = shape("b", [[40, 30], [43, 34]], "circle")
    old = {"label": "a", "points": TRIANGLE}
    write(
        *(tmp_path, "one", shape("a", TRIANGLE), shape("a", [[30, 9], [20, 4]], "rectangle")),
        *(circle, shape("c", [[1, 1]], "point"), shape("c", [[1, 1], [5, 5]], "line"), old),
    )
    write(tmp_path, "none")
    found = from_labelme(str(tmp_path))
    assert [i["file_name"] for i in found.coco["images"]] == ["none.jpg", "one.jpg"]
    assert [c["name"] for c in found.coco["categories"]] == ["a", "b"]
    boxes = [a["bbox"] for a in found.coco["annotations"]]
    assert boxes[0] == boxes[3] == [10.5, 5.0, 9.5, 10.25]
    assert boxes[1] == [20.0, 4.0, 10.0, 5.0]
    np.testing.assert_allclose(boxes[2], [35, 25, 10, 10], atol=0.11)
    assert found.left_out == {"points and lines, which have no area": 2}
    found.write(str(tmp_path / "output.coco"))
    assert len(load_coco(str(tmp_path / "output.coco"), found.image_dir).records[1].classes) == 4


def test_shapes_of_one_group_and_label_are_one_object(tmp_path):
    other = [[40, 40], [50, 40], [50, 50]]
    write(
        *(tmp_path, "one", shape("a", TRIANGLE, group=1), shape("b", TRIANGLE, group=1)),
        *(shape("a", other, group=1), shape("a", other, group=2), shape("a", other)),
    )
    annotations = from_labelme(str(tmp_path)).coco["annotations"]
    assert [len(a["segmentation"]) for a in annotations] == [2, 1, 1, 1]
    assert annotations[0]["bbox"] == [10.5, 5.0, 39.5, 45.0]


def test_a_mask_is_pasted_and_joined_with_a_polygon_of_its_group(tmp_path):
    part = np.arange(12).reshape(3, 4) % 2 > 0
    points = [[70, 50], [73, 52]]
    mask = shape("a", points, "mask", mask=png(part * 255), group=3)
    square = [[0, 0], [4, 0], [4, 4], [0, 4]]
    write(tmp_path, "one", mask, shape("a", square, group=3))
    (annotation,) = from_labelme(str(tmp_path)).coco["annotations"]
    expected = np.zeros((60, 80), bool)
    expected[50:53, 70:74], expected[:4, :4] = part, True
    np.testing.assert_array_equal(decode(annotation["segmentation"], 60, 80), expected)
    assert annotation["area"] == 6 + 16
    write(tmp_path, "one", shape("a", [[78, 50], [81, 52]], "mask", mask=png(part)))
    with pytest.raises(InputError, match=r"one.json: shape 0: .* leave the image of 60 x 80"):
        from_labelme(str(tmp_path))
    write(tmp_path, "one", shape("a", [[-1, 0], [2, 2]], "mask", mask=png(part)))
    with pytest.raises(InputError, match=r"pixels from y 0, x -1 on leave the image of 60 x 80"):
        from_labelme(str(tmp_path))
    write(tmp_path, "one", shape("a", points, "mask", mask="AAAA"))
    with pytest.raises(InputError, match="shape 0: its mask cannot be read"):
        from_labelme(str(tmp_path))


def test_images_are_found_beside_the_file_below_it_and_in_a_folder_of_their_own(tmp_path):
    write(tmp_path / "set" / "deep", "one", shape("a", TRIANGLE), image="..\\old\\one.jpg")
    found = from_labelme(str(tmp_path / "set"))
    assert found.coco["images"][0]["file_name"] == "deep/one.jpg"
    (tmp_path / "pictures").mkdir()
    (tmp_path / "set" / "deep" / "one.jpg").rename(tmp_path / "pictures" / "one.jpg")
    found = from_labelme(str(tmp_path / "set"), str(tmp_path / "pictures"))
    assert found.coco["images"][0]["file_name"] == "one.jpg"
    with pytest.raises(InputError, match=r"one.json: the image .*one.jpg does not exist"):
        from_labelme(str(tmp_path / "set"))


def test_errors_name_file_and_shape(tmp_path):
    write(tmp_path, "one", shape("", TRIANGLE))
    with pytest.raises(InputError, match=r"one.json: shape 0: its class is '', wanted a name"):
        from_labelme(str(tmp_path))
    write(tmp_path, "one", shape("a", TRIANGLE), size=(80, 60))
    with pytest.raises(InputError, match="60 x 80 pixels .* but was annotated at 80 x 60"):
        from_labelme(str(tmp_path))
    write(tmp_path, "one", shape("a", TRIANGLE[:1], "circle"))
    with pytest.raises(InputError, match="1 points, wanted the centre and one on the circle"):
        from_labelme(str(tmp_path))
    (tmp_path / "one.json").write_text("[]")
    with pytest.raises(InputError, match="holds no image"):
        from_labelme(str(tmp_path))
    with pytest.raises(InputError, match="The folder .* does not exist"):
        from_labelme(str(tmp_path / "none"))


def test_every_shape_of_a_set_is_read_case_d15():
    found = from_labelme(str(case("data/d15_labelme")))
    assert len(found.coco["images"]) == 4 and len(found.coco["annotations"]) == 8
    assert found.left_out == {"points and lines, which have no area": 2}
    assert found.coco["images"][0]["file_name"] == "images/p0.png"  # "..\\images\\p0.png"


@pytest.mark.parametrize("which", ["a", "b"])
def test_labels_of_the_turned_view_are_kept_case_i03(which, caplog):
    found = from_labelme(str(case(f"data/i03_labelme_exif/{which}")))
    (image,) = found.coco["images"]
    assert (image["height"], image["width"]) == (96, 128)
    assert "1 images have an EXIF orientation; their annotations are taken" in caplog.text


@pytest.mark.parametrize("group", [3, 3.5, "a", True, [1, 2], {"a": [1]}, []])
def test_a_group_may_be_of_any_kind(tmp_path, group):
    other = [[40, 40], [50, 40], [50, 50]]
    write(tmp_path, "one", shape("a", TRIANGLE, group=group), shape("a", other, group=group))
    found = from_labelme(str(tmp_path))
    assert len(found.coco["annotations"]) == 1


@pytest.mark.parametrize("group", [None, ""])
def test_no_group_joins_nothing(tmp_path, group):
    write(tmp_path, "one", shape("a", TRIANGLE, group=group), shape("a", TRIANGLE, group=group))
    assert len(from_labelme(str(tmp_path)).coco["annotations"]) == 2


@pytest.mark.parametrize(
    "wrong, said",
    [
        (shape("a", [[0, 0], [1e12, 0], [0, 9]]), "10 sides outside the image"),
        (shape("a", [[0, 0], [1e12, 0]], "circle"), "10 sides outside the image"),
        (shape("a", [[0, 0], [1e300, 1e300]], "circle"), "10 sides outside"),
        (shape("a", [[0, 0], [float("inf"), 0], [0, 9]]), "is inf, wanted a finite number"),
        (shape("a", [[0, 0], [10**400, 0], [0, 9]]), "wanted a finite number"),
        (shape("a", {"x": 1}), "wanted a list of \\[x, y\\]"),
        (shape("a", TRIANGLE, ["polygon"]), "cannot be read: wanted a polygon"),
        (shape({"a": 1}, TRIANGLE), "its class is {'a': 1}, wanted a name"),
        (shape("a\ud800", TRIANGLE), "has characters that no name can have"),
        (shape("a\x07", TRIANGLE), "has characters that no name can have"),
        (shape("a" * 300, TRIANGLE), "has 300 characters"),
        (shape("a", TRIANGLE, "mask"), "it has no 'mask'"),
        (shape("a", [], "mask", mask="AAAA"), "wanted a PNG as base64"),
        (5, "is 5, wanted an object"),
    ],
)
def test_a_hostile_shape_is_told_and_skipped(tmp_path, wrong, said):
    write(tmp_path, "one", wrong, shape("a", TRIANGLE))
    with pytest.raises(InputError, match=f"one.json: shape 0.*{said}") as caught:
        from_labelme(str(tmp_path))
    str(caught.value).encode("utf-8")
    assert len(str(caught.value)) < 500
    assert len(from_labelme(str(tmp_path), skip_invalid=True).coco["annotations"]) == 1


def test_a_mask_that_claims_to_be_huge_is_not_decoded(tmp_path, monkeypatch):
    huge = png(np.zeros((9000, 9000), bool))
    monkeypatch.setattr(Image.Image, "convert", None)  # nothing may be decoded
    write(tmp_path, "one", shape("a", [[0, 0], [1, 1]], "mask", mask=huge))
    with pytest.raises(InputError, match="9000 x 9000 pixels from y 0, x 0 on leave the image"):
        from_labelme(str(tmp_path))


@pytest.mark.parametrize(
    "change, said",
    [
        ({"imagePath": 5}, "its 'imagePath' is 5, wanted a text"),
        ({"shapes": {}}, "its 'shapes' is {}, wanted a list"),
        ({"imageHeight": "abc"}, "its imageHeight is 'abc', wanted a finite number"),
        ({"imageWidth": 1e300}, r"its imageWidth is 1e\+300, wanted a whole number"),
        ({"imageWidth": [80]}, r"its imageWidth is \[80\]"),
    ],
)
def test_an_odd_head_is_told(tmp_path, change, said):
    write(tmp_path, "one", shape("a", TRIANGLE))
    raw = json.loads((tmp_path / "one.json").read_text())
    (tmp_path / "one.json").write_text(json.dumps({**raw, **change}))
    with pytest.raises(InputError, match=f"one.json: {said}"):
        from_labelme(str(tmp_path))


def test_sizes_may_be_texts_or_floats(tmp_path):
    write(tmp_path, "one", shape("a", TRIANGLE), size=("60", 80.0))
    assert len(from_labelme(str(tmp_path)).coco["annotations"]) == 1


def test_a_folder_without_labelmes_files_is_told_so(tmp_path):
    images = case("data/d16_via3/images")
    with pytest.raises(InputError, match="holds no JSON file of LabelMe, but 4 .png"):
        from_labelme(str(images))
    with pytest.raises(InputError, match="via2.json is a JSON of VIA .*import-data via"):
        from_labelme(str(case("data/d16_via3")))
    with pytest.raises(InputError, match="is a file; wanted a folder"):
        from_labelme(str(images / "p0.png"))


def test_paths_that_lead_out_of_their_folder_are_found_below_the_images(tmp_path):
    # As `predict --save labelme` writes them: from the JSON's folder to where the image lies.
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    for name in ("a.png", "deep/b.png"):
        Image.new("RGB", (80, 60)).save(tmp_path / "photos" / name)
    shape = {"label": "cat", "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon"}
    for name, path in (("a", "../../photos/a.png"), ("b", "../../photos/deep/b.png")):
        (tmp_path / "out" / "labelme").mkdir(parents=True, exist_ok=True)
        content = {"imagePath": path, "shapes": [shape]}
        (tmp_path / "out" / "labelme" / f"{name}.json").write_text(json.dumps(content))
    for images in ("photos", "other/../photos"):
        (tmp_path / "other").mkdir(exist_ok=True)
        found = from_labelme(str(tmp_path / "out" / "labelme"), str(tmp_path / images))
        assert [i["file_name"] for i in found.coco["images"]] == ["a.png", "deep/b.png"]
