"""The command `train`: what it refuses at once, and whose code it runs."""

import os
import subprocess
import sys

import pytest

import tfmaskrcnn as mr
from helpers.paths import ROOT
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.config.yaml_files import save_config

EVIL = "open('ran', 'w').close()\n\n\ndef code(**sample):\n    return {}\n"


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """The current folder holds a module, and `run`, whose config.json names a function of it."""
    json_path, images = tiny_data(tmp_path / "set", 2)
    data = f"data.train_json={json_path}", f"data.train_images={images}"
    (tmp_path / "run").mkdir()
    config = tiny_config(*data, "data.augment.function=strangers_module:code")
    save_config(config, str(tmp_path / "run" / "config.json"))
    (tmp_path / "strangers_module").with_suffix(".py").write_text(EVIL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("strangers_module", None)


REFUSED = "names code, data.augment.function='strangers_module:code', which runs only when asked"


@pytest.mark.parametrize(
    "command",
    [
        "train run --out run --resume",
        "train run --out new",
        "train run/config.json --out new",
        "train mine.yaml --out new",
        "show-data run --out new",
        "find-rate run --out new",
    ],
)
def test_code_of_a_runs_folder_does_not_run_unasked(stranger, command, capsys):
    (stranger / "mine.yaml").write_text("base: run\n")
    assert main(command.split()) == 2
    assert REFUSED in capsys.readouterr().err
    assert not os.path.exists("ran")


@pytest.mark.parametrize("road", ["train", "find_rate", "from_coco"])
def test_nor_does_it_from_python(stranger, road):
    config = mr.load_config("run")
    roads = {
        "train": lambda: mr.train.train(config, "new"),
        "find_rate": lambda: mr.train.rate_finder.find_rate(config, 5),
        "from_coco": lambda: mr.data.from_coco(
            config.data.train_json, config.data.train_images, config, training=True
        ),
    }
    with pytest.raises(mr.InputError, match=REFUSED):
        roads[road]()
    assert not os.path.exists("ran") and not os.path.exists("new")


@pytest.mark.parametrize(
    "asking", ["--trust-code", "--set data.augment.function='strangers_module:code'"]
)
def test_who_asks_for_it_gets_it(stranger, asking):
    assert main([*["show-data", "run", "--num", "1", "--out", "new"], *asking.split()]) == 0
    assert os.path.exists("ran")


def test_looking_at_a_run_runs_nothing(stranger, capsys):
    assert main(["info", "run"]) in (0, 2)
    assert main(["evaluate", "run"]) == 2
    assert not os.path.exists("ran") and "names code" not in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["data.train_json=no.json", "data.val_images=none"])
def test_wrong_paths_are_told_before_tensorflow_is_imported(stranger, wrong):
    script = f"""
import sys
from tfmaskrcnn.cli.main import main
code = main(["train", "run", "--trust-code", "--out", "deep/new", "--set", "{wrong}"])
assert code == 2 and "tensorflow" not in sys.modules
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    key, path = wrong.split("=")
    assert f"{path!r}, which {key} names; give its place" in done.stderr
    assert not os.path.exists("deep")
