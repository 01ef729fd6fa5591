import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfmaskrcnn as mr
from helpers.one_stack import on_stack_b
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.config.yaml_files import load_config
from tfmaskrcnn.model.weights import named_weights
from tfmaskrcnn.support.files import DiskFull
from tfmaskrcnn.support.run_folder import Run
from tfmaskrcnn.train import loop, recorder, train
from tfmaskrcnn.train.first_weights import start_weights
from tfmaskrcnn.train.saving import StateKeeper, states_in
from tfmaskrcnn.train.tensorboard import events_in

AUGMENTED = (
    "data.augment={scale: [0.8, 1.2], quarter_turns: true, rotation: 20, copy_paste: 0.5}",
    "data.augment.hue=0.1",
    "train.ema=0.5",
    "data.repeat_threshold=1",
    "backbone.freeze_at=5",  # the graph of a step is made in half the time
)

pytestmark = [
    pytest.mark.usefixtures("eagerly"),  # one test has a graph of its own
    pytest.mark.filterwarnings("ignore:Even though the:UserWarning"),  # of tf.data
]


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    return tiny_data(folder / "train", seed=1), tiny_data(folder / "val", num_images=2, seed=2)


def config_for(sets, *overrides):
    (train_json, train_images), (val_json, val_images) = sets
    paths = [f"data.train_json={train_json}", f"data.train_images={train_images}"]
    paths += [f"data.val_json={val_json}", f"data.val_images={val_images}"]
    return tiny_config(*paths, *overrides)


def values(model):
    return {name: variable.numpy() for name, variable in named_weights(model).items()}


@pytest.fixture(scope="module")
def whole(eagerly, sets, tmp_path_factory):
    """(run, weights) of an uninterrupted run of two epochs."""
    run = Run(str(tmp_path_factory.mktemp("runs") / "whole"))
    model = train(config_for(sets, *AUGMENTED), run.folder)
    mr.save(model, run.folder + ".tfmaskrcnn")
    return run, values(model)


def test_a_run_leaves_all_that_is_promised(whole):
    run, _ = whole
    files = [run.config, run.origin, run.weights, run.history, run.curves, run.first_batch]
    files.append(run.trained_sizes)
    for path in files:
        assert os.path.getsize(path) > 0, path
    left = {os.path.join(run.folder, name) for name in os.listdir(run.folder)}
    assert left == {*files, run.states, run.tensorboard}
    with open(run.history, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert {"loss", "mask_loss", "val_mask_ap", "learning_rate"} <= set(rows[0])
    assert mr.load(run.folder).config.class_names == ("circle", "square", "triangle")


def test_what_is_returned_can_be_saved_with_its_settings(whole):
    run, returned = whole
    kept = load_config(run.folder + ".tfmaskrcnn")
    assert kept.train.epochs == 2 and kept.data.train_json is None
    assert kept.model.class_names == ("circle", "square", "triangle")
    for name, value in values(mr.load(run.folder + ".tfmaskrcnn")).items():
        np.testing.assert_array_equal(value, returned[name])


def test_with_an_average_that_is_what_a_run_keeps_and_returns(whole):
    run, returned = whole
    last = np.load(states_in(run.states)[-1])
    names = [name.split("/", 2)[2] for name in last.files if name.startswith("average/averages/")]
    assert sorted(names) == sorted(returned)
    kept = np.load(run.weights)
    for name in names:
        average = last[f"average/averages/{name}"]
        np.testing.assert_array_equal(returned[name], average, err_msg=name)
    name = "rpn/objectness/kernel"
    assert (last[f"weights/{name}"] != returned[name]).any()
    assert (kept[name] != last[f"weights/{name}"]).any()


@on_stack_b
def test_an_interrupted_run_goes_on_to_the_bit(sets, tmp_path):
    tf.config.run_functions_eagerly(False)
    # Without a val split, whose graphs take longer to make than all steps; the others have one.
    (train_json, train_images), _ = sets
    paths = f"data.train_json={train_json}", f"data.train_images={train_images}"
    config, run = tiny_config(*paths, *AUGMENTED), Run(str(tmp_path / "whole"))
    try:
        expected = values(train(config, run.folder))
        train(config, str(tmp_path / "parts"), epochs=1)
        resumed = train(config, str(tmp_path / "parts"), resume=True)
    finally:
        tf.config.run_functions_eagerly(True)
    for name, value in values(resumed).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
    with open(run.history, encoding="utf-8") as file:
        losses = [row["loss"] for row in csv.DictReader(file)]
    with open(Run(str(tmp_path / "parts")).history, encoding="utf-8") as file:
        assert [row["loss"] for row in csv.DictReader(file)] == losses


def points(folder):
    """(step, tag) -> value of what lies there for TensorBoard; each may be there once."""
    found = {}
    for name in sorted(os.listdir(folder)):
        for event in events_in(os.path.join(folder, name)):
            for value in event.summary.value:
                assert (event.step, value.tag) not in found
                found[event.step, value.tag] = value.simple_value
    return found


def test_tensorboard_gets_losses_ap_and_pictures_by_step(whole):
    found = points(whole[0].tensorboard)
    with open(whole[0].history, encoding="utf-8") as file:
        for row, step in zip(csv.DictReader(file), (2, 4)):
            assert found[step, "loss/total"] == pytest.approx(float(row["loss"]), rel=1e-5)
            assert found[step, "AP/box_ap"] == pytest.approx(float(row["val_box_ap"]))
            assert {(step, f"val/00000{i}.png") for i in (1, 2)} < set(found)
    tags = {"learning_rate", "images_per_second", "loss/rpn_box", "loss/mask", "AP/mask_ap50"}
    assert tags < {tag for _, tag in found}


class Killed(Exception):
    pass


@on_stack_b
@pytest.mark.parametrize("place", ["train", "evaluate", "record"])
def test_a_run_stopped_anywhere_in_an_epoch_goes_on_to_the_bit(
    sets, whole, tmp_path, place, monkeypatch
):
    config = config_for(sets, *AUGMENTED, "train.save_every=1")
    folder = str(tmp_path / "parts")

    def killed(*args, **kwargs):
        raise Killed

    def full(*args, **kwargs):
        raise DiskFull("weights.npz: the disk is full")

    class KilledInTraining(StateKeeper):
        def save(self, epoch, step):
            super().save(epoch, step)
            if (epoch, step) == (1, 1):
                raise Killed

    with monkeypatch.context() as patch:
        if place == "train":
            patch.setattr(loop, "StateKeeper", KilledInTraining)
        elif place == "evaluate":
            patch.setattr(mr.evaluation.CocoCallback, "evaluate", killed)
        else:
            patch.setattr(recorder, "save_weights", full)
        with pytest.raises((Killed, DiskFull)):
            train(config, folder)
    resumed = train(config, folder, resume=True)
    run, expected = whole
    for name, value in values(resumed).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
    assert Path(Run(folder).history).read_text() == Path(run.history).read_text()
    best, found = np.load(run.weights), np.load(Run(folder).weights)
    assert all((best[name] == found[name]).all() for name in best.files)
    written, expected = points(Run(folder).tensorboard), points(run.tensorboard)
    assert set(written) == set(expected)
    for key, value in expected.items():
        if key[1].startswith(("AP", "learning_rate")):
            assert written[key] == pytest.approx(value, rel=1e-5), key
    assert len(states_in(Run(folder).states)) == config.train.keep_states


@on_stack_b
def test_a_damaged_state_makes_way_for_the_one_before(sets, whole, tmp_path, caplog):
    folder = str(tmp_path / "run")
    train(config_for(sets, *AUGMENTED), folder, epochs=1)
    older, newest = states_in(Run(folder).states)
    with open(newest, "r+b") as file:
        file.truncate(1000)
    with caplog.at_level("WARNING"):
        resumed = train(config_for(sets, *AUGMENTED), folder, resume=True)
    assert f"{newest} is damaged" in caplog.text and "The state before it is used" in caplog.text
    for name, value in values(resumed).items():
        np.testing.assert_array_equal(value, whole[1][name], err_msg=name)
    for path in states_in(Run(folder).states):
        with open(path, "wb"):
            pass
    with pytest.raises(mr.InputError, match="No state of the run can be read"):
        train(config_for(sets, *AUGMENTED), folder, resume=True)


@on_stack_b
def test_a_run_stopped_before_its_first_state_begins_anew(sets, tmp_path, monkeypatch):
    config, folder = config_for(sets, "train.epochs=1"), str(tmp_path / "run")

    def killed(*args, **kwargs):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(loop, "_fit", killed)
        with pytest.raises(Killed):
            train(config, folder)
    train(config, folder, resume=True)
    assert os.path.exists(Run(folder).weights)


@on_stack_b
def test_so_does_one_stopped_between_its_first_weights_and_its_first_state(
    sets, tmp_path, monkeypatch
):
    config, folder = config_for(sets, "train.epochs=1", "data.val_json=null"), tmp_path / "run"

    def killed(*args, **kwargs):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(StateKeeper, "save", killed)
        with pytest.raises(Killed):
            train(config, str(folder))
    run = Run(str(folder))
    assert os.path.exists(run.weights) and not states_in(run.states)
    train(config, run.folder, resume=True)
    assert states_in(run.states)


def test_a_run_says_once_what_its_settings_make_of_the_data(sets, tmp_path, monkeypatch, caplog):
    def killed(*args, **kwargs):
        raise Killed

    monkeypatch.setattr(loop, "_fit", killed)
    config = config_for(sets, "data.repeat_threshold=1", "data.max_instances=2")
    with caplog.at_level("INFO"), pytest.raises(Killed):
        train(config, str(tmp_path / "run"))
    for words in ("more than data.max_instances=2 objects", "data.repeat_threshold=1: an epoch"):
        assert caplog.text.count(words) == 1, caplog.text
    assert os.path.exists(Run(str(tmp_path / "run")).first_batch)


def test_a_folder_with_a_run_is_neither_overwritten_nor_resumed_by_accident(sets, whole, tmp_path):
    run, _ = whole
    with pytest.raises(mr.InputError, match="already holds a run"):
        train(config_for(sets), run.folder)
    changed = "another configuration: .*train.learning_rate was 0.02 and is 0.5"
    with pytest.raises(mr.InputError, match=changed):
        train(config_for(sets, *AUGMENTED, "train.learning_rate=0.5"), run.folder, resume=True)


@on_stack_b
def test_a_run_starts_from_another_and_stops_early_when_ap_no_longer_improves(
    sets, whole, tmp_path
):
    run, _ = whole
    start = f"train.weights={run.folder}"
    rate = ("train.learning_rate=1e-9", "train.early_stop=1", "train.epochs=6")
    again = values(train(config_for(sets, start, *rate), str(tmp_path / "run")))
    expected = values(mr.load(run.folder))
    for name in ("mask_head/logits/kernel", "backbone/res2/0/conv1/kernel"):
        np.testing.assert_allclose(again[name], expected[name], atol=1e-6)
    with open(Run(str(tmp_path / "run")).history, encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 2


def test_a_start_with_other_classes_leaves_the_predictors_at_random(sets, whole):
    run, _ = whole
    config = config_for(sets, f"train.weights={run.folder}", "model.class_names=[a, b, c]")
    model = mr.MaskRCNN(config.model)
    before = values(model)
    start_weights(model, config)
    expected, found = values(mr.load(run.folder)), values(model)
    name = "mask_head/logits/kernel"
    np.testing.assert_array_equal(found[name], before[name])
    name = "mask_head/convs/0/kernel"
    np.testing.assert_array_equal(found[name], expected[name])


def test_missing_paths_are_named(tmp_path):
    with pytest.raises(mr.InputError, match="data.train_json is not set"):
        train(tiny_config(), str(tmp_path / "run"))
    with pytest.raises(mr.InputError, match="There is no run folder"):
        mr.load(str(tmp_path / "nothing"))


def test_a_validation_loss_wants_a_val_split(tmp_path):
    with pytest.raises(mr.InputError, match="early_stop_on is loss, which needs validation_loss"):
        tiny_config("train.early_stop_on=loss")
    config = tiny_config("train={validation_loss: true, early_stop_on: loss}")
    with pytest.raises(mr.InputError, match="no val split .* set data.val_json"):
        train(config, str(tmp_path / "run"))


def test_a_wrong_number_of_classes_names_both(sets, tmp_path):
    with pytest.raises(mr.InputError, match="3 categories .*num_classes is 7"):
        train(config_for(sets, "model.num_classes=7"), str(tmp_path / "run"))


@on_stack_b
@pytest.mark.slow
def test_a_run_on_boxes_alone_keeps_the_best_weights_by_box_ap(sets, tmp_path, caplog):
    paths = []
    for name, (json_path, _) in zip(("train", "val"), sets):
        with open(json_path, encoding="utf-8") as file:
            coco = json.load(file)
        for entry in coco["annotations"]:
            del entry["segmentation"]
        (tmp_path / f"{name}.json").write_text(json.dumps(coco))
        paths.append(f"data.{name}_json={tmp_path / name}.json")
    config = config_for(sets, *AUGMENTED, *paths, "data.augment.crop=[64, 96]")
    with pytest.raises(mr.InputError, match="mask_head.enabled=false"):
        train(config, str(tmp_path / "masks"))
    overrides = ("mask_head.enabled=false", "train.epochs=6", "train.early_stop=2")
    overrides += ("data.augment.copy_paste=0",)  # it moves masks
    config = config_for(sets, *AUGMENTED, *paths, "data.augment.crop=[64, 96]", *overrides)
    run = Run(str(tmp_path / "boxes"))
    with caplog.at_level("INFO"):
        train(config, run.folder)
    with open(run.history, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert not any("mask" in name for name in rows[0])
    aps = [float(row["val_box_ap"]) for row in rows]
    best = f"epoch {np.argmax(aps) + 1}/6"
    marked = [line for line in caplog.messages if "(best)" in line]
    assert best in marked[-1] and "box AP" in marked[-1] and "mask" not in marked[-1]
    assert len(rows) == 6 or f"No better box AP since epoch {np.argmax(aps) + 1}" in caplog.text
    found = mr.load(run.folder).predict_images([np.zeros((96, 128, 3), np.uint8)], 0.0)[0]
    assert len(found) > 0 and not found.has_masks
