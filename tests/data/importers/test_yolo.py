"""`data/importers/yolo.py`: splits, names, lines, and the odd paths of data.yaml."""

import numpy as np
import pytest
from PIL import Image

from tfmaskrcnn.data.importers import from_yolo
from tfmaskrcnn.errors import InputError

YAML = "path: {path}\ntrain: {train}\nval: images/val\nnames: {names}\n"
TRIANGLE = "1 0.125 0.1 0.25 0.1 0.25 0.5\n"


def write(folder, text=TRIANGLE, path=".", train="images/train", names="{0: dog, 1: cat, 2: cow}"):
    for name, lines in (("train/a", text), ("train/b", None), ("val/c", "")):
        image, label = folder / "images" / f"{name}.jpg", folder / "labels" / f"{name}.txt"
        image.parent.mkdir(parents=True, exist_ok=True)
        label.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (80, 60)).save(image)
        if lines is not None:
            label.write_text(lines)
    (folder / "data.yaml").write_text(YAML.format(path=path, train=train, names=names))
    return str(folder / "data.yaml")


def test_polygons_are_scaled_and_all_names_kept(tmp_path):
    path = write(tmp_path)
    found = from_yolo(path)
    assert [c["name"] for c in found.coco["categories"]] == ["dog", "cat", "cow"]
    names = [i["file_name"] for i in found.coco["images"]]
    assert names == ["images/train/a.jpg", "images/train/b.jpg"]
    (annotation,) = found.coco["annotations"]
    np.testing.assert_allclose(annotation["segmentation"], [[10, 6, 20, 6, 20, 30]])
    assert annotation["category_id"] == 2
    empty = from_yolo(path, split="val")
    assert [c["name"] for c in empty.coco["categories"]] == ["dog", "cat", "cow"]
    assert empty.summary().startswith("images      1, 1 of them without objects")


def test_a_line_of_five_numbers_is_a_box(tmp_path):
    found = from_yolo(write(tmp_path, "0 0.5 0.5 0.25 0.5\n\n" + TRIANGLE, names="[dog, cat]"))
    assert found.coco["annotations"][0]["bbox"] == [30, 15, 20, 30]
    assert found.rectangles == 1 and len(found.coco["annotations"]) == 2


@pytest.mark.parametrize(
    "train", ["../images/train", "./images/train", "[images/train]", "list.txt", "images/../images"]
)
@pytest.mark.parametrize("root", [".", "/of/another/machine"])
def test_the_images_are_found_whatever_the_paths_look_like(tmp_path, train, root):
    (tmp_path / "list.txt").write_text("./images/train/a.jpg\nimages/train/b.jpg\n")
    found = from_yolo(write(tmp_path, path=root, train=train))
    names = [i["file_name"] for i in found.coco["images"]]
    assert names[:2] == ["images/train/a.jpg", "images/train/b.jpg"]
    assert len(found.coco["annotations"]) == 1


@pytest.mark.parametrize(
    "line, said",
    [
        ("7 0.1 0.1 0.2 0.2 0.3 0.3", "there is no class 7 in 'names'"),
        ("0 a 0.1", "is '0 a 0.1', wanted finite numbers"),
        ("0 0.1 0.1 0.2", "has 3 coordinates, wanted pairs"),
        ("0 10 10 20 10 20 30", "has coordinates up to 30, wanted shares 0 to 1"),
        ("0 0.1 0.1 0.1 0.1 0.1 0.1", "its polygons enclose no area"),
        ("0", "a polygon has 0 coordinates"),
    ],
)
def test_a_wrong_line_is_named_or_skipped(tmp_path, line, said):
    path = write(tmp_path, TRIANGLE + line)
    with pytest.raises(InputError, match=f"a.txt: line 2.*{said}"):
        from_yolo(path)
    assert len(from_yolo(path, skip_invalid=True).coco["annotations"]) == 1


def test_a_wrong_data_yaml_is_told(tmp_path):
    with pytest.raises(InputError, match="has no split 'test', but train, val"):
        from_yolo(write(tmp_path), split="test")
    with pytest.raises(InputError, match="'names' is 3, wanted a list of class names"):
        from_yolo(write(tmp_path, names="3"))
    with pytest.raises(InputError, match="there is neither folder nor list .*nowhere"):
        from_yolo(write(tmp_path, train="nowhere"))
    (tmp_path / "data.yaml").write_text("a: [")
    with pytest.raises(InputError, match="is not valid YAML"):
        from_yolo(str(tmp_path / "data.yaml"))
    with pytest.raises(InputError, match="is a folder; wanted the file data.yaml"):
        from_yolo(str(tmp_path))


@pytest.mark.parametrize(
    "line, said",
    [
        ("0 nan 0.1 0.2 0.2 0.3 0.1", "wanted finite numbers"),
        ("0 0.5 0.5 inf 0.2", "wanted finite numbers"),
        ("0 0.5 0.5 1e9 0.2", r"coordinates up to 1e\+09, wanted shares 0 to 1"),
        ("0 0.5 0.5 -0.2 0.2", "a box of width -0.2 and height 0.2"),
        ("0 -1e9 0.5 0.2 0.2 0.3 0.1", r"coordinates up to -1e\+09"),
        ("0.5 0.1 0.1 0.2 0.2", "there is no class 0.5"),
        ("1e300 0.1 0.1 0.2 0.2", r"there is no class 1e300"),
        ("9" * 500 + " 0.1 0.1 0.2 0.2", "wanted finite numbers"),
    ],
)
def test_a_hostile_line_is_told_and_skipped(tmp_path, line, said):
    path = write(tmp_path, line + "\n" + TRIANGLE)
    with pytest.raises(InputError, match=f"a.txt: line 1.*{said}") as caught:
        from_yolo(path)
    assert len(str(caught.value)) < 400
    assert len(from_yolo(path, skip_invalid=True).coco["annotations"]) == 1


@pytest.mark.parametrize(
    "text, said",
    [
        ("a: &a [x]\nnames: [*a, *a]\n", "an alias"),
        ("names: !!bool x\n", "not valid YAML"),
        ("names: [2020-99-99]\n", "not valid YAML"),
        ("names: " + "[" * 5000, "not valid YAML"),
        ("names: [[a]]\ntrain: x\n", r"the name of class 0 is \['a'\]"),
        ("names: [null]\n", "the name of class 0 is None"),
        ("names: [a]\ntrain: images/train\npath: [1]\n", "neither folder nor list"),
    ],
)
def test_a_hostile_data_yaml_is_told(tmp_path, text, said):
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        from_yolo(str(tmp_path / "data.yaml"))
    assert len(str(caught.value)) < 500


def test_a_split_without_images_says_what_is_there(tmp_path):
    path = write(tmp_path, train="labels")
    with pytest.raises(InputError, match="split 'train' .* holds no image; .* 3 .jpg, 2 .txt"):
        from_yolo(path)
