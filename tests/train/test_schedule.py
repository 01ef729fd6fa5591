import keras
import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.config.run import ScheduleConfig
from tfmaskrcnn.train.schedule import WarmupSchedule, make_schedule


def rates(schedule, *steps):
    return [float(schedule(step)) for step in steps]


def test_the_warm_up_rises_linearly_to_the_base():
    schedule = WarmupSchedule(0.02, warmup_steps=1000, warmup_factor=0.1)
    found = rates(schedule, 0, 500, 999, 1000, 5000)
    expected = [0.002, 0.011, 0.02 * (0.1 + 0.9 * 0.999), 0.02, 0.02]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_without_a_warm_up_the_first_update_has_the_base_rate():
    np.testing.assert_allclose(rates(WarmupSchedule(0.02, 0, 0.1), 0, 1, 10), 0.02, rtol=1e-6)


def test_each_boundary_multiplies_by_gamma():
    schedule = WarmupSchedule(1.0, boundaries=[10, 20], gamma=0.1)
    np.testing.assert_allclose(
        rates(schedule, 0, 9, 10, 19, 20, 1000), [1, 1, 0.1, 0.1, 0.01, 0.01], rtol=1e-6
    )


def test_the_cosine_begins_after_the_warm_up_and_ends_at_0():
    schedule = WarmupSchedule(1.0, 100, 0.0, cosine_steps=1000)
    found = rates(schedule, 50, 100, 350, 600, 850, 1100, 5000)
    quarter = np.cos(np.pi / 4) / 2
    expected = [0.5, 1.0, 0.5 + quarter, 0.5, 0.5 - quarter, 0.0, 0.0]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_after_the_warm_up_no_rate_rises_and_all_stay_in_bounds(seed):
    rng = np.random.default_rng(seed)
    total, warmup = int(rng.integers(50, 500)), int(rng.integers(0, 40))
    config = ScheduleConfig(kind=("steps", "cosine")[seed % 2], warmup_steps=warmup)
    base = float(rng.uniform(1e-4, 1.0))
    found = np.array(rates(make_schedule(config, base, total), *range(total)))
    assert (found >= 0).all() and (found <= base * (1 + 1e-6)).all()
    assert (np.diff(found[warmup:]) <= 1e-7).all() and found[-1] < 0.02 * base
    assert (np.diff(found[: min(warmup, total // 2)]) > 0).all()


def test_the_1x_schedule_drops_at_60000_and_80000_of_90000():
    schedule = make_schedule(ScheduleConfig(), 0.02, 90000)
    assert schedule.boundaries == [60000, 80000]
    found = rates(schedule, 0, 1000, 59999, 60000, 79999, 80000, 89999)
    expected = [0.02 * 0.001, 0.02, 0.02, 0.002, 0.002, 0.0002, 0.0002]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_cosine_of_a_run_ends_with_it():
    schedule = make_schedule(ScheduleConfig(kind="cosine", warmup_steps=100), 0.5, 1000)
    np.testing.assert_allclose(rates(schedule, 100, 550, 1000), [0.5, 0.25, 0.0], atol=1e-6)


def test_a_run_shorter_than_its_warm_up_still_has_rates():
    for kind in ("steps", "cosine", "constant"):
        schedule = make_schedule(ScheduleConfig(kind=kind, warmup_steps=100), 0.5, 10)
        assert np.isfinite(rates(schedule, 0, 9, 100)).all()


@pytest.mark.parametrize(
    "kind, total", [("constant", 1000), ("steps", None), ("cosine", None), ("constant", None)]
)
def test_without_an_end_the_rate_stays(kind, total):
    schedule = make_schedule(ScheduleConfig(kind=kind, warmup_steps=10), 0.5, total)
    np.testing.assert_allclose(rates(schedule, 10, 10**6), 0.5, rtol=1e-6)


def test_the_rate_is_float32_for_any_kind_of_step():
    schedule = WarmupSchedule(0.02, 10, 0.1, [20], cosine_steps=50)
    for step in (3, tf.constant(3), tf.constant(3, tf.int64), tf.Variable(3, dtype=tf.int64)):
        rate = schedule(step)
        assert rate.dtype == tf.float32 and rate.shape == []
        assert float(rate) == float(schedule(3))


def test_it_survives_keras_own_serialisation():
    schedule = WarmupSchedule(0.02, 10, 0.2, [20, 30], 0.5, 40)
    copy = WarmupSchedule.from_config(schedule.get_config())
    assert copy.get_config() == schedule.get_config()
    optimizer = keras.optimizers.SGD(schedule)
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    assert isinstance(again, WarmupSchedule)
    steps = (0, 5, 10, 25, 35, 60)
    assert rates(again, *steps) == rates(schedule, *steps)
    assert len(set(rates(schedule, *steps))) == 6
    copy.build([tf.Variable(1.0)])
    np.testing.assert_allclose(float(copy.learning_rate), rates(schedule, 0)[0], rtol=1e-6)


def test_an_optimizer_follows_it_update_by_update():
    schedule = WarmupSchedule(1.0, 2, 0.5, [3], 0.1)
    layer = keras.layers.Dense(1, use_bias=False)
    layer.build((None, 1))
    optimizer, found = keras.optimizers.SGD(schedule), []
    for _ in range(5):
        before = float(layer.get_weights()[0][0, 0])
        optimizer.apply_gradients([(tf.ones([1, 1]), layer.kernel)])
        found.append(before - float(layer.get_weights()[0][0, 0]))
    np.testing.assert_allclose(found, [0.5, 0.75, 1.0, 0.1, 0.1], rtol=1e-4)


def test_the_ramp_rises_by_equal_factors_to_the_rate():
    config = ScheduleConfig(kind="ramp", warmup_factor=1e-4)
    schedule = make_schedule(config, 1.0, 5)
    np.testing.assert_allclose(
        rates(schedule, 0, 1, 2, 3, 4, 9), [1e-4, 1e-3, 1e-2, 1e-1, 1, 1], rtol=1e-5
    )
    assert type(schedule).from_config(schedule.get_config())(1) == schedule(1)
