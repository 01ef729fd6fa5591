"""`examples/input_speed.py` on images of a few pixels, without the network."""

import importlib.util
import json
import types

import pytest

from helpers.paths import EXAMPLES

PATH = EXAMPLES / "input_speed.py"


@pytest.fixture
def input_speed(monkeypatch):
    spec = importlib.util.spec_from_file_location("input_speed", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "SIZE", (64, 100))
    monkeypatch.setattr(module, "SIDES", (64, 100))
    monkeypatch.setattr(module, "PICTURES", 2)
    return module


def test_rates_of_both_sources_are_told(input_speed, tmp_path, capsys):
    sizes = {"images": 5, "objects": 3, "batch_size": 2}
    options = types.SimpleNamespace(rounds=1, seconds=0.1, no_training=True, **sizes)
    input_speed.show_rates(str(tmp_path), options)
    said = capsys.readouterr().out
    assert "JPEG files " in said and "TFRecord " in said and "CPU seconds an image" in said
    coco = json.loads((tmp_path / "set.json").read_text())
    assert [i["file_name"] for i in coco["images"]] == ["0.jpg", "1.jpg", "0.jpg", "1.jpg", "0.jpg"]
    assert len(list((tmp_path / "images").iterdir())) == 2
