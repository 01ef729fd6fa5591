import builtins

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.config.run import ScheduleConfig, TrainConfig
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model.gradients import apply_gradients
from tfmaskrcnn.train import make_optimizer
from tfmaskrcnn.train.addons import ADDONS

try:
    import tensorflow_addons  # noqa: F401
except ImportError:
    tensorflow_addons = None
needs_addons = pytest.mark.skipif(tensorflow_addons is None, reason="no tensorflow-addons")


def made(name, **more):
    schedule = ScheduleConfig(kind="constant", warmup_steps=0)
    config = TrainConfig(optimizer=name, learning_rate=0.1, momentum=0.5, schedule=schedule, **more)
    return make_optimizer(config, 10)


def dense():
    layer = keras.layers.Dense(2)
    layer.build((None, 2))
    layer.set_weights([np.array([[3.0, 0.0], [0.0, 4.0]]), np.array([1.0, 1.0])])
    return list(layer.trainable_variables)


def after_step(optimizer, kernel, bias, factors=None):
    """Kernel and bias after an update with these gradients."""
    variables = dense()
    compat.build_optimizer(optimizer, variables)
    gradients = [compat.scale_loss(optimizer, tf.constant(g, tf.float32)) for g in (kernel, bias)]
    apply_gradients(optimizer, gradients, variables, factors)
    return [v.numpy() for v in variables]


@needs_addons
def test_sgdw_decays_kernels_by_the_rate_whatever_the_gradient():
    kernel, bias = after_step(made("sgdw", weight_decay=0.2), np.zeros((2, 2)), [1.0, 0.0])
    np.testing.assert_allclose(kernel, 0.98 * np.array([[3.0, 0.0], [0.0, 4.0]]), rtol=1e-6)
    np.testing.assert_allclose(bias, [0.9, 1.0], rtol=1e-6)


@needs_addons
def test_lamb_moves_kernels_in_proportion_to_their_norm():
    kernel, bias = after_step(made("lamb", weight_decay=0), np.ones((2, 2)), [1.0, 1.0])
    # Adam's first step is 1 everywhere, of norm 2; the kernel's norm is 5.
    np.testing.assert_allclose(kernel, [[2.75, -0.25], [-0.25, 3.75]], atol=1e-4)
    np.testing.assert_allclose(bias, [0.9, 0.9], atol=1e-4)


@needs_addons
def test_novograd_normalises_each_layers_gradient():
    kernel, bias = after_step(made("novograd", weight_decay=0), 7 * np.ones((2, 2)), [5.0, 0.0])
    np.testing.assert_allclose(kernel, [[2.95, -0.05], [-0.05, 3.95]], atol=1e-5)
    np.testing.assert_allclose(bias, [0.9, 1.0], atol=1e-5)


@needs_addons
@pytest.mark.parametrize("name", ADDONS)
def test_each_takes_rates_loss_scaling_and_an_overflow(name):
    full, part = (after_step(made(name), np.ones((2, 2)), [1.0, 1.0], f) for f in (None, (0.5, 1)))
    start = dense()[0].numpy()
    np.testing.assert_allclose(part[0] - start, 0.5 * (full[0] - start), atol=1e-6)
    scaled = made(name, precision="mixed_float16")
    for found, expected in zip(after_step(scaled, np.ones((2, 2)), [1.0, 1.0]), full):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    scaled = made(name, precision="mixed_float16")
    found = after_step(scaled, np.full((2, 2), np.inf), [1.0, 1.0])
    np.testing.assert_array_equal(found[0], start)
    assert float(compat.loss_scale(scaled)) == 2.0**14
    assert compat.learning_rate(scaled) == pytest.approx(0.1)


@pytest.mark.parametrize("name", ADDONS)
def test_without_the_package_a_sentence_says_what_to_install(name, monkeypatch):
    real = builtins.__import__

    def without(module, *arguments, **more):
        if module == "tensorflow_addons":
            raise ImportError(module)
        return real(module, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=f"{name} comes from tensorflow-addons.* pip install 'tf"):
        made(name)
