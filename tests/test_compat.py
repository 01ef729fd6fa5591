import sys
import types
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn import compat

SOURCE = Path(compat.__file__).read_text(encoding="utf-8")
LossScaleOptimizer = (
    keras.optimizers.LossScaleOptimizer
    if compat.KERAS3
    else keras.mixed_precision.LossScaleOptimizer
)


def variable(value=1.0):
    layer = keras.layers.Dense(1, use_bias=False)
    layer.build((None, 1))
    layer.kernel.assign([[value]])
    return layer.kernel


def built(optimizer):
    optimizer.build([variable()])
    return optimizer


def test_the_version_is_that_of_the_installed_keras():
    assert (keras.__version__.split(".")[0] == "3") == compat.KERAS3


def test_a_tf_keras_that_is_not_keras_is_refused(monkeypatch):
    # What TF_USE_LEGACY_KERAS=1 does: layers of tf.keras are another class.
    layers = types.SimpleNamespace(Layer=type("Layer", (), {}))
    other = types.SimpleNamespace(keras=types.SimpleNamespace(layers=layers))
    monkeypatch.setitem(sys.modules, "tensorflow", other)
    with pytest.raises(ImportError, match="unset the environment variable TF_USE_LEGACY_KERAS"):
        exec(SOURCE, {})


@pytest.mark.skipif(not compat.KERAS3, reason="Keras 2 has one backend")
def test_keras_on_another_backend_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ImportError, match="set KERAS_BACKEND=tensorflow"):
        exec(SOURCE, {})


def test_the_module_imports_as_things_are():
    exec(SOURCE, {})


def test_registered_classes_go_by_the_packages_name():
    @compat.register
    class Registered:
        def get_config(self):
            return {}

    assert keras.saving.get_registered_object("tfmaskrcnn>Registered") is Registered


def test_a_weight_without_autocast_is_read_in_float32():
    class Layer(keras.layers.Layer):
        def build(self, input_shape):
            self.cast = self.add_weight(name="cast", shape=(), initializer="ones")
            self.kept = self.add_weight(
                name="kept", shape=(), initializer="ones", **compat.NO_AUTOCAST
            )

        def call(self, x):
            return x * 0 + tf.cast(tf.convert_to_tensor(self.kept).dtype == tf.float32, x.dtype)

    layer = Layer(dtype="mixed_bfloat16")
    assert float(layer(tf.zeros([1]))[0]) == 1.0


def test_a_keras_variable_gives_its_tf_variable():
    weight = variable(2.0)
    inner = compat.tensor_variable(weight)
    assert isinstance(inner, tf.Variable)
    weight.assign([[7.0]])
    np.testing.assert_array_equal(inner, [[7.0]])
    plain = tf.Variable(1.0)
    assert compat.tensor_variable(plain) is plain


def test_all_variables_of_an_optimizer_are_listed():
    variables = compat.optimizer_variables(built(keras.optimizers.SGD(0.1, momentum=0.9)))
    assert isinstance(variables, list)
    shapes = [tuple(v.shape) for v in variables]
    assert (1, 1) in shapes and () in shapes  # the velocity and the number of updates
    method = types.SimpleNamespace(variables=lambda: (1, 2))
    assert compat.optimizer_variables(method) == [1, 2]


def test_without_loss_scaling_the_scale_is_1():
    optimizer = built(keras.optimizers.SGD(0.1))
    assert float(compat.scale_loss(optimizer, tf.constant(3.0))) == 3.0
    assert float(compat.loss_scale(optimizer)) == 1.0


@pytest.mark.parametrize("build", [True, False])
def test_the_loss_scale_is_the_factor_of_the_loss(build):
    optimizer = LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=512.0)
    if build:
        built(optimizer)
    assert float(compat.scale_loss(optimizer, tf.constant(3.0))) == 3.0 * 512.0
    scale = compat.loss_scale(optimizer)
    assert scale.dtype == tf.float32 and float(scale) == 512.0


@pytest.mark.skipif(not compat.KERAS3, reason="an argument of Keras 3")
def test_a_fixed_factor_of_any_optimizer_counts_too():
    optimizer = built(keras.optimizers.SGD(0.1, loss_scale_factor=64.0))
    assert float(compat.scale_loss(optimizer, tf.constant(3.0))) == 192.0
    assert float(compat.loss_scale(optimizer)) == 64.0


@pytest.mark.parametrize("scaled", [True, False])
def test_summed_gradients_arrive_unscaled(scaled):
    weight = variable(1.0)
    optimizer = keras.optimizers.SGD(0.5)
    optimizer = LossScaleOptimizer(optimizer) if scaled else optimizer
    optimizer.build([weight])
    gradients = [tf.constant([[0.5]])]
    compat.apply_summed_gradients(optimizer, gradients, [weight], compat.loss_scale(optimizer))
    np.testing.assert_allclose(np.asarray(weight), [[0.75]])


def test_no_optimizer_of_keras_2_compiles_with_xla():
    optimizer = keras.optimizers.SGD(0.1, **compat.NO_OPTIMIZER_XLA)
    assert not getattr(optimizer, "jit_compile", False)
