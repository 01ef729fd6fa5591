"""`inference/image_paths.py`; more is in `test_image_sources.py` and `test_prediction_files.py`."""

import os

import pytest

from helpers.stub_source import picture
from tfmaskrcnn import InputError
from tfmaskrcnn.inference.image_sources import list_pictures


@pytest.fixture
def tree(tmp_path):
    """A folder with images in folders within it."""
    for name in ("b.png", "sub/a.png", "masks/d.png"):
        picture(tmp_path / "in" / name)
    return tmp_path / "in"


def test_a_pattern_from_outside_does_not_find_outputs_of_before(tree):
    names = [str(tree / "b.png"), str(tree / "masks" / "d.png")]
    sub = str(tree / "sub")
    assert [p.name for p in list_pictures([f"{tree}/**/?.png"], without=sub)] == names
    inside = [p.name for p in list_pictures([f"{sub}/*.png"], without=sub)]
    assert inside == [p.name for p in list_pictures([sub], without=sub)] == [f"{sub}/a.png"]


def test_what_a_folder_holds_and_cannot_be_read_is_named(tree, monkeypatch):
    (tree / "lost.png").symlink_to(tree / "nowhere.png")
    broken = list_pictures([str(tree)])[1]
    with pytest.raises(InputError, match="lost.png does not exist"):
        broken.pixels()
    assert [p.name for p in list_pictures([f"{tree}/lost.*"])] == [broken.name]
    listed = os.scandir

    def refusing(path):
        if os.path.basename(path) == "masks":
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", refusing)
    secret = str(tree / "masks")
    assert secret in [p.name for p in list_pictures([str(tree)], recursive=True)]
    for recursive in (False, True):
        with pytest.raises(InputError, match="masks cannot be read: Permission denied"):
            list_pictures([secret], recursive)


def test_other_parts_of_a_prediction_are_no_inputs(tree, caplog):
    caplog.set_level("INFO")
    for name in ("found/1", "found/2", "sub/old", "set"):
        picture(tree / name / "drawn.png")
    for name in ("found/1", "sub/old"):
        (tree / name / "predictions.jsonl").write_text("")
    found = list_pictures([str(tree)], recursive=True, without=str(tree / "found" / "3"))
    drawn = [p.file_name for p in found if "drawn" in p.file_name]
    assert drawn == ["found/2/drawn.png", "set/drawn.png", "sub/old/drawn.png"]
    assert [m.partition(" holds")[0] for m in caplog.messages] == [str(tree / "found" / "1")]
