import csv
import os

import numpy as np
import pytest
from tiny import tiny_config, tiny_data

import tfmaskrcnn as mr
from tfmaskrcnn.train import Run, train
from tfmaskrcnn.train.loop import start_weights
from tfmaskrcnn.weights import named_weights

AUGMENTED = ("data.augment.scale=[0.8, 1.2]", "data.augment.quarter_turns=true")


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
def whole(sets, tmp_path_factory):
    """(run, weights) of an uninterrupted run of two epochs."""
    run = Run(str(tmp_path_factory.mktemp("runs") / "whole"))
    model = train(config_for(sets, *AUGMENTED), run.folder, verbose=0)
    return run, values(model)


def test_a_run_leaves_all_that_is_promised(whole):
    run, _ = whole
    for path in (run.config, run.weights, run.state, run.history, run.curves):
        assert os.path.getsize(path) > 0, path
    assert sorted(os.listdir(run.folder)) == sorted(
        ["config.json", "weights.npz", "state.npz", "history.csv", "curves.png"]
    )
    with open(run.history, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert {"loss", "mask_loss", "val_mask_ap", "learning_rate"} <= set(rows[0])
    assert mr.load(run.folder).config.class_names == ("circle", "square", "triangle")


def test_an_interrupted_run_goes_on_to_the_bit(sets, whole, tmp_path):
    config = config_for(sets, *AUGMENTED)
    train(config, str(tmp_path / "parts"), verbose=0, epochs=1)
    resumed = train(config, str(tmp_path / "parts"), resume=True, verbose=0)
    run, expected = whole
    for name, value in values(resumed).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
    with open(run.history, encoding="utf-8") as file:
        losses = [row["loss"] for row in csv.DictReader(file)]
    with open(Run(str(tmp_path / "parts")).history, encoding="utf-8") as file:
        assert [row["loss"] for row in csv.DictReader(file)] == losses


def test_a_folder_with_a_run_is_neither_overwritten_nor_resumed_by_accident(sets, whole, tmp_path):
    run, _ = whole
    with pytest.raises(mr.InputError, match="no training state"):
        train(config_for(sets), str(tmp_path / "run"), resume=True)
    with pytest.raises(mr.InputError, match="already holds a run"):
        train(config_for(sets), run.folder)
    with pytest.raises(mr.InputError, match="another configuration"):
        train(config_for(sets, "train.learning_rate=0.5"), run.folder, resume=True)


def test_a_run_starts_from_another_and_stops_early_when_ap_no_longer_improves(
    sets, whole, tmp_path
):
    run, _ = whole
    start = f"train.weights={run.folder}"
    rate = ("train.learning_rate=1e-9", "train.early_stop=1", "train.epochs=6")
    again = values(train(config_for(sets, start, *rate), str(tmp_path / "run"), verbose=0))
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


def test_a_wrong_number_of_classes_names_both(sets, tmp_path):
    with pytest.raises(mr.InputError, match="3 categories .*num_classes is 7"):
        train(config_for(sets, "model.num_classes=7"), str(tmp_path / "run"))
