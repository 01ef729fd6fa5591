"""`inference/known_ids.py`."""

import json

import pytest

from tfmaskrcnn import InputError
from tfmaskrcnn.inference.known_ids import known_images


@pytest.fixture
def coco(tmp_path):
    """Writes a COCO file of {file name: id}; returns its path."""

    def write(images):
        entries = [{"id": i, "file_name": name} for name, i in images.items()]
        path = tmp_path / "set.json"
        path.write_text(json.dumps({"images": entries, "annotations": [], "categories": []}))
        return str(path)

    return write


def test_images_are_found_by_the_end_of_their_paths(coco):
    path = coco({"a.png": 7, "x/b.png": 9, "y/b.png": 2, "train/c.png": 4})
    names = ["/data/x/b.png", "y/b.png", "photos/a.png", "c.png"]
    ids, file_names = known_images(path, names, names)
    assert ids == [9, 2, 7, 4]
    assert file_names == ["x/b.png", "y/b.png", "a.png", "train/c.png"]


def test_an_image_that_is_not_there_or_twice_is_named(coco):
    path = coco({"x/b.png": 9, "y/b.png": 2, "a.png": 1})
    for name in ("b.png", "z/b.png", "gone.png"):
        with pytest.raises(InputError, match=f"has no image of the file name {name}"):
            known_images(path, [name], [name])
    with pytest.raises(InputError, match=r"1/a.png and 2/a.png are both 'a.png' in"):
        known_images(path, ["1/a.png", "2/a.png"], ["1/a.png", "2/a.png"])


def test_ids_and_names_that_are_there_twice_are_refused(tmp_path):
    path = tmp_path / "set.json"
    entries = [{"id": 1, "file_name": "a.png"}, {"id": 1, "file_name": "b.png"}]
    for change, expected in (({}, "the id 1 is that of 'a.png' too"), ({"id": 2}, "another id")):
        second = {**entries[1], **change, **({"file_name": "a.png"} if change else {})}
        path.write_text(json.dumps({"images": [entries[0], second]}))
        with pytest.raises(InputError, match=f"entry 1 of images: .*{expected}"):
            known_images(str(path), ["a.png"], ["a.png"])


def test_a_file_of_images_alone_will_do(tmp_path):
    path = tmp_path / "image_info.json"  # COCO's own of its test images has no annotations
    path.write_text(json.dumps({"images": [{"id": 8, "file_name": "a.png"}]}))
    assert known_images(str(path), ["x/a.png"], ["a.png"]) == ([8], ["a.png"])
