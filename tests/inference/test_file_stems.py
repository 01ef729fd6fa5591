"""`inference/file_stems.py`."""

import os

from tfmaskrcnn.inference.file_stems import FileStems


def test_no_two_files_have_one_name():
    stems = FileStems()
    given = ["a", "a", "A", "a_2", "b/a", "b/a", "B/A"]
    found = [stems.of(stem) for stem in given]
    assert found == ["a", "a_2", "A_3", "a_2_2", "b/a", "b/a_2", "B/A_3"]
    assert len({name.lower() for name in found}) == len(given)


def test_folders_of_images_stay_out_of_those_of_formats():
    stems = FileStems()
    assert [stems.of(stem) for stem in ("masks/a", "Coco/b", "masks", "x/masks")] == [
        "masks_/a",
        "Coco_/b",
        "masks",
        "x/masks",
    ]


def test_folders_that_are_called_like_a_file_do_not_stand_in_its_way():
    stems = FileStems()
    given = ("x", "x.png/y", "results.json/a", "a.jpg/b")
    assert [stems.of(stem) for stem in given] == ["x", "x.png_/y", "results.json_/a", "a.jpg/b"]


def test_long_names_leave_room_for_endings():
    stems = FileStems()
    long = ["x" * 251, "x" * 250, "\u00e9" * 125, "\udcff" * 250, f"{'d' * 255}/{'e' * 255}"]
    found = [stems.of(stem) for stem in long]
    assert found[1] == found[0] + "_2" and found[2] == "\u00e9" * 100
    assert max(len(os.fsencode(part)) for stem in found for part in stem.split("/")) <= 202
