"""`data/importers/__init__.py` and `tfmaskrcnn import-data`: to the JSON and back."""

import json
import zipfile

import numpy as np
import pytest
from PIL import Image

import tfmaskrcnn as mr
from helpers.cases import case
from tfmaskrcnn.cli.import_data import _SOURCES
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.data import importers


@pytest.fixture
def masks(tmp_path):
    pixels = np.zeros((20, 30), np.uint8)
    pixels[2:5, 2:5], pixels[8:15, 2:9] = 1, 2
    for name in ("masks/b.png", "images/b.jpg"):
        (tmp_path / name).parent.mkdir()
        Image.fromarray(pixels).save(tmp_path / name)
    return str(tmp_path / "masks"), str(tmp_path / "images")


def test_the_command_writes_what_load_coco_reads(masks, tmp_path, capsys):
    out = str(tmp_path / "out.json")
    assert main(["import-data", "png-masks", masks[0], out, "--images", masks[1]]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1] == "objects     2" and said[-1].startswith(f"written     {out}; its file names")
    data = mr.data.load_coco(out, masks[1])
    assert data.records[0].boxes.tolist() == [[2, 2, 5, 5], [8, 2, 15, 9]]
    again = tmp_path / "again.json"
    mr.data.importers.import_data("png-masks", masks[0], str(again), images=masks[1])
    assert again.read_text() == (tmp_path / "out.json").read_text()


def test_a_wrong_input_leaves_no_file(masks, tmp_path, capsys):
    out = tmp_path / "out.json"
    assert main(["import-data", "png-masks", masks[0], str(out)]) == 2
    assert "give the folder of their images with --images" in capsys.readouterr().err
    words = ["--images", masks[1], "--split", "val"]
    assert main(["import-data", "png-masks", masks[0], str(out), *words]) == 2
    assert "--split has no meaning for png-masks" in capsys.readouterr().err
    assert not out.exists()
    with pytest.raises(mr.InputError, match="must be one of via, labelme"):
        importers.import_data("coco", "a", "b")


def test_polygons_survive_the_json_to_the_bit(tmp_path):
    points = [0.1, 1 / 3, 20.7, 0.30000000000000004, 9.9, 11.123456789012345]
    builder = importers.building.CocoBuilder(str(tmp_path))
    Image.new("L", (30, 20)).save(tmp_path / "a.png")
    builder.image("a.png", "here")
    builder.add("x", [points], "here")
    builder.result("all").write(str(tmp_path / "out.json"))
    raw = json.loads((tmp_path / "out.json").read_text())
    assert raw["annotations"][0]["segmentation"] == [points]


def test_the_command_line_knows_every_source():
    assert tuple(importers.SOURCES) == _SOURCES


@pytest.mark.parametrize(
    "source, name, images",
    [
        ("via", "data/d16_via3/via2.json", "data/d16_via3/images"),
        ("via", "data/d16_via3/via3.json", "data/d16_via3/images"),
        ("labelme", "data/d15_labelme", None),
        ("labelme", "data/i03_labelme_exif", None),
        ("qupath", "data/d18_qupath", None),
        ("cvat", "hostile/cvat_width_text.xml", None),
    ],
)
def test_the_cases_are_imported_and_read_again(source, name, images, tmp_path, capsys):
    out = str(tmp_path / "out.json")
    images = ["--images", str(case(images))] if images else []
    assert main(["import-data", source, str(case(name)), out, *images]) == 0
    folder = capsys.readouterr().out.strip().rsplit(" start from ", 1)[1]
    raw = json.loads((tmp_path / "out.json").read_text(), parse_constant=pytest.fail)
    data = mr.data.load_coco(out, folder)
    assert sum(len(record.classes) for record in data.records) == len(raw["annotations"]) > 0
    for record in data.records:  # in the view that training reads
        mr.data.read_image(record.path, (record.height, record.width))


def test_a_name_of_a_class_that_nothing_could_print_is_refused(tmp_path):
    for name in ("a\x00", "\ud800", "a" * 500, " "):
        with pytest.raises(mr.InputError, match="The class ") as caught:
            importers.building.CocoBuilder(str(tmp_path), [name])
        str(caught.value).encode("utf-8")


def test_an_image_that_is_missing_says_what_is_there(tmp_path):
    Image.new("L", (3, 3)).save(tmp_path / "a.png")
    builder = importers.building.CocoBuilder(str(tmp_path))
    with pytest.raises(mr.InputError, match="b.png does not exist; .* holds 1 .png. Say with --im"):
        builder.image("b.png", "here")
    with pytest.raises(mr.InputError, match="characters that no name can have.*; rename it"):
        builder.image("a\x07.png", "here")


def test_a_folder_of_very_many_other_files_is_not_searched_through(tmp_path, monkeypatch):
    for n in range(20):
        (tmp_path / f"{n}.txt").touch()
    monkeypatch.setattr(importers.source_files, "_MOST_OTHERS", 10)
    with pytest.raises(mr.InputError, match="name the folder of the data set itself"):
        importers.source_files.files_below(str(tmp_path), (".png",))


def test_coco_and_archives_need_no_importer_or_unpacking(tmp_path):
    coco = str(case("data/d02_roboflow_parent/train.json"))
    for source in ("via", "label-studio", "qupath"):
        with pytest.raises(mr.InputError, match="is COCO already, which needs no importer"):
            importers.import_data(source, coco, str(tmp_path / "out.json"))
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("annotations.xml", "<annotations/>")
    for source in ("via", "cvat", "label-studio", "yolo"):
        with pytest.raises(mr.InputError, match="is a ZIP archive; unpack it, wanted"):
            importers.import_data(source, str(tmp_path / "export.zip"), str(tmp_path / "out.json"))


def test_a_device_is_not_read(tmp_path):
    for source in ("via", "cvat", "label-studio", "yolo", "qupath"):
        with pytest.raises(mr.InputError, match="/dev/zero is no regular file"):
            importers.import_data(source, "/dev/zero", str(tmp_path / "out.json"))
