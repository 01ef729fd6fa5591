"""`cli/predict.py`: what is wrong is told before it costs time, and all options arrive."""

import argparse
import glob
import json
import os

import numpy as np
import pytest
from PIL import Image

from helpers.stub_source import picture, seen_source
from helpers.tiny import tiny_config
from helpers.wrong_options import told_at_once
from tfmaskrcnn.cli.arguments import tile_size
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.cli.predict import pixels, shard
from tfmaskrcnn.config.yaml_files import save_config
from tfmaskrcnn.results.result_formats import FORMATS

# Options of `predict run in --out out`, and what is told of them.
WRONG = [
    (["--save", "cocoo"], "--save is 'cocoo'; wanted pictures, none, crops, masks"),
    (["--save", "none", "coco"], "--save none and other formats are asked for"),
    (["--pixel-size", "1um"], "--pixel-size is the unit of --measure; give both."),
    (["--measure", "--pixel-size", "one"], "A pixel's size 'one' was given"),
    (["--tile", "5"], "The tile size is 5; wanted auto, none or a number of pixels from 32 on."),
    (
        ["--tile", "64", "--overlap", "40"],
        "The overlap is 40; wanted a number of pixels from 8 to half of the tile",
    ),
    (["--boxes", "--no-boxes"], "--boxes and --no-boxes are both given; wanted one of the two."),
    (["--line-width", "0"], "The line width is 0 pixels, wanted above 0"),
    (["--picture-side", "99999"], "The side of the pictures is 99999 pixels, wanted 1 to"),
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a run without weights and a folder of three images, one of them damaged."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    for name in ("a", "b"):
        picture(f"in/{name}.png")
        Image.fromarray(rng.integers(0, 255, (25, 31, 3), np.uint8)).save(f"in/{name}.png")
    (tmp_path / "in" / "damaged.png").write_bytes(b"no image")
    os.mkdir("run")
    names = ["class_names=[cell, dust, bubble]", "category_ids=[5, 9, 7]"]
    save_config(tiny_config(*names), "run/config.json")
    return tmp_path


@pytest.fixture
def model(monkeypatch):
    """What opening any model gives, and digests of weights that are not there."""
    source = seen_source()
    monkeypatch.setattr("tfmaskrcnn.inference.augmented.open_augmented", lambda *_: source)
    monkeypatch.setattr("tfmaskrcnn.inference.prediction_options.weights_digest", lambda _: "0")


def test_wrong_options_are_told_before_tensorflow_is_imported_and_nothing_is_made(place):
    told_at_once(place, ["predict", "run", "in", "--out", "out"], WRONG)


def test_words_of_options_are_checked():
    assert shard("2/3") == (2, 3) and tile_size("auto") == "auto" and tile_size("512") == 512
    assert pixels("0.25") == 0.25
    for check, text in ((shard, "3"), (shard, "4/3"), (shard, "0/3"), (tile_size, "big")):
        with pytest.raises(argparse.ArgumentTypeError):
            check(text)
    for text in ("-1", "nan", "inf", "x"):
        with pytest.raises(argparse.ArgumentTypeError):
            pixels(text)


def test_all_formats_are_written_and_the_damaged_file_is_named(place, model, capsys):
    formats = ["--save", "pictures", *FORMATS, "--measure", "--pixel-size", "0.32um"]
    drawn = ["--numbers", "--no-labels", "--color-by", "object", "--picture-side", "62"]
    threshold = ["--threshold", "0.1"]
    assert main(["predict", "run", "in", "--out", "out", *formats, *drawn, *threshold]) == 1
    shown = capsys.readouterr()
    assert shown.out.startswith("results     out/results.json\npictures    out/*.png\n")
    told = dict(line.split() for line in shown.out.splitlines())
    assert set(told) == {"results", "pictures", *FORMATS, "objects", "counts"}
    assert all(glob.glob(place) for place in told.values())  # each is where it is said to be
    assert "1 could not be used:\n  in/damaged.png is not an image" in shown.err
    names = set(os.listdir("out"))
    tables = {"results.json", "predictions.jsonl", "objects.csv", "counts.csv", "a.png", "b.png"}
    assert tables <= names and len(names) == len(tables) + len(FORMATS)
    with Image.open("out/a.png") as image:
        assert image.size == (62, 50)
    with open("out/coco.json", encoding="utf-8") as file:
        assert [image["file_name"] for image in json.load(file)["images"]] == ["a.png", "b.png"]


def test_to_resume_and_to_begin_over_another_prediction(place, model, capsys, caplog):
    caplog.set_level("INFO")
    command = ["predict", "run", "in/a.png", "--out", "out", "--save", "none"]
    assert main(command) == 0
    assert main([*command, "--resume"]) == 0
    assert "1 of 1 images are done already" in caplog.text
    assert main([*command, "--resume", "--threshold", "0.2"]) == 2
    assert "begun with threshold None, not 0.2; go on with that" in capsys.readouterr().err
    assert main([*command, "--resume", "--set", "box_head.nms_iou=0.4"]) == 2
    assert "is of another model" in capsys.readouterr().err
    assert main([*command, "--threshold", "0.2"]) == 0  # the former one was finished


def test_a_list_on_stdin_and_ids_of_a_coco_file(place, model, monkeypatch):
    images = [{"id": 30, "file_name": "b.png"}, {"id": 7, "file_name": "a.png"}]
    with open("set.json", "w", encoding="utf-8") as file:
        json.dump({"images": images, "annotations": [], "categories": []}, file)
    with open("list.txt", "w", encoding="utf-8") as file:
        file.write("in/a.png\nin/b.png\n")
    with open("list.txt", encoding="utf-8") as file:
        monkeypatch.setattr("sys.stdin", file)
        command = ["predict", "run", "-", "--out", "out", "--ids-from", "set.json"]
        assert main([*command, "--save", "coco", "--threshold", "0"]) == 0
    with open("out/coco.json", encoding="utf-8") as file:
        found = json.load(file)["images"]
    assert [(image["id"], image["file_name"]) for image in found] == [(7, "a.png"), (30, "b.png")]
