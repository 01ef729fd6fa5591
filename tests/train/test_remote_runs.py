"""Data and runs that only TensorFlow reaches, on its own file system in memory, `ram://`."""

import csv
import io
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfmaskrcnn as mr
from helpers.one_stack import on_stack_b
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.config.yaml_files import save_config
from tfmaskrcnn.data.coco.records import load_coco
from tfmaskrcnn.data.tfrecord.reading import load_tfrecord
from tfmaskrcnn.data.tfrecord.writing import write_tfrecord
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.array_files import read_arrays
from tfmaskrcnn.support.files import read_text
from tfmaskrcnn.support.run_folder import Run
from tfmaskrcnn.train import train
from tfmaskrcnn.train.saving import StateKeeper, states_in
from tfmaskrcnn.train.tensorboard import events_in

STORE = "ram://store"
SETTINGS = ("train={epochs: 1, save_every: 1, batch_size: 2}", "backbone.freeze_at=5")
pytestmark = [
    pytest.mark.usefixtures("eagerly"),
    pytest.mark.filterwarnings("ignore:Even though the:UserWarning"),  # of tf.data
]


def sent(folder, target):
    """Copy what is in `folder` into the store."""
    for below, _, names in os.walk(folder):
        inside = os.path.relpath(below, folder)
        place = target if inside == "." else f"{target}/{inside}"
        tf.io.gfile.makedirs(place)
        for name in sorted(names):  # in memory, none may be the beginning of one that is there
            tf.io.gfile.copy(os.path.join(below, name), f"{place}/{name}", overwrite=True)


@pytest.fixture(scope="module")
def data(eagerly, tmp_path_factory):
    """A folder with data, which lie in the store as well."""
    folder = str(tmp_path_factory.mktemp("data"))
    train_set = tiny_data(f"{folder}/train", seed=1)
    tiny_data(f"{folder}/val", 2, seed=2)
    os.makedirs(f"{folder}/records")
    write_tfrecord(*train_set, f"{folder}/records/train", shards=2, workers=1)
    sent(folder, f"{STORE}/data")
    yield folder
    tf.io.gfile.rmtree(STORE)


def config_in(folder):
    paths = [
        f"data.{split}_{kind}={folder}/{split}/{name}"
        for split in ("train", "val")
        for kind, name in (("json", "instances.json"), ("images", "images"))
    ]
    return tiny_config(*paths, *SETTINGS)


class Killed(BaseException):
    """What no part of a run expects."""


@on_stack_b
def test_a_run_in_a_store_is_killed_resumed_and_evaluated(
    data, tmp_path, monkeypatch, caplog, capsys
):
    run, config = Run(f"{STORE}/runs/a"), config_in(f"{STORE}/data")
    step_done = StateKeeper.on_train_batch_end

    def killed(self, batch, logs=None):
        step_done(self, batch, logs)
        raise Killed

    monkeypatch.setattr(StateKeeper, "on_train_batch_end", killed)
    with pytest.raises(Killed):
        train(config, run.folder)
    monkeypatch.undo()
    assert len(states_in(run.states)) == 1 and not storage.exists(run.weights)
    with pytest.raises(InputError, match="already holds a run; go on with it"):
        train(config, run.folder)

    save_config(config, f"{STORE}/config.json")
    code = main(["train", f"{STORE}/config.json", "--out", run.folder, "--resume"])
    assert code == 0, capsys.readouterr().err
    assert "cannot be locked (it is not on this machine)" in caplog.text
    left = {"config.json", "origin.json", "weights.npz", "history.csv", "curves.png", "states"}
    assert left <= set(storage.names_in(run.folder))
    assert not [name for name in storage.names_in(run.states) if not name.endswith(".npz")]

    here = Run(str(tmp_path / "run"))
    train(config_in(data), here.folder)
    expected, found = read_arrays(here.weights), read_arrays(run.weights)
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert rows(run) == rows(here) and points(run) == points(here)

    assert main(["evaluate", run.folder, "--html", f"{STORE}/report.html"]) == 0
    assert "mask AP" in capsys.readouterr().out
    assert "<html" in read_text(f"{STORE}/report.html")
    assert mr.load(run.folder).config.class_names == ("circle", "square", "triangle")


def rows(run):
    """The history, but for how fast it was."""
    found = list(csv.DictReader(io.StringIO(read_text(run.history))))
    return [{k: v for k, v in row.items() if k != "images_per_second"} for row in found]


def points(run):
    """(step, tag) of what TensorBoard shows."""
    paths = [os.path.join(run.tensorboard, name) for name in storage.names_in(run.tensorboard)]
    events = (event for path in paths for event in events_in(path))
    return sorted((event.step, value.tag) for event in events for value in event.summary.value)


def test_shards_in_a_store_are_read_as_on_this_machine(data):
    near = load_tfrecord(f"{data}/records/train-*.tfrecord")
    far = load_tfrecord(f"{STORE}/data/records/train-*.tfrecord")
    assert far.class_names == near.class_names and len(far.records) == 4
    for one, other in zip(far.records, near.records):
        assert one.path.content == other.path.content
        np.testing.assert_array_equal(one.boxes, other.boxes)


def test_shards_are_written_into_a_store(data):
    far = f"{STORE}/data/train"
    write_tfrecord(f"{far}/instances.json", f"{far}/images", f"{STORE}/a/b", shards=2, workers=1)
    assert len(storage.names_in(f"{STORE}/a")) == 4
    for name in ("b-00000-of-00002.tfrecord", "b-00001-of-00002.tfrecord"):
        with storage.open_bytes(f"{STORE}/a/{name}") as file:
            here = Path(data, "records", name.replace("b-", "train-"))
            assert file.read() == here.read_bytes()


def test_a_set_in_a_store_is_checked_as_on_this_machine(data, capsys):
    found = []
    for folder in (data, f"{STORE}/data"):
        code = main(["check-data", f"{folder}/train/instances.json", f"{folder}/train/images"])
        found.append((code, capsys.readouterr().out.replace(folder, "")))
    assert found[0] == found[1] and "4 images" in found[0][1]


@pytest.mark.parametrize(
    "key, told",
    [
        ("train_json=ram://no/a.json", "There is no file 'ram://no/a.json', which data.train_json"),
        ("val_images=ram://no", "There is no folder 'ram://no', which data.val_images names"),
    ],
)
def test_data_that_are_not_in_the_store_are_told(data, key, told, capsys):
    save_config(config_in(f"{STORE}/data"), f"{STORE}/config.json")
    command = ["train", f"{STORE}/config.json", "--out", f"{STORE}/runs/b", "--set", f"data.{key}"]
    assert main(command) == 2
    assert told in capsys.readouterr().err


def test_an_image_that_is_not_in_the_store_is_told(data):
    tf.io.gfile.copy(f"{data}/train/instances.json", f"{STORE}/a.json", overwrite=True)
    with pytest.raises(InputError, match="image 3: the file .*/000003.png does not exist"):
        load_coco(f"{STORE}/a.json", f"{STORE}/data/val/images")
