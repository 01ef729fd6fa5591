import json
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.yaml_files import load_config
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model.ema import WeightAverage
from tfmaskrcnn.model.gradients import apply_gradients
from tfmaskrcnn.model.weights import named_weights, save_weights
from tfmaskrcnn.train import make_optimizer, state
from tfmaskrcnn.train.state import load_state, save_state

OVERRIDES = ["train.schedule={warmup_steps: 3, kind: cosine}", "train.clip_norm=1.0"]
CONFIG = load_config(None, OVERRIDES)
ADAMW = load_config(None, ["train.optimizer=adamw", "train.schedule.warmup_steps=3"])
PROGRESS = {"epoch": 3, "best": 0.25, "history": [{"loss": 1.5}]}


@compat.register
class Toy(keras.Model):
    """Two layers and a norm with statistics; `hidden` tells one model from another."""

    def __init__(self, hidden=4):
        super().__init__()
        self.first = keras.layers.Dense(hidden, activation="tanh")
        self.norm = keras.layers.BatchNormalization(momentum=0.9)
        self.last = keras.layers.Dense(1)
        self.first.build((None, 3))
        for layer in (self.norm, self.last):
            layer.build((None, hidden))
        self.built = True

    def call(self, x, training=None):
        return self.last(self.norm(self.first(x), training=training))


def compiled(config=CONFIG, seed=0, hidden=4, optimizer=None):
    keras.utils.set_random_seed(seed)
    model = Toy(hidden)
    model.compile(optimizer or make_optimizer(config.train, 10), jit_compile=False)
    compat.build_optimizer(model.optimizer, model.trainable_variables)
    return model


def train(model, steps):
    """Updates on batches 0, 1, ... of a fixed data set, as numbered by `steps`."""

    @tf.function
    def update(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(x, training=True) - y))
            loss = compat.scale_loss(model.optimizer, loss)
        variables = model.trainable_variables
        apply_gradients(model.optimizer, tape.gradient(loss, variables), variables)
        if getattr(model, "average", None):
            model.average.update()

    for step in steps:
        rng = np.random.default_rng(step)
        update(*(tf.constant(rng.normal(size=(8, n)), tf.float32) for n in (3, 1)))


def values(model):
    found = {name: np.asarray(v) for name, v in named_weights(model).items()}
    for i, variable in enumerate(compat.optimizer_variables(model.optimizer)):
        found[f"optimizer/{i}"] = np.asarray(variable)
    return found


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.fixture
def saved(tmp_path):
    """(path, values) of the state of a toy after four updates."""
    model = compiled()
    train(model, range(4))
    path = str(tmp_path / "state.npz")
    save_state(path, model, CONFIG, PROGRESS)
    return path, values(model)


def test_a_round_trip_restores_weights_statistics_optimizer_and_progress(saved):
    path, expected = saved
    model = compiled(seed=1)
    assert any((values(model)[name] != value).any() for name, value in expected.items())
    assert load_state(path, model, CONFIG) == PROGRESS
    assert_same(values(model), expected)
    assert int(np.asarray(model.optimizer.iterations)) == 4


@pytest.mark.parametrize("config", [CONFIG, ADAMW], ids=["sgd", "adamw"])
def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(config, tmp_path):
    whole = compiled(config)
    train(whole, range(8))
    first = compiled(config)
    train(first, range(5))
    path = str(tmp_path / "state.npz")
    save_state(path, first, config, {})
    resumed = compiled(config, seed=1)
    load_state(path, resumed, config)
    train(resumed, range(5, 8))
    assert_same(values(resumed), values(whole))


def test_the_loss_scale_is_part_of_the_state(tmp_path):
    wrapper = keras.optimizers if compat.KERAS3 else keras.mixed_precision

    def scaled(seed):
        inner = make_optimizer(CONFIG.train, 10)
        return compiled(seed=seed, optimizer=wrapper.LossScaleOptimizer(inner))

    model = scaled(0)
    train(model, range(3))
    infinite = [tf.fill(v.shape, np.inf) for v in model.trainable_variables]
    apply_gradients(model.optimizer, infinite, model.trainable_variables)
    path = str(tmp_path / "state.npz")
    save_state(path, model, CONFIG, {})
    copy = scaled(1)
    load_state(path, copy, CONFIG)
    assert float(compat.loss_scale(copy.optimizer)) == 2.0**14
    train(model, range(3, 5))
    train(copy, range(3, 5))
    assert_same(values(copy), values(model))


def test_the_average_of_the_weights_is_part_of_the_state(tmp_path):
    path = str(tmp_path / "state.npz")
    first, whole = averaged(0), averaged(0)
    train(whole, range(6))
    train(first, range(3))
    save_state(path, first, CONFIG, {})
    copy = averaged(1)
    load_state(path, copy, CONFIG)
    train(copy, range(3, 6))
    assert_same(values(copy), values(whole))
    found, expected = (m.average.variables() for m in (copy, whole))
    assert list(found) == list(expected) and int(found["steps"]) == 6
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def averaged(seed):
    model = compiled(seed=seed)
    model.average = WeightAverage(model, 0.9)
    return model


def test_a_state_without_an_average_is_refused_where_one_is_kept(saved):
    model = averaged(1)
    before = values(model)
    with pytest.raises(InputError, match="state.npz holds no average of the weights .train.ema"):
        load_state(saved[0], model, CONFIG)
    assert_same(values(model), before)


@pytest.mark.skipif(compat.KERAS3, reason="tensorflow-addons needs Keras 2")
@pytest.mark.parametrize("name", ["lamb", "novograd", "sgdw"])
@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_optimizers_of_tensorflow_addons_go_on_to_the_bit(tmp_path, name, precision):
    pytest.importorskip("tensorflow_addons")
    more = [f"train.optimizer={name}", f"train.precision={precision}"]
    config = load_config(None, [*OVERRIDES, *more])
    whole, first, resumed = (compiled(config, seed) for seed in (0, 0, 1))
    train(whole, range(5))
    train(first, range(3))
    path = str(tmp_path / "state.npz")
    save_state(path, first, config, {})
    load_state(path, resumed, config)
    train(resumed, range(3, 5))
    assert_same(values(resumed), values(whole))


def test_settings_of_the_evaluation_may_change_between_two_runs(saved):
    changes = ["evaluation.batch_size=8", "train.validation_loss=true"]
    config = load_config(None, [*OVERRIDES, *changes])
    assert load_state(saved[0], compiled(), config) == PROGRESS


@pytest.mark.parametrize(
    "change",
    [
        *("train.learning_rate=0.5", "data.max_instances=7", "model.num_classes=3"),
        "train={validation_loss: true, early_stop_on: loss}",  # which was the best, then?
    ],
)
def test_a_state_of_another_configuration_is_refused(saved, change):
    path, _ = saved
    model = compiled(seed=1)
    before = values(model)
    other = load_config(None, [*OVERRIDES, change])
    with pytest.raises(InputError, match="state.npz belongs to a run with another configuration"):
        load_state(path, model, other)
    assert_same(values(model), before)


def test_a_state_of_another_optimizer_is_refused(saved):
    model = compiled(ADAMW, seed=1)
    before = values(model)
    with pytest.raises(InputError, match="state.npz holds the state of another optimizer"):
        load_state(saved[0], model, CONFIG)
    assert_same(values(model), before)


def test_a_state_of_the_other_keras_is_refused(saved, monkeypatch):
    written = "3" if compat.KERAS3 else "2"
    monkeypatch.setattr(state.compat, "KERAS3", not compat.KERAS3)
    with pytest.raises(InputError, match=f"state.npz was written with Keras {written};"):
        load_state(saved[0], compiled(), CONFIG)


def test_a_state_of_another_network_is_refused(saved, tmp_path):
    path, _ = saved
    with pytest.raises(InputError, match="state.npz"):
        load_state(path, compiled(hidden=5), CONFIG)
    with np.load(path) as file:
        arrays = dict(file)
    about = json.loads(str(arrays.pop("about")))
    arrays["weights/late/kernel"] = arrays.pop("weights/last/kernel")
    about["checksum"] = state._checksum(arrays)
    arrays["about"] = np.array(json.dumps(about))
    np.savez(tmp_path / "renamed.npz", **arrays)
    model = compiled(seed=1)
    before = values(model)
    with pytest.raises(InputError, match="renamed.npz: .*1 missing .last/kernel.; 1 unexpected"):
        load_state(str(tmp_path / "renamed.npz"), model, CONFIG)
    assert_same(values(model), before)


def test_a_damaged_file_is_named_and_nothing_is_loaded(saved, tmp_path):
    path, _ = saved
    with open(path, "rb") as file:
        content = file.read()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 0xFF
    damaged = tmp_path / "damaged.npz"
    model = compiled(seed=1)
    before = values(model)
    for wrong in (b"", b"no zip file", content[: len(content) // 2], content[:-30], flipped):
        damaged.write_bytes(wrong)
        with pytest.raises(InputError, match="damaged.npz is damaged or is no"):
            load_state(str(damaged), model, CONFIG)
    assert_same(values(model), before)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="no .*nowhere.npz"):
        load_state(str(tmp_path / "nowhere.npz"), compiled(), CONFIG)


@pytest.mark.parametrize("about", [None, "not json", "[]", "{}", "3"])
def test_a_file_that_is_no_state_is_named(tmp_path, about):
    model = compiled()
    path = str(tmp_path / "weights.npz")
    if about is None:
        save_weights(model, path)
    else:
        np.savez(path, about=np.array(about))
    with pytest.raises(InputError, match="weights.npz is no training state of tfmaskrcnn"):
        load_state(path, model, CONFIG)


def test_a_failure_while_writing_leaves_the_former_state(saved, tmp_path, monkeypatch):
    path, expected = saved

    def broken(file, array, **options):
        file.write(b"half a file")
        raise OSError(28, "No space left on device")

    def refused(source, target):
        raise OSError(5, "Input/output error")

    for place, name, function in ((np.lib.format, "write_array", broken), (os, "replace", refused)):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, function)
            with pytest.raises(InputError, match="Cannot write .*state.npz"):
                save_state(path, compiled(seed=2), CONFIG, {"epoch": 4})
        assert [file.name for file in tmp_path.iterdir()] == ["state.npz"]
        model = compiled(seed=3)
        assert load_state(path, model, CONFIG) == PROGRESS
        assert_same(values(model), expected)


def test_the_default_configuration_has_a_fingerprint_of_its_own(tmp_path):
    model = compiled(Config())
    path = str(tmp_path / "state.npz")
    save_state(path, model, Config(), PROGRESS)
    assert load_state(path, compiled(Config(), seed=1), Config()) == PROGRESS
    with np.load(path) as file:
        assert json.loads(str(file["about"]))["progress"] == PROGRESS
    with pytest.raises(InputError, match="another configuration"):
        load_state(path, compiled(), CONFIG)
