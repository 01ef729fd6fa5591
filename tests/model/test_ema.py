import keras
import numpy as np
import pytest

from tfmaskrcnn.model.ema import WeightAverage
from tfmaskrcnn.model.weights import named_weights


def network():
    """A layer and a norm, whose statistics are averaged too."""
    model = keras.Sequential([keras.layers.Dense(2), keras.layers.BatchNormalization()])
    model.build((None, 3))
    return model


def values(model):
    return {name: v.numpy() for name, v in named_weights(model).items()}


def change(model, rng, names=None):
    for name, weight in named_weights(model).items():
        if names is None or name in names:
            weight.assign(rng.normal(size=weight.shape))


def test_the_average_by_hand():
    model, rng = network(), np.random.default_rng(0)
    average = WeightAverage(model, decay=0.3)
    expected = None
    for step in range(6):
        change(model, rng)
        decay = min(0.3, step / (step + 9))
        now = values(model)
        start = expected or now
        expected = {n: decay * start[n] + (1 - decay) * v for n, v in now.items()}
        average.update()
        for name, value in expected.items():
            np.testing.assert_allclose(average.averages[name].numpy(), value, atol=1e-6)
    assert int(average.steps) == 6 and decay == 0.3


def test_the_weights_before_the_first_update_leave_no_trace():
    model, rng = network(), np.random.default_rng(0)
    average = WeightAverage(model, 0.9998)
    change(model, rng)
    average.update()
    for name, value in values(model).items():
        np.testing.assert_array_equal(average.averages[name].numpy(), value)


def test_what_does_not_change_stays_as_it_is_to_the_bit():
    model, rng = network(), np.random.default_rng(0)
    change(model, rng)
    frozen = values(model)
    average = WeightAverage(model, 0.9)
    names = [name for name in frozen if "kernel" in name]
    for _ in range(20):
        change(model, rng, names)
        average.update()
    for name, value in frozen.items():
        same = (average.averages[name].numpy() == value).all()
        assert same == (name not in names), name


def test_the_averages_take_the_weights_place_for_a_while():
    model, rng = network(), np.random.default_rng(0)
    average = WeightAverage(model, 0.5)
    for _ in range(3):
        change(model, rng)
        average.update()
    before = values(model)
    with pytest.raises(KeyboardInterrupt), average.in_place():
        for name, value in values(model).items():
            np.testing.assert_array_equal(value, average.averages[name].numpy())
            assert (value != before[name]).any()
        raise KeyboardInterrupt
    for name, value in values(model).items():
        np.testing.assert_array_equal(value, before[name])


def test_an_average_of_nothing_replaces_nothing():
    model = network()
    average = WeightAverage(model, 0.5)
    change(model, np.random.default_rng(0))
    before = values(model)
    with average.in_place():
        for name, value in values(model).items():
            np.testing.assert_array_equal(value, before[name])


def test_keras_does_not_count_the_averages_among_the_weights():
    model = network()
    count = len(model.weights)
    model.average = WeightAverage(model, 0.5)
    assert len(model.weights) == count and set(named_weights(model)) == set(values(model))
