"""Which state a run goes on from, and which files it keeps."""

import os

import keras
import numpy as np
import pytest

from tfmaskrcnn.config.yaml_files import load_config
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.train import make_optimizer
from tfmaskrcnn.train.saving import StateKeeper, states_in
from tfmaskrcnn.train.state import save_state

CONFIG, OTHER = load_config(None), load_config(None, ["train.learning_rate=0.5"])


def compiled(config=CONFIG):
    """One layer, and its optimizer."""
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(4)])
    model.compile(make_optimizer(config.train, 10), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    return model


def bias(model):
    return model.layers[-1].bias


@pytest.fixture
def kept(tmp_path):
    """A keeper of epochs of 3 steps, and its model, after two epochs."""
    keeper, model = StateKeeper(str(tmp_path / "run" / "states"), CONFIG, 3), compiled()
    keeper.set_model(model)
    keeper.completed(0)
    bias(model).assign([1.0] * 4)
    keeper.completed(1)
    return keeper, model


def names(keeper):
    return sorted(os.listdir(keeper._folder))


def test_the_last_few_states_are_kept_and_what_a_killed_save_left_is_not(kept, tmp_path):
    keeper, _ = kept
    assert names(keeper) == ["0000000004.npz", "0000000008.npz"]
    for folder in (tmp_path / "run" / "states", tmp_path / "run"):
        (folder / "0000000009.npz.77.tmp").write_bytes(b"half")
    keeper.completed(2)
    assert names(keeper) == ["0000000008.npz", "0000000012.npz"]
    assert os.listdir(tmp_path / "run") == ["states"]


@pytest.mark.parametrize("fault", ["cut off", "of another run"])
def test_a_state_that_does_not_serve_makes_way_for_the_one_before(kept, fault, caplog):
    keeper, _ = kept
    path = states_in(keeper._folder)[-1]
    if fault == "cut off":
        os.truncate(path, os.path.getsize(path) // 2)
    else:
        save_state(path, compiled(OTHER), OTHER, {"epoch": 2, "step": 0, "means": {}})
    fresh, model = StateKeeper(keeper._folder, CONFIG, 3), compiled()
    progress = fresh.restore(model)
    assert progress["epoch"] == 1 and fresh.start == (1, 0)
    assert np.asarray(bias(model)).max() == 0
    wanted = "is damaged" if fault == "cut off" else "belongs to a run with another configuration"
    assert f"0000000008.npz {wanted}" in caplog.text
    assert "The state before it is used." in caplog.text
    assert names(keeper) == ["0000000004.npz", "0000000008.npz.refused"]
    fresh.set_model(model)
    fresh.completed(1)
    assert names(keeper) == ["0000000004.npz", "0000000008.npz", "0000000008.npz.refused"]


def test_where_no_state_serves_all_are_left_as_they_are(kept, caplog):
    keeper, _ = kept
    with pytest.raises(InputError, match="0000000008.npz belongs to a run with another config"):
        StateKeeper(keeper._folder, OTHER, 3).restore(compiled(OTHER))
    for path in states_in(keeper._folder):
        os.truncate(path, 10)
    with pytest.raises(InputError, match="No state of the run can be read. .*8.npz is damaged"):
        StateKeeper(keeper._folder, CONFIG, 3).restore(compiled())
    assert names(keeper) == ["0000000004.npz", "0000000008.npz"] and not caplog.text
