"""`examples/rare_classes.py` without training: its data, and what it makes of finished runs."""

import importlib.util
import json
import sys

import pytest

from helpers.paths import EXAMPLES
from tfmaskrcnn.data import load_coco


@pytest.fixture
def rare(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    spec = importlib.util.spec_from_file_location("rare_classes", EXAMPLES / "rare_classes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("ablations", None)


def finished(folder, stem, seed, **numbers):
    (folder / f"{stem}-steps200-seed{seed}.json").write_text(json.dumps(numbers))


def test_groups_of_images_become_one_set_of_all_classes(rare, tmp_path):
    rare.draw(str(tmp_path), ((rare.CLASSES[:1], 4), (rare.CLASSES[::2], 3)), "train")
    data = load_coco(str(tmp_path / "instances.json"), str(tmp_path / "images"))
    assert data.class_names == ("circle", "square", "star")
    assert len({record.file_name for record in data.records}) == len(data.records) == 7
    assert {k for record in data.records[:4] for k in record.classes} == {1}
    assert {k for record in data.records[4:] for k in record.classes} == {1, 3}


def test_finished_runs_are_tabulated_with_what_the_rarest_class_gains(
    rare, tmp_path, capsys, monkeypatch
):
    plain = {"circle": 0.6, "square": 0.2, "mask_AP": 0.3, "box_AP": 0.3}
    for seed in range(2):
        finished(tmp_path, "none", seed, star=0.1, **plain)
        finished(tmp_path, "repeat", seed, star=0.2 + 0.01 * seed, **plain)
        finished(tmp_path, "focal-weights", seed, star=0.1 + 0.1 * (-1) ** seed, **plain)
    monkeypatch.setattr(rare, "_run", lambda *_: 1 / 0)
    monkeypatch.setattr(rare, "VARIANTS", dict.fromkeys(("none", "repeat", "focal, weights"), ()))
    arguments = ["rare_classes.py", "--out", str(tmp_path), "--seeds", "2"]
    monkeypatch.setattr(sys, "argv", arguments)
    assert rare.main() == 0
    printed = capsys.readouterr().out
    assert "| none | 2 | 60.0 ± 0.0 | 20.0 ± 0.0 | 10.0 ± 0.0 |" in printed
    assert "| repeat | 2 |" in printed and "| +10.5 (better) |" in printed
    assert "| +0.0 (cannot tell) |" in printed
    assert printed.strip().endswith((tmp_path / "rare_classes.md").read_text().strip())
