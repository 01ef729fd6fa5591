"""`data/importers/labelme.py`: shapes, groups, where images lie."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

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
