import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.config.run import ScheduleConfig, TrainConfig
from tfmaskrcnn.model.gradients import GradientRules, apply_gradients, rules_of
from tfmaskrcnn.train import make_optimizer
from tfmaskrcnn.train.gradient_momentum import GradientMomentum
from tfmaskrcnn.train.schedule import WarmupSchedule

CONSTANT = ScheduleConfig(kind="constant", warmup_steps=0)


def net():
    """Trainable variables of a convolution and a norm, all ones, by short name."""
    found = {}
    for layer in (keras.layers.Conv2D(1, 1), keras.layers.BatchNormalization()):
        layer.build((None, 2, 2, 1))
        layer.set_weights([np.ones(w.shape) for w in layer.get_weights()])
        for variable in layer.trainable_variables:
            found[variable.name.split("/")[-1].split(":")[0]] = variable
    return found


def after_steps(optimizer, gradient, steps=1):
    """The values of `net` after updates with the same gradient everywhere."""
    variables = net()
    optimizer.build(list(variables.values()))
    for _ in range(steps):
        gradients = [gradient * tf.ones(v.shape) for v in variables.values()]
        apply_gradients(optimizer, gradients, list(variables.values()))
    return {name: float(np.asarray(v).ravel()[0]) for name, v in variables.items()}


def rate_of(optimizer, step):
    if not compat.follows_schedule(optimizer):
        return compat.learning_rate(optimizer)
    schedule = getattr(optimizer, "_learning_rate", None)  # the schedule itself on both versions
    assert isinstance(schedule, WarmupSchedule)
    return float(schedule(step))


def test_sgd_has_momentum_and_the_papers_l2():
    config = TrainConfig(learning_rate=0.1, momentum=0.5, weight_decay=0.2, schedule=CONSTANT)
    optimizer = make_optimizer(config, 10)
    assert isinstance(optimizer, keras.optimizers.SGD)
    assert rules_of(optimizer) == GradientRules(0.2, None)
    found = after_steps(optimizer, 1.0, steps=2)
    # Kernel: gradient 1.2, then 1 + 0.2 * 0.88 = 1.176 and half of the former step.
    assert found["kernel"] == pytest.approx(1 - 0.12 - (0.06 + 0.1176), rel=1e-5)
    for name in ("bias", "gamma", "beta"):
        assert found[name] == pytest.approx(1 - 0.1 - 0.15, rel=1e-5)


def test_momentum_of_gradients_is_pytorchs_and_at_a_constant_rate_keras_too():
    settings = {"learning_rate": 0.4, "momentum": 0.5, "weight_decay": 0}
    warm = ScheduleConfig(kind="constant", warmup_steps=2, warmup_factor=0.0)
    found = after_steps(
        make_optimizer(TrainConfig(**settings, momentum_of="pytorch", schedule=warm), 10),
        1.0,
        steps=3,
    )
    # Rates 0, 0.2 and 0.4; the sums of gradients are 1, 1.5 and 1.75.
    for value in found.values():
        assert value == pytest.approx(1 - 0.2 * 1.5 - 0.4 * 1.75, rel=1e-5)
    steps = [settings, {**settings, "momentum_of": "pytorch"}]
    first, second = (make_optimizer(TrainConfig(**s, schedule=CONSTANT), 10) for s in steps)
    assert type(first) is keras.optimizers.SGD and type(second) is GradientMomentum
    assert after_steps(first, 1.0, 3) == pytest.approx(after_steps(second, 1.0, 3), rel=1e-6)


def test_momentum_of_gradients_survives_saving_and_is_plain_descent_without_any():
    config = TrainConfig(
        learning_rate=0.5, momentum=0, weight_decay=0, momentum_of="pytorch", schedule=CONSTANT
    )
    optimizer = make_optimizer(config, 10)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(again) is GradientMomentum
    assert after_steps(again, 1.0, 2)["bias"] == pytest.approx(0.0, abs=1e-6)


def test_clipping_rides_on_the_optimizer():
    config = TrainConfig(
        learning_rate=1.0, momentum=0, weight_decay=0, clip_norm=0.5, schedule=CONSTANT
    )
    found = after_steps(make_optimizer(config, 10), 10.0)
    for value in found.values():  # four gradients of norm 20
        assert value == pytest.approx(1 - 0.25, rel=1e-5)


def test_adamw_decays_kernels_alone_and_leaves_l2_out():
    config = TrainConfig(
        optimizer="adamw", learning_rate=0.1, weight_decay=0.3, clip_norm=7.0, schedule=CONSTANT
    )
    optimizer = make_optimizer(config, 10)
    assert isinstance(optimizer, keras.optimizers.AdamW)
    assert rules_of(optimizer) == GradientRules(0.0, 7.0)
    found = after_steps(optimizer, 0.0)
    assert found["kernel"] == pytest.approx(1 - 0.1 * 0.3, rel=1e-5)
    assert found["bias"] == found["gamma"] == found["beta"] == 1.0


def test_adamw_without_weight_decay_is_adam():
    config = TrainConfig(optimizer="adamw", learning_rate=0.1, weight_decay=0, schedule=CONSTANT)
    found = after_steps(make_optimizer(config, 10), 2.0)
    for value in found.values():
        assert value == pytest.approx(0.9, abs=1e-4)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_the_schedule_knows_the_length_of_the_run(name, caplog):
    config = TrainConfig(optimizer=name, epochs=9, learning_rate=0.5)
    with caplog.at_level(logging.WARNING):
        optimizer = make_optimizer(config, steps_per_epoch=10000)
    assert not caplog.records
    found = [rate_of(optimizer, step) for step in (0, 59999, 60000, 80000)]
    np.testing.assert_allclose(found, [0.0005, 0.5, 0.05, 0.005], rtol=1e-5)


@pytest.mark.parametrize("kind", ["steps", "cosine"])
def test_without_the_length_it_warns_and_stays_constant(kind, caplog):
    config = TrainConfig(learning_rate=0.5, schedule=ScheduleConfig(kind=kind, warmup_steps=5))
    with caplog.at_level(logging.WARNING):
        optimizer = make_optimizer(config)
    (record,) = caplog.records
    assert "steps_per_epoch=len(dataset)" in record.message and kind in record.message
    assert rate_of(optimizer, 5) == rate_of(optimizer, 10**6) == 0.5


def test_a_constant_schedule_needs_no_length(caplog):
    with caplog.at_level(logging.WARNING):
        optimizer = make_optimizer(TrainConfig(learning_rate=0.5, schedule=CONSTANT))
    assert not caplog.records and rate_of(optimizer, 10**6) == 0.5


def test_the_rate_is_linear_in_the_batch():
    config = TrainConfig(learning_rate=0.5, reference_batch=16, batch_size=4, schedule=CONSTANT)
    assert rate_of(make_optimizer(config, 10), 0) == pytest.approx(0.125)
    config = TrainConfig(learning_rate=0.5, batch_size=4, schedule=CONSTANT)
    assert rate_of(make_optimizer(config, 10), 0) == pytest.approx(0.5)


def test_float16_alone_brings_loss_scaling():
    for precision, scale in (("mixed_float16", 2.0**15), ("mixed_bfloat16", 1.0)):
        config = TrainConfig(precision=precision, clip_norm=2.0, weight_decay=0.1)
        optimizer = make_optimizer(config, 10)
        assert float(compat.loss_scale(optimizer)) == scale
        assert rules_of(optimizer) == GradientRules(0.1, 2.0)


def test_rates_ride_on_the_optimizer():
    config = TrainConfig(rates={"backbone": 0.1}, optimizer="adamw")
    assert rules_of(make_optimizer(config, 10)).rates == {"backbone": 0.1}
