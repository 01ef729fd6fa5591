"""`train/auto/auto_config.py`: from a data set to a run that remembers what was chosen."""

import json
import logging
import os

import numpy as np
import pytest

import tfmaskrcnn as mr
from helpers.tiny import OVERRIDES, tiny_data
from helpers.untrained import Untrained, stopped_runs
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.config.yaml_files import override
from tfmaskrcnn.support.run_folder import Run
from tfmaskrcnn.train import auto_config, train
from tfmaskrcnn.train.auto import auto_config as module
from tfmaskrcnn.train.auto.auto_config import chosen
from tfmaskrcnn.train.auto.facts import looks_of
from tfmaskrcnn.train.distribution import Workers
from tfmaskrcnn.train.run_start import note

CHOSEN = ("anchors", "input", "model.num_classes", "data.max_instances", "train=")
# The tiny network; what `auto` chooses stays open, but for the batch.
TINY = (
    *(text for text in OVERRIDES if not text.startswith(CHOSEN)),
    "train={batch_size: 2, tensorboard: false}",
    "backbone={weights: null, freeze_at: 5}",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tiny_data(tmp_path_factory.mktemp("auto") / "set")


def paths(home):
    return f"data.train_json={home[0]}", f"data.train_images={home[1]}"


def test_it_chooses_says_why_and_chooses_no_second_time(home, caplog):
    caplog.set_level(logging.INFO, "tfmaskrcnn")
    config = auto_config(mr.load_config("auto", [*TINY, *paths(home), "train.epochs=3"]))
    assert config.model.input.min_side == 128 and config.train.epochs == 3
    text = caplog.text
    assert "Chosen from 4 images" in text
    assert "train.epochs=3 " in text and "as set; the rule says 100: 200 updates" in text
    caplog.clear()
    assert auto_config(config) is config and not caplog.text


@pytest.fixture
def compiled(monkeypatch):
    """The configurations of the models that runs would train, which end there."""
    return stopped_runs(monkeypatch)


def begin(folder, *settings, resume=False):
    with pytest.raises(Untrained):
        train(mr.load_config("auto", [*TINY, *settings]), folder, resume=resume)


def test_a_run_trains_what_is_chosen_and_keeps_it(home, tmp_path, compiled):
    run = Run(str(tmp_path / "run"))
    begin(run.folder, *paths(home), "train.epochs=1")
    (config,) = compiled
    assert config.model.input.min_side == 128 and config.model.num_classes == 3
    os.makedirs(run.folder)
    note(run, config)
    assert mr.load_config(run.folder).model_dump() == config.model_dump()
    with open(run.choices) as file:
        assert "input.min_side=128" in file.read()
    assert auto_config(mr.load_config(run.folder)).train.auto  # all is set; no data are needed


def test_a_run_that_goes_on_chooses_nothing_anew(home, tmp_path, compiled, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "tfmaskrcnn")
    run = Run(str(tmp_path / "run"))
    begin(run.folder, *paths(home), "train.epochs=1")
    changed = override(compiled.pop(), ["data.max_instances=77", "train.seed=5"])
    os.makedirs(run.states)
    note(run, changed)
    begin(run.folder, *paths(home), resume=True)  # no state was saved: it begins anew
    assert compiled.pop().data.max_instances == 100
    open(os.path.join(run.states, "0000000001.npz"), "w").close()

    def refuse(*_):
        raise AssertionError("the choice was made")

    monkeypatch.setattr(module, "choices", refuse)
    caplog.clear()
    begin(run.folder, *paths(home), "train.epochs=2", resume=True)
    (config,) = compiled
    assert "goes on with what was chosen" in caplog.text
    assert config.data.max_instances == 77 and config.train.epochs == 2
    assert config.train.seed == 0  # no rule's: `check_settings` compares it
    assert config.model.anchors == changed.model.anchors


def test_workers_train_what_the_first_one_chose(home, monkeypatch):
    told = []

    class Worker(Workers):
        def broadcast(self, content, source=0):
            told.append(content)
            return told[0]

    config, data = mr.load_config("auto", [*TINY, *paths(home)]), mr.data.load_coco(*home)
    first = chosen(config, data, Worker())
    other = Worker()
    other.index = 1
    monkeypatch.setattr(module, "choices", None)
    assert chosen(config, data, other).model_dump() == first.model_dump()


def test_commands_that_take_a_configuration_choose_as_well(home, tmp_path, caplog):
    caplog.set_level(logging.INFO, "tfmaskrcnn")
    shown = str(tmp_path / "shown")
    command = ["show-data", "auto", "--num", "1", "--out", shown, "--set", *paths(home)]
    assert main(command) == 0 and "Chosen from 4 images" in caplog.text
    assert main(["check-data", *home, "--config", "auto"]) in (0, 1)


@pytest.mark.parametrize(
    "images, said",
    [
        (None, "data.train_json is not set"),
        ([], "'images' is empty"),
        ([{"id": 1}], "'height' is missing"),
    ],
)
def test_wrong_data_end_in_a_sentence(tmp_path, images, said, capsys):
    given = []
    if images is not None:
        json_path = tmp_path / "set.json"
        coco = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "nut"}]}
        json_path.write_text(json.dumps(coco))
        given = ["--set", f"data.train_json={json_path}", f"data.train_images={tmp_path}"]
    assert main(["train", "auto", "--out", str(tmp_path / "run"), *given]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert said in error and not os.path.exists(tmp_path / "run")


def test_levels_are_those_of_the_pixels_of_images_that_are_not_too_large(home, monkeypatch):
    records = mr.data.load_coco(*home).records
    input = mr.Config().model.input
    looks = looks_of(records, input)
    pixels = np.stack([mr.data.read_image(record.path) for record in records])
    shape = len(records), -1
    np.testing.assert_array_equal(looks.median, np.median(pixels.reshape(shape), axis=1) // 1)
    assert (looks.low < looks.median).all() and (looks.median < looks.high).all()
    assert len(looks_of([], input).low) == 0
    large = [record._replace(height=5000, width=5000, path="not.there") for record in records]
    assert len(looks_of(large, input).low) == 0


def test_the_network_is_that_of_efficientnet_lite0():
    auto, other = (mr.load_config(name) for name in ("auto", "efficientnet_lite0"))
    for part in ("backbone", "fpn", "mask_head"):
        assert getattr(auto.model, part) == getattr(other.model, part)
    assert auto.model.box_head.hidden == other.model.box_head.hidden
    assert auto.train.weight_decay == other.train.weight_decay
