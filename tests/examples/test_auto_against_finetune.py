"""`examples/auto_against_finetune.py` without training: what it makes of finished runs."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from helpers.paths import EXAMPLES


@pytest.fixture
def script():
    path = EXAMPLES / "auto_against_finetune.py"
    spec = importlib.util.spec_from_file_location("auto_against_finetune", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_of(config, seed, mask, name="nuclei"):
    result = {"set": name, "config": config, "seed": seed, "epochs": 10, "cpu_minutes": 5.0}
    return {**result, "mask_ap": mask, "mask_ap50": 0.8, "box_ap": 0.4, "box_ap50": 0.8}


@pytest.mark.parametrize(
    "auto, finetune, said",
    [
        # Standard deviations 1 and 1: 2.78 x sqrt(1 / 3 + 1 / 3) = 2.27.
        ([50, 51, 52], [46, 47, 48], "auto is better: +4.0, noise ± 2.3"),
        ([50, 51, 52], [54, 55, 56], "auto is worse: -4.0, noise ± 2.3"),
        ([50, 51, 52], [49, 50, 51], "auto is within the noise: +1.0, noise ± 2.3"),
        ([50], [40], "too few runs to compare"),
    ],
)
def test_a_difference_counts_beyond_the_noise_of_the_seeds(script, auto, finetune, said):
    assert script.verdict(auto, finetune) == said


def test_finished_runs_are_not_run_again_but_tabulated(script, tmp_path, capsys, monkeypatch):
    for config, mask in (("auto", 0.5), ("finetune", 0.4)):
        for seed in range(2):
            path = tmp_path / f"nuclei-epochs10-{config}-seed{seed}.json"
            path.write_text(json.dumps(run_of(config, seed, mask + 0.01 * seed)))
    monkeypatch.setattr(script.subprocess, "run", None)
    arguments = ["x", "--out", str(tmp_path), "--seeds", "2", "--sets", "nuclei"]
    monkeypatch.setattr(sys, "argv", arguments)
    assert script.main() == 0
    printed = capsys.readouterr().out
    assert "| nuclei | 10 | `auto` | 2 | 50.5 ± 0.7 |" in printed
    assert "auto is better: +10.0" in printed
    assert (tmp_path / "table.md").read_text() == printed


def test_a_missing_run_is_trained_and_kept(script, tmp_path, monkeypatch):
    commands = []

    def trained(command, check):
        commands.append(command)
        folder = Path(command[command.index("--out") + 1])
        folder.mkdir()
        rows = "epoch,val_mask_ap,val_box_ap\n1,,\n3,0.25,0.5\n"
        (folder / "history.csv").write_text(rows)

    monkeypatch.setattr(script.subprocess, "run", trained)
    arguments = ["x", "--out", str(tmp_path), "--seeds", "1", "--sets", "nuclei", "--epochs", "3"]
    monkeypatch.setattr(sys, "argv", arguments)
    assert script.main() == 0
    assert [command[4] for command in commands] == ["auto", "finetune"]
    for command in commands:
        assert {"train.epochs=3", "train.seed=0", "train.evaluate_every=3"} <= set(command)
    result = json.loads((tmp_path / "nuclei-epochs3-auto-seed0.json").read_text())
    assert result["mask_ap"] == 0.25 and result["box_ap"] == 0.5


def test_a_part_has_the_images_that_show_the_category(script):
    coco = {
        "images": [{"id": 1}, {"id": 2}, {"id": 3}],
        "annotations": [
            {"image_id": 1, "category_id": 7},
            {"image_id": 1, "category_id": 8},
            {"image_id": 2, "category_id": 8},
            {"image_id": 3, "category_id": 7, "iscrowd": 1},
        ],
        "categories": [{"id": 7, "name": "person"}, {"id": 8, "name": "car"}],
    }
    found = script.part(coco, "person")
    assert found["images"] == [{"id": 1}] and found["categories"] == [{"id": 7, "name": "person"}]
    assert found["annotations"] == [{"image_id": 1, "category_id": 7}]
