"""`data/importers/__init__.py` and `tfmaskrcnn import-data`: to the JSON and back."""

import json

import numpy as np
import pytest
from PIL import Image

import tfmaskrcnn as mr
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
