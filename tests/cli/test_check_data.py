"""`tfmaskrcnn check-data` as a user types it."""

import io
import json
import os
import pathlib
import pty
import sys
import threading

import pytest

from helpers.cases import case
from helpers.tiny import tiny_data
from tfmaskrcnn.cli.main import main


@pytest.fixture
def data(tmp_path):
    return tiny_data(tmp_path / "data")


def spoilt(json_path, tmp_path):
    coco = json.loads(pathlib.Path(json_path).read_text())
    coco["annotations"][0]["bbox"][2] = 0
    path = tmp_path / "spoilt.json"
    path.write_text(json.dumps(coco))
    return str(path)


def test_a_good_set_ends_with_0_and_a_bad_one_with_1(data, tmp_path, capsys):
    json_path, images = data
    assert main(["check-data", json_path, images, "--set", "model.num_classes=3"]) == 0
    assert "Nothing is wrong" in capsys.readouterr().out
    html, fixed = str(tmp_path / "page.html"), str(tmp_path / "fixed.json")
    bad = spoilt(json_path, tmp_path)
    assert main(["check-data", bad, images, "--html", html, "--fix", fixed, "--list"]) == 1
    out = capsys.readouterr().out
    assert "1 thing is wrong" in out and "box-area: annotation 1 of image" in out
    assert f"mended      {fixed}: 1 change, no object lost, nothing stays wrong" in out
    assert "changed: annotation 1 of image" in out and f"page        {html}" in out
    assert pathlib.Path(html).read_text().startswith("<!doctype html>")
    assert main(["check-data", fixed, images]) == 0


def test_train_says_where_all_errors_are_listed(data, tmp_path, capsys):
    json_path, images = data
    config = tmp_path / "config.yaml"
    bad = spoilt(json_path, tmp_path)
    config.write_text(f"data: {{train_json: {bad}, train_images: {images}}}")
    assert main(["train", str(config), "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert "has no area" in error and error.strip().endswith("check-data lists all that is wrong.")


def test_a_set_that_cannot_be_checked_ends_with_2(data, tmp_path, capsys):
    json_path, images = data
    assert main(["check-data", str(tmp_path / "no.json"), images]) == 2
    assert main(["check-data", json_path, str(tmp_path / "no")]) == 2
    assert main(["check-data", json_path, images, "--fix", json_path]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3 and "another name" in errors[2]


def test_the_configuration_and_the_other_split_count(data, tmp_path, capsys):
    json_path, images = data
    config = tmp_path / "config.yaml"
    config.write_text("data: {max_instances: 1}\n")
    arguments = ["--config", str(config), "--other", json_path, "--limit", "2"]
    assert main(["check-data", json_path, images, *arguments]) == 0
    out = capsys.readouterr().out
    assert "data.max_instances" in out and "other set too" in " ".join(out.split())
    assert "2 images" in out and "--list prints every finding" in out


def test_a_terminal_that_does_not_know_every_character_gets_question_marks(data, monkeypatch):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", terminal)
    assert main(["check-data", *data, "--set", "model.num_classes=3"]) == 0
    shown = terminal.buffer.getvalue().decode("ascii")
    assert "????" in shown and "Nothing is wrong" in shown  # the lines of the tables


def arguments_of(name, *more):
    folder = case(f"data/{name}")
    return ["check-data", str(folder / "train.json"), str(folder / "images"), *more]


def test_mended_is_said_only_where_something_was(tmp_path, capsys):
    fixed = str(tmp_path / "fixed.json")
    assert main(arguments_of("f09_nan_coordinate", "--fix", fixed)) == 1
    out = capsys.readouterr().out
    assert f"unchanged   {fixed}: no change, no object lost, 1 thing stays wrong" in out
    assert "still wrong: annotation 1 of image 1: a polygon holds" in out and "\nmended " not in out
    assert main(arguments_of("d07_list_of_points", "--fix", fixed)) == 1
    assert "8 changes, no object lost, nothing stays wrong" in capsys.readouterr().out


def test_crowds_and_turned_images_are_mended_on_request_alone(tmp_path, capsys):
    fixed, copies = str(tmp_path / "fixed.json"), str(tmp_path / "copies")
    assert main(arguments_of("d09_cvat_all_crowd", "--fix", fixed, "--no-crowds")) == 1
    assert "8 changes, no object lost, nothing stays wrong" in capsys.readouterr().out
    assert main(arguments_of("d10_exif_90", "--fix", fixed, "--upright", copies)) == 0
    assert len(os.listdir(copies)) == 4 and "4 changes" in capsys.readouterr().out
    assert main(arguments_of("d10_exif_90", "--upright", copies)) == 2
    assert "give --fix FILE as well" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["d03d_url_file_name", "d05b_float_ids", "d22_categories_object"])
def test_nothing_is_cut_off_in_a_pipe(name, capsys):
    assert main(arguments_of(name)) == 1
    out = capsys.readouterr().out
    assert "\u2026" not in out and "'categories' is empty" not in out
    wanted = {
        "d03d_url_file_name": "there is no file 'http://localhost:8080/data/upload/4/p0.png' in",
        "d05b_float_ids": "entry 0 of 'categories': its id is 1.0, wanted an integer.",
        "d22_categories_object": "'categories': it is an object, wanted a list of 2 objects",
    }[name]
    assert wanted in out


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_tables_are_as_wide_as_the_terminal(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    out = on_terminal(monkeypatch, arguments_of("d03_label_studio_paths"))
    tables = out.split("Findings")[0].splitlines() + out.split("Findings")[1].splitlines()[:12]
    assert all(len(line) <= columns for line in tables) and "\u2026" not in out
    assert max(map(len, out.splitlines())) > min(columns, 100) - 12
    squeezed = "".join(out.split())
    assert "media\\upload\\4\\p0.png'in" in squeezed and "butp0.pngis." in squeezed


def on_terminal(monkeypatch, arguments):
    """What `main` prints where its output is a terminal."""
    reader, writer = pty.openpty()
    parts = []

    def collect():
        while True:
            try:
                parts.append(os.read(reader, 1 << 16))
            except OSError:  # the other end is closed
                return

    thread = threading.Thread(target=collect)
    thread.start()
    with os.fdopen(writer, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        main(arguments)
        monkeypatch.undo()
    thread.join()
    os.close(reader)
    return b"".join(parts).decode().replace("\r\n", "\n")
