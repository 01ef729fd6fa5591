import json
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.yaml_files import load_config, save_config
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model.ema import WeightAverage
from tfmaskrcnn.model.gradients import apply_gradients
from tfmaskrcnn.model.weights import named_weights, save_weights
from tfmaskrcnn.train import make_optimizer, state
from tfmaskrcnn.train.state import load_state, save_state

OVERRIDES = ["train.schedule={warmup_steps: 3, kind: cosine}", "train.clip_norm=1.0"]
CONFIG = load_config(None, OVERRIDES)
ADAMW = load_config(None, ["train.optimizer=adamw", "train.schedule.warmup_steps=3"])
BEGUN = {"epoch": 0, "step": 0, "means": {}}
PROGRESS = {
    **{"epoch": 3, "step": 2, "means": {"loss": [1.5, 2.0]}},
    **{"best": 0.25, "best_epoch": 2, "stopped": False, "history": [{"loss": 1.5}]},
}


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
    save_state(path, first, config, BEGUN)
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
    save_state(path, model, CONFIG, BEGUN)
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
    save_state(path, first, CONFIG, BEGUN)
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
    save_state(path, first, config, BEGUN)
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
    sealed(tmp_path / "renamed.npz", about, arrays)
    model = compiled(seed=1)
    before = values(model)
    with pytest.raises(InputError, match="renamed.npz: .*1 missing .last/kernel.; 1 unexpected"):
        load_state(str(tmp_path / "renamed.npz"), model, CONFIG)
    assert_same(values(model), before)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """(about, arrays) of a state as they are in the file; not to be changed."""
    path = str(tmp_path_factory.mktemp("state") / "state.npz")
    save_state(path, compiled(), CONFIG, PROGRESS)
    with np.load(path) as file:
        arrays = dict(file)
    return json.loads(str(arrays.pop("about"))), arrays


@pytest.fixture
def taken_apart(parts):
    """A copy of `parts` that may be changed."""
    return json.loads(json.dumps(parts[0])), dict(parts[1])


def sealed(path, about, arrays):
    """Write a state of these parts, with the checksums that they have."""
    about = {**about, "checksum": state._checksum(arrays)}
    about.pop("about_checksum", None)
    about["about_checksum"] = state._digest(about)
    np.savez(path, **arrays, about=np.array(json.dumps(about)))
    return str(path)


def test_the_progress_is_part_of_what_the_checksum_covers(taken_apart, tmp_path):
    about, arrays = taken_apart
    about["progress"]["epoch"] = 2
    path = str(tmp_path / "changed.npz")
    np.savez(path, **arrays, about=np.array(json.dumps(about)))
    with pytest.raises(state.DamagedState, match="changed.npz is damaged: its checksum is another"):
        state.read_state(path, CONFIG)


def test_a_state_of_before_its_progress_had_a_checksum_is_taken(taken_apart, tmp_path):
    about, arrays = taken_apart
    del about["about_checksum"]
    path = str(tmp_path / "older.npz")
    np.savez(path, **arrays, about=np.array(json.dumps(about)))
    assert state.read_state(path, CONFIG)[1] == PROGRESS


@pytest.mark.parametrize(
    "key, value",
    [
        *(("epoch", value) for value in (-1, 2**40, 10**400, 1.5, "3", True, None, float("nan"))),
        *(("step", value) for value in (-1, 2**31, [], {})),
        *(("means", value) for value in ([], {"loss": 3}, {"loss": [1.0]}, {"loss": [1.0, "a"]})),
        *(("means", {"loss": [value, 1.0]}) for value in (float("nan"), float("inf"), 10**400)),
        *(("best", value) for value in ("a", [1], 10**400)),
        *(("best_epoch", value) for value in (9, -1, "1", 0.5)),
        *(("stopped", value) for value in (1, None, "no")),
        *(("history", value) for value in ({}, [1], [{"loss": "a"}], [{"\ud800": 1.0}], [{}] * 9)),
    ],
)
def test_a_progress_that_no_run_has_is_damage(taken_apart, tmp_path, key, value):
    about, arrays = taken_apart
    about["progress"][key] = value
    path = sealed(tmp_path / "crafted.npz", about, arrays)
    with pytest.raises(state.DamagedState, match=r"crafted.npz is damaged: its ") as caught:
        state.read_state(path, CONFIG)
    assert len(str(caught.value)) < 300 + len(path) and str(caught.value).encode()


@pytest.mark.parametrize("key", ["epoch", "step", "means", "best", "stopped"])
def test_a_progress_that_lacks_something_is_damage(taken_apart, tmp_path, key):
    about, arrays = taken_apart
    del about["progress"][key]
    path = sealed(tmp_path / "crafted.npz", about, arrays)
    with pytest.raises(state.DamagedState, match=f"its progress has no {key}"):
        state.read_state(path, CONFIG)


@pytest.mark.parametrize("about", ["[" * 100_000, "9" * 5000, '{"checksum": {}}', '"text"'])
def test_what_a_state_says_of_itself_may_be_anything(tmp_path, about):
    np.savez(tmp_path / "odd.npz", about=np.array(about))
    with pytest.raises(state.DamagedState, match="odd.npz is no training state"):
        state.read_state(str(tmp_path / "odd.npz"), CONFIG)


def other_type(arrays):
    arrays["optimizer/1"] = arrays["optimizer/1"].astype(np.float16)


def other_number(arrays):
    arrays["optimizer/x"] = arrays.pop("optimizer/1")


def no_folder(arrays):
    arrays["kernel"] = arrays.pop("weights/last/kernel")


@pytest.mark.parametrize("change", [other_type, other_number, no_folder])
def test_arrays_that_do_not_fit_the_run_are_refused_and_nothing_is_loaded(
    taken_apart, tmp_path, change
):
    about, arrays = taken_apart
    change(arrays)
    path, model = sealed(tmp_path / "crafted.npz", about, arrays), compiled(seed=1)
    before = values(model)
    with pytest.raises(InputError, match="crafted.npz"):
        load_state(path, model, CONFIG)
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
                save_state(path, compiled(seed=2), CONFIG, {**BEGUN, "epoch": 4})
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


@pytest.fixture
def older(taken_apart, tmp_path):
    """The path of a state as it was before it kept its settings, in the folder of a run."""
    about, arrays = taken_apart
    about = {key: value for key, value in about.items() if key not in ("settings", "content")}
    path = tmp_path / "run" / "states" / "0000000001.npz"
    path.parent.mkdir(parents=True)
    sealed(path, about, arrays)
    return path


def test_an_older_state_goes_on_with_the_same_settings(older):
    assert load_state(str(older), compiled(), CONFIG, {"train": "x"}) == PROGRESS


def test_what_differs_from_an_older_state_is_told_by_the_configuration_beside_it(older):
    other = load_config(None, [*OVERRIDES, "train.learning_rate=0.5"])
    with pytest.raises(InputError, match="model, data or train differ.; resume it with the config"):
        load_state(str(older), compiled(), other)
    config = older.parent.parent / "config.json"
    save_config(load_config(None, ["train.seed=3"]), str(config))  # of another run
    with pytest.raises(InputError, match="model, data or train differ"):
        load_state(str(older), compiled(), other)
    save_config(CONFIG, str(config))
    with pytest.raises(InputError, match="train.learning_rate was 0.02 and is 0.5. Give"):
        load_state(str(older), compiled(), other)
    longer = load_config(None, [*OVERRIDES, "train.epochs=99"])
    assert load_state(str(older), compiled(), longer) == PROGRESS


def test_data_of_an_older_state_cannot_have_moved(older):
    save_config(CONFIG, str(older.parent.parent / "config.json"))
    moved = load_config(None, [*OVERRIDES, "data.train_json=there.json"])
    with pytest.raises(InputError, match="data.train_json was None and is 'there.json'"):
        load_state(str(older), compiled(), moved, {"train": "x"})


@pytest.mark.parametrize("wrong", [{"settings": 3}, {"content": []}, {"settings": "text"}])
def test_settings_that_are_none_are_damage(taken_apart, tmp_path, wrong):
    about, arrays = taken_apart
    sealed(tmp_path / "state.npz", {**about, **wrong}, arrays)
    with pytest.raises(InputError, match="is no training state of tfmaskrcnn"):
        load_state(str(tmp_path / "state.npz"), compiled(), CONFIG)
