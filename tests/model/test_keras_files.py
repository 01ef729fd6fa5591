"""What Keras writes of a model, and what is left of it when it is read again."""

import os

import keras
import numpy as np
import pytest

import tfmaskrcnn as mr
from helpers.line import BATCH, Line
from helpers.tiny import tiny_config
from tfmaskrcnn import compat
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model.gradients import GradientRules, rules_of, set_rules
from tfmaskrcnn.support.keras_names import introducing
from tfmaskrcnn.train import make_optimizer
from tfmaskrcnn.train.schedule import WarmupSchedule

SMALL = ("backbone={name: resnet18, norm: frozen_bn, freeze_at: 5}",)


def made(*overrides, seed=0):
    keras.utils.set_random_seed(seed)
    return mr.MaskRCNN(tiny_config(*SMALL, *overrides))


@pytest.fixture(scope="module")
def model():
    return made()


def values(model):
    return {name: v.numpy() for name, v in mr.weights.named_weights(model).items()}


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.parametrize("name", ["x.npz", "x.weights.h5", "x.h5"])
def test_weights_are_read_as_they_were_written(model, tmp_path, name):
    path = str(tmp_path / name)
    if compat.KERAS3 and name == "x.h5":
        with pytest.raises(ValueError, match=r"must end in `\.weights\.h5`"):
            model.save_weights(path)
        return
    model.save_weights(path)
    other = made(seed=1)
    other.load_weights(path)
    assert_same(values(other), values(model))


@pytest.mark.skipif(compat.KERAS3, reason="Keras 3 has paths instead")
def test_no_two_weights_have_one_name(model):
    names = [v.name for v in mr.weights.named_weights(model).values()]
    assert len(set(names)) == len(names) and "backbone/res2/0/conv1/kernel:0" in names
    with compat.precision("float16"):
        other = made()
    assert [v.name for v in mr.weights.named_weights(other).values()] == names


@pytest.mark.skipif(compat.KERAS3, reason="Keras 3 writes no such file")
def test_what_fits_of_a_model_of_other_classes_is_read_by_name(model, tmp_path):
    path = str(tmp_path / "x.h5")
    model.save_weights(path)
    other = made("model.num_classes=5", seed=1)
    other.load_weights(path, by_name=True, skip_mismatch=True)
    assert_same(values(other.backbone), values(model.backbone))


@pytest.mark.parametrize("name", ["x.h5", "x.weights.h5", "folder"])
def test_a_whole_model_goes_to_a_keras_file_alone(model, tmp_path, name):
    with pytest.raises(InputError, match=r"saved to a .keras file; .*mr.export_saved_model"):
        model.save(str(tmp_path / name))
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("name", ["x.npz", "x.weights.h5"])
def test_weights_of_another_model_are_told_in_a_sentence(tmp_path, name):
    path = str(tmp_path / name)
    Line().save_weights(path)
    with pytest.raises(InputError, match=f"{name} does not fit the model"):
        Line(units=2).load_weights(path)


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_a_loaded_model_trains_on_as_if_it_had_never_been_saved(tmp_path, name):
    model = Line()
    rate = WarmupSchedule(0.1, warmup_steps=3, cosine_steps=9)
    optimizer = getattr(keras.optimizers, name)(rate, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    set_rules(optimizer, GradientRules(0.01, 0.5, {"dense/bias": 0.5}))
    model.compile(optimizer, accumulate=2, ema=0.9, run_eagerly=True, steps_per_execution=1)
    model.train_on_batch(BATCH)
    path = str(tmp_path / "x.keras")
    model.save(path)
    again = keras.models.load_model(path)
    assert rules_of(again.optimizer) == rules_of(model.optimizer)
    assert again.get_compile_config() == model.get_compile_config() and again.run_eagerly
    for each in (model, again):
        each.train_on_batch(BATCH)
    assert_same(values(again), values(model))
    averages = [each.average.variables() for each in (again, model)]
    assert_same(*({n: v.numpy() for n, v in each.items()} for each in averages))
    assert int(again.average.steps) == 2
    Line().load_weights(path)  # without an average there is no place for one


def copied(model):
    """What a `.keras` file says of a model, made again without its weights."""
    return keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model))


def test_a_model_that_was_not_compiled_is_not_compiled_when_it_is_loaded(model, tmp_path):
    model.save(str(tmp_path / "x.keras"))
    again = keras.models.load_model(str(tmp_path / "x.keras"))
    assert getattr(again, "optimizer", None) is None
    assert_same(values(again), values(model))


def test_precision_and_loss_scaling_are_part_of_the_file():
    model = made("train.precision=mixed_float16")
    model.compile(make_optimizer(tiny_config("train.rates={backbone: 0.5}").train, 10))
    again = copied(model)
    assert again.backbone.compute_dtype == again.mask_head.compute_dtype == "float16"
    assert again.compute_dtype == "float32" and compat.scales_loss(again.optimizer)
    assert rules_of(again.optimizer) == rules_of(model.optimizer)
    assert rules_of(again.optimizer).rates == {"backbone": 0.5}


def test_a_process_that_has_only_imported_the_package_opens_a_file(monkeypatch):
    model = made()
    model.compile(make_optimizer(tiny_config("train.schedule.warmup_steps=3").train, 10))
    known = keras.saving.get_custom_objects()
    for name in [name for name in known if name.startswith("tfmaskrcnn>")]:
        monkeypatch.delitem(known, name)
    introducing(mr._IN_FILES)(lambda: None)  # as it does when Keras is imported
    again = copied(model)
    assert isinstance(again, mr.MaskRCNN)
    assert isinstance(again.optimizer._learning_rate, WarmupSchedule)


def test_a_rate_that_a_callback_has_set_is_kept():
    model = Line()
    model.compile(keras.optimizers.SGD(0.5))
    model.optimizer.learning_rate = 0.125
    assert compat.learning_rate(copied(model).optimizer) == 0.125
