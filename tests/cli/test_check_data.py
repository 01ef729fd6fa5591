"""`tfmaskrcnn check-data` as a user types it."""

import io
import json
import pathlib

import pytest

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
