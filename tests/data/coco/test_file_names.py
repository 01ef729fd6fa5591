"""`data/coco/file_names.py`: what a name from elsewhere may be called here."""

import json

import pytest

from helpers.cases import case
from tfmaskrcnn.data.coco.file_names import name_candidates


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("images\\a.png", ["images/a.png", "a.png"]),
        ("C:\\data\\a.png", ["data/a.png", "a.png"]),
        ("..\\..\\media\\upload\\4\\a.png", ["media/upload/4/a.png", "upload/4/a.png", "a.png"]),
        ("http://localhost:8080/data/upload/4/a.png", ["data/upload/4/a.png", "4/a.png", "a.png"]),
        ("/data/local-files/?d=set%2Fa%20b.png", ["set/a b.png", "a b.png"]),
        ("https://host/a.png?token=x", ["a.png"]),
        ("file:///home/me/a.png", ["me/a.png", "a.png"]),
        ("./a.png", ["a.png"]),
        ("/abs/a.png", ["abs/a.png", "a.png"]),
        ("a%20b.png", ["a b.png"]),
        ("upload/4/1a2b3c4d-a.png", ["1a2b3c4d-a.png", "a.png"]),
    ],
)
def test_the_last_parts_of_a_name_are_tried_the_longest_first(name, wanted):
    found = name_candidates(name)
    assert [f for f in found if f in wanted] == wanted and name not in found


@pytest.mark.parametrize("name", ["", "a.png", "..", "/", "a\0.png", "a" * 10**5, "http://[", "?"])
def test_a_plain_name_or_none_has_no_other(name):
    assert not [c for c in name_candidates(name) if ".." in c or not c or c.startswith("/")]
    assert "a.png" not in name_candidates(name)


@pytest.mark.parametrize(
    "name", ["d03_label_studio_paths", "d03b_images_backslash", "d03d_url_file_name"]
)
def test_each_file_of_the_cases_is_among_the_candidates(name):
    folder = case(f"data/{name}")
    for image in json.loads((folder / "train.json").read_text())["images"]:
        found = name_candidates(image["file_name"])
        assert sum((folder / "images" / c).is_file() for c in found) == 1
