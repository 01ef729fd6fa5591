"""`inference/image_sources.py`; files and folders are in `test_prediction_files.py`."""

import io
import json
import os

import numpy as np
import pytest
from PIL import Image

from helpers.stub_source import picture
from tfmaskrcnn import InputError
from tfmaskrcnn.inference.image_sources import list_pictures


@pytest.fixture
def tree(tmp_path):
    """A folder with images in folders within it; a link that leads back to it."""
    for name in ("b.png", "sub/a.png", "sub/deep/b.png", ".hidden/c.png", "masks/d.png"):
        picture(tmp_path / "in" / name)
    (tmp_path / "in" / "sub" / "round").symlink_to(tmp_path / "in")
    return tmp_path / "in"


def test_folders_within_folders_are_for_the_asking_and_keep_their_names(tree):
    assert [p.file_name for p in list_pictures([str(tree)])] == ["b.png"]
    found = list_pictures([str(tree)], recursive=True)
    assert [p.file_name for p in found] == ["b.png", "masks/d.png", "sub/a.png", "sub/deep/b.png"]
    assert [p.stem for p in found] == ["b", "masks_/d", "sub/a", "sub/deep/b"]
    assert [(p.index, p.image_id) for p in found] == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_data_sets_name_files_from_the_folder_that_all_have_in_common(tree):
    one, other = str(tree / "sub" / "a.png"), str(tree / "masks")
    found = list_pictures([one, other])
    assert [p.file_name for p in found] == ["sub/a.png", "masks/d.png"]
    assert [p.name for p in found] == [one, f"{other}/d.png"]
    assert [p.stem for p in found] == ["a", "d"]


@pytest.mark.parametrize(
    "inputs, names",
    [
        (["."], ["in/sub/a.png", "in/sub/deep/b.png"]),
        (["in"], ["sub/a.png", "sub/deep/b.png"]),
        (["in/sub"], ["a.png", "deep/b.png"]),
        (["in/sub/deep"], ["b.png"]),
        (["in/sub/a.png", "in"], ["sub/a.png", "sub/deep/b.png"]),
        (["in/sub/deep", "in/sub"], ["deep/b.png", "a.png"]),
        (["in/*/deep/*.png"], ["sub/deep/b.png"]),
        (["in/**/?.png", "http://x.org/c.png"], ["sub/a.png", "sub/deep/b.png", "c.png"]),
        (["in/sub/deep/b.png"], ["b.png"]),
    ],
)
def test_names_in_data_sets_start_from_the_folder_that_was_given(
    inputs, names, tmp_path, monkeypatch
):
    for name in ("sub/a.png", "sub/deep/b.png"):
        picture(tmp_path / "in" / name)
    monkeypatch.chdir(tmp_path)
    found = list_pictures(inputs, recursive=True)
    assert [p.file_name for p in found] == names
    starts = tuple(given.split("*")[0] for given in inputs)
    assert all(p.name.startswith(starts) for p in found)  # as they were given


def test_a_list_on_stdin_names_files_folders_and_addresses(tree, monkeypatch):
    lines = [str(tree / "b.png"), "", "gone.png", str(tree / "sub"), "http://x.org/e.png"]
    for text in ("\n".join(lines), "\r\n".join(lines), "\0".join(lines) + "\0"):
        found = list_pictures(["-"], stdin=io.StringIO(text))
        names = [str(tree / "b.png"), "gone.png", str(tree / "sub" / "a.png"), "http://x.org/e.png"]
        assert [p.name for p in found] == names
    with pytest.raises(InputError, match="The image gone.png does not exist"):
        found[1].pixels()
    odd = io.TextIOWrapper(io.BytesIO(b"caf\xe9.png\n"), encoding="utf-8")
    monkeypatch.setattr("sys.stdin", odd)
    assert os.fsencode(list_pictures(["-"])[0].name) == b"caf\xe9.png"
    monkeypatch.setattr("sys.stdin", io.StringIO(" \n"))
    with pytest.raises(InputError, match="The list on stdin is empty"):
        list_pictures(["-"])


def test_outputs_of_before_are_no_inputs(tree):
    found = list_pictures([str(tree)], recursive=True, without=str(tree / "masks" / ".." / "sub"))
    assert [p.file_name for p in found] == ["b.png", "masks/d.png"]


def test_a_list_of_windows_begins_with_a_mark_and_names_may_have_odd_spaces():
    names = ["a.png", "b\u2028c\x0c.png", " d .png"]
    text = "\ufeff" + "".join(f"{name}\r\n" for name in names)
    assert [p.name for p in list_pictures(["-"], stdin=io.StringIO(text, newline=""))] == names


def test_names_in_data_sets_differ_whatever_addresses_are_called():
    addresses = ["http://a.org/x.png", "http://a.org/2_x.png", "http://b.org/x.png"]
    found = list_pictures([*addresses, "http://c.org/x.png"])
    assert [p.file_name for p in found] == ["x.png", "2_x.png", "3_x.png", "4_x.png"]


def test_addresses_are_no_paths():
    first = "https://x.org/photos/e%20f.png?x=1"
    found, other = list_pictures([first, "https://x.org/e%20f.png"])
    assert (other.stem, other.file_name) == ("e_f_2", "2_e_f.png")
    assert (found.path, found.stem, found.file_name) == (None, "e_f", "e_f.png")
    assert found.name == "https://x.org/photos/e%20f.png?x=1"


def test_arrays_and_pil_images_are_pictures():
    colour, grey = np.full((4, 5, 3), 9, np.uint8), np.full((4, 5), 8, np.uint8)
    turned = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    turned.getexif()[0x0112] = 6
    found = list_pictures([colour, grey, turned])
    assert [p.stem for p in found] == ["image_1", "image_2", "image_3"]
    assert all(p.path is None for p in found)
    np.testing.assert_array_equal(found[0].pixels(), colour)
    np.testing.assert_array_equal(found[1].pixels(), np.full((4, 5, 3), 8))
    assert found[1].pixels(channels=1).shape == (4, 5, 1)
    assert found[2].pixels().shape == (3, 2, 3)  # as viewers show it
    assert found[2].pixels(exif="ignore").shape == (2, 3, 3)


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((4, 5, 4), np.uint8), np.zeros((4, 5, 3)), 7, b"a.png", Image.new("L", (0, 5))],
)
def test_what_is_no_image_is_a_sentence(wrong):
    with pytest.raises(InputError, match="image_1"):
        list_pictures([wrong])[0].pixels()


def test_ids_and_names_come_from_a_coco_file(tree, tmp_path):
    path = tmp_path / "set.json"
    images = [{"id": 70, "file_name": "sub/a.png"}, {"id": 9, "file_name": "b.png"}]
    path.write_text(json.dumps({"images": images, "annotations": [], "categories": []}))
    files = [str(tree / "b.png"), str(tree / "sub" / "a.png")]
    found = list_pictures(files, ids_from=str(path))
    assert [(p.image_id, p.file_name) for p in found] == [(9, "b.png"), (70, "sub/a.png")]
    with pytest.raises(InputError, match="has no image of the file name .*d.png"):
        list_pictures([*files, str(tree / "masks")], ids_from=str(path))
