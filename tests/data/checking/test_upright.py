"""`data/checking/upright.py`: copies of images whose pixels need no turn."""

import json

import numpy as np
import pytest
from PIL import Image

from helpers.cases import case
from tfmaskrcnn.data.checking import check, write_repaired
from tfmaskrcnn.data.coco.image_files import read_image
from tfmaskrcnn.data.coco.records import load_coco
from tfmaskrcnn.errors import InputError


@pytest.mark.parametrize("name", ["d10_exif_90", "d10b_exif_180"])
def test_the_pixels_of_a_copy_are_those_that_training_sees(name, tmp_path):
    folder = case(f"data/{name}")
    result = check(str(folder / "train.json"), str(folder / "images"))
    path = str(tmp_path / "fixed.json")
    repairs = write_repaired(result, path, upright=str(tmp_path / "copies"))
    assert {c.kind for c in repairs} == {"upright copies"} and not repairs.left
    before = load_coco(str(folder / "train.json"), str(folder / "images"))
    after = load_coco(path, str(folder / "images"))
    for old, new in zip(before.records, after.records):
        assert new.path != old.path
        seen = read_image(old.path, (old.height, old.width))
        for exif in ("apply", "ignore"):
            assert np.array_equal(read_image(new.path, (96, 128), exif=exif), seen)
    assert check(path, str(folder / "images")).by_rule.keys() <= {"rare-class", "anchor"}
    with pytest.raises(InputError, match="new folder"):
        write_repaired(result, path, upright=str(tmp_path / "copies"))


def test_a_set_of_the_stored_pixels_keeps_them(draft, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = draft.image("turned.jpg", (40, 30), save={"exif": exif})  # sizes of the stored pixels
    draft.object(image["id"], (5, 5, 20, 30))
    result = draft.check()
    assert "input.exif=ignore" in result.by_rule["image-size"][0].message
    path = draft.folder / "fixed.json"
    plain = write_repaired(result, str(path))
    assert len(plain.left) == 1  # which view is meant is for the user to say
    repairs = write_repaired(result, str(path), upright=str(draft.folder / "copies"))
    name = json.loads(path.read_text())["images"][2]["file_name"]
    assert name == "copies/turned.png" and not repairs.left
    stored = read_image(str(draft.folder / "turned.jpg"), exif="ignore")
    assert np.array_equal(read_image(str(draft.folder / name), (40, 30)), stored)


def test_the_image_folder_may_be_a_link(tmp_path):
    folder, link = case("data/d10_exif_90"), tmp_path / "deep" / "linked"
    link.parent.mkdir()
    link.symlink_to(folder / "images")
    result = check(str(folder / "train.json"), str(link))
    repairs = write_repaired(result, str(tmp_path / "a.json"), upright=str(tmp_path / "copies"))
    assert not repairs.left
    for record in load_coco(str(tmp_path / "a.json"), str(link)).records:
        read_image(record.path, (record.height, record.width))
