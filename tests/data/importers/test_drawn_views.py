"""`data/importers/drawn_views.py`: EXIF's view or the stored pixels, told by what a source says."""

import json

import pytest
from PIL import Image

from tfmaskrcnn.data import load_coco, read_image
from tfmaskrcnn.data.importers.building import CocoBuilder
from tfmaskrcnn.errors import InputError

STORED, SEEN = (30, 20), (20, 30)  # height, width


def builder(folder, **orientations):
    for name, orientation in orientations.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.new("RGB", STORED[::-1]).save(folder / f"{name}.jpg", exif=exif)
    return CocoBuilder(str(folder), ["x"])


def test_without_a_stated_size_the_view_of_viewers_counts(tmp_path, caplog):
    set_ = builder(tmp_path, a=6)
    assert set_.image("a.jpg", "here") == SEEN
    set_.add("x", [[1, 1, 29, 1, 29, 19]], "here")
    set_.result("all").write(str(tmp_path / "out.json"))
    assert "1 images have an EXIF orientation; their annotations" in caplog.text
    (record,) = load_coco(str(tmp_path / "out.json"), str(tmp_path)).records
    pixels = read_image(record.path, (record.height, record.width))
    assert pixels.shape[:2] == SEEN


def test_a_set_of_the_stored_pixels_is_written_and_told(tmp_path, caplog):
    set_ = builder(tmp_path, a=6)
    assert set_.image("a.jpg", "here", STORED) == STORED
    set_.result("all").write(str(tmp_path / "out.json"))
    assert (
        "annotated on their stored pixels, without the EXIF orientation: train with" in caplog.text
    )
    image = json.loads((tmp_path / "out.json").read_text())["images"][0]
    pixels = read_image(str(tmp_path / "a.jpg"), (image["height"], image["width"]), exif="ignore")
    assert pixels.shape[:2] == STORED


def test_a_set_of_both_views_is_refused(tmp_path):
    set_ = builder(tmp_path, a=6, b=8)
    set_.image("a.jpg", "here", STORED)
    set_.image("b.jpg", "here", SEEN)
    with pytest.raises(InputError, match=r"all: a.jpg was annotated on its stored pixels, b.jpg"):
        set_.result("all")


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_orientations_that_keep_the_sides_are_taken_as_viewers_show_them(
    tmp_path, orientation, caplog
):
    set_ = builder(tmp_path, a=orientation)
    assert set_.image("a.jpg", "here", STORED) == STORED
    set_.result("all")
    assert "what training reads (input.exif=apply): a.jpg" in caplog.text


def test_a_size_of_neither_view_is_refused(tmp_path):
    with pytest.raises(InputError, match="is 20 x 30 pixels .* but was annotated at 9 x 9"):
        builder(tmp_path, a=6).image("a.jpg", "here", (9, 9))
    assert builder(tmp_path, a=6).image("a.jpg", "here", drawn=(9, 9)) == SEEN


def test_files_without_an_orientation_are_not_spoken_of(tmp_path, caplog):
    set_ = builder(tmp_path, a=1)
    assert set_.image("a.jpg", "here") == STORED
    set_.result("all")
    assert "EXIF" not in caplog.text
