"""`cli/evaluate.py`: what is wrong is told before it costs time, and nothing is made or lost."""

import json
import os
import types

import pytest

from helpers.stub_source import found_in
from helpers.tiny import tiny_config, tiny_data
from helpers.wrong_options import told_at_once
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.config.yaml_files import save_config
from tfmaskrcnn.inference import opening

NAMES = ["class_names=[circle, square, triangle]", "category_ids=[1, 2, 3]"]
REPLACED = "is read here and would be replaced; choose another name."
# Options of `evaluate run`, and the end of what is told of them.
WRONG = [
    (["--iou", "1"], "--iou is 1; wanted a number above 0.1 and below 1."),
    (
        ["--max-detections", "1", "9", "9"],
        "--max-detections is 1 9 9; wanted three ascending numbers.",
    ),
    (["--json", "gone"], "There is no file gone; wanted COCO annotations and their images."),
    (["--images", "gone"], "There is no folder gone; wanted COCO annotations and their images."),
    (["--against", "gone"], "There is no folder gone."),
    (["--html", "val/instances.json"], f"val/instances.json {REPLACED}"),
    (["--results", "./run/config.json"], f"./run/config.json {REPLACED}"),
    (["--html", "val"], "val is a folder; give the name of the file to write."),
    (["--html", "new/a/" + "n" * 300], "n: File name too long."),
    (["--html", "val/instances.json/a.html"], "a.html: Not a directory."),
    (
        ["--html", "new/a", "--results", "new/../new/a"],
        "is named for two outputs; give each a place of its own.",
    ),
    (
        ["--results", "new", "--csv", "new/a"],
        "new/a is named for two outputs; give each a place of",
    ),
    (["--csv", "val/instances.json"], f"val/instances.json {REPLACED}"),
    (["--csv", "file"], "file is a file; --csv wants a folder."),
    (["--tta", "--save-thresholds"], "With --tta scores differ from the run's; leave"),
    (["--set", "input.min_side=64", "--save-thresholds"], "With --set scores differ from the run"),
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with data and two runs without weights, of which the second knows less."""
    monkeypatch.chdir(tmp_path)
    json_path, images = tiny_data(tmp_path / "val", num_images=1)
    data = [f"data.val_json={json_path}", f"data.val_images={images}"]
    less = ["class_names=[circle, square]", "category_ids=[1, 2]", "num_classes=2"]
    for name, settings in (("run", NAMES), ("less", less)):
        os.mkdir(name)
        save_config(tiny_config(*data, *settings), os.path.join(name, "config.json"))
    (tmp_path / "file").write_text("")
    return tmp_path


def test_wrong_options_are_told_before_tensorflow_is_imported_and_nothing_is_made(place):
    told_at_once(place, ["evaluate", "run"], WRONG)


def test_a_run_whose_data_are_gone_asks_for_others(place, capsys):
    (place / "val" / "instances.json").rename("other.json")
    assert main(["evaluate", "run"]) == 2
    assert "instances.json; the run names it; give --json FILE." in capsys.readouterr().err
    (place / "val" / "images").rename("photos")
    assert main(["evaluate", "run", "--json", "other.json"]) == 2
    assert "images; the run names it; give --images FOLDER." in capsys.readouterr().err


def test_classes_are_checked_before_a_model_is_opened(place, capsys):
    for options, expected in (
        (["--classes", "cirlce"], "has no category 'cirlce'; did you mean 'circle'?"),
        (["--classes", "disc=circle"], "The model has no class 'disc'; it has circle, square, tri"),
        (["--classes", "circle", "circle=square"], "'circle' cannot be 'circle' and 'square' at"),
        (["--against", "less"], "Only one of the two models knows triangle; compare what both"),
    ):
        assert main(["evaluate", "run", *options]) == 2
        assert expected in capsys.readouterr().err
    # There is nothing else to say than that the weights are missing.
    assert main(["evaluate", "run", "--against", "less", "--classes", "circle"]) == 2
    assert "weights.npz" in capsys.readouterr().err


def test_a_run_is_judged_by_the_classes_that_it_was_trained_on(place, capsys, monkeypatch):
    with open("val/instances.json", encoding="utf-8") as file:
        raw = json.load(file)
    joined = sum(a["category_id"] in (1, 3) for a in raw["annotations"])
    names = ["num_classes=2", "class_names=[round, square]", "category_ids=[1, 2]"]
    choice = "data.classes={round: [circle, triangle], square: square}"
    data = "data.val_json=val/instances.json", "data.val_images=val/images"
    save_config(tiny_config(*data, *names, choice), "run/config.json")
    blind = types.SimpleNamespace(
        predict_images=lambda images, batch_size: [found_in(image) for image in images],
        trained_sizes=None,
    )
    monkeypatch.setattr(opening, "with_weights", lambda config, folder: blind)
    assert main(["evaluate", "run", "--classes", "circle"]) == 2
    assert "has no category 'circle'; it has round, square" in capsys.readouterr().err
    assert main(["evaluate", "run", "--classes", "round", "--results", "found.json"]) == 0
    with open("found.json", encoding="utf-8") as file:
        result = json.load(file)
    assert result["num_objects"] == joined and list(result["box_ap_per_class"]) == ["round"]
