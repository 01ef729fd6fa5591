"""The differences between Keras 2 (TensorFlow 2.15) and Keras 3, all in this one place.

Measured behaviour of both stacks is the reason for each line here; a module that needs to know
which Keras it runs on asks this one.
"""

import contextlib
import re
from typing import List, Mapping

import keras
import tensorflow as tf

KERAS3 = int(keras.__version__.split(".")[0]) >= 3

if not issubclass(tf.keras.layers.Layer, keras.layers.Layer):
    raise ImportError(
        "tf.keras is not the installed keras; unset the environment variable TF_USE_LEGACY_KERAS."
    )
if KERAS3 and keras.backend.backend() != "tensorflow":
    raise ImportError("tfmaskrcnn needs Keras on TensorFlow; set KERAS_BACKEND=tensorflow.")

register = keras.saving.register_keras_serializable(package="tfmaskrcnn")

# Keyword for `add_weight`: the variable is read in float32 whatever the precision policy.
NO_AUTOCAST = {"autocast": False} if KERAS3 else {"experimental_autocast": False}

# Keras 2 compiles the update with XLA by default, for each shape anew.
NO_OPTIMIZER_XLA = {} if KERAS3 else {"jit_compile": False}


@contextlib.contextmanager
def precision(dtype: str):
    """Layers made inside compute in `dtype` on float32 weights.

    float32, float16, bfloat16; the latter two also by the policies' names, mixed_float16 ...
    """
    before = keras.mixed_precision.global_policy()
    dtype = dtype.replace("mixed_", "")
    keras.mixed_precision.set_global_policy(dtype if dtype == "float32" else f"mixed_{dtype}")
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)


def is_functional(layer) -> bool:
    """Whether `layer` is a model made of a graph of layers, which `layers` lists in order."""
    names = {kind.__name__ for kind in type(layer).__mro__}
    return bool(names & {"Functional", "Sequential"})


def automatic_name(class_name: str) -> str:
    """What Keras calls a layer of this class that was given no name, before it adds a number."""
    name = re.sub(r"([A-Z][a-z0-9]+)", r"_\1", class_name)
    return re.sub(r"_+", "_", re.sub(r"([a-z])([A-Z])", r"\1_\2", name)).strip("_").lower()


def tensor_variable(variable) -> tf.Variable:
    """The `tf.Variable` inside a Keras 3 variable, which `tf.Module` does not track by itself."""
    return variable.value if KERAS3 and hasattr(variable, "path") else variable


def optimizer_variables(optimizer) -> list:
    """All variables of an optimizer: a method in some Keras 2 versions, a property elsewhere."""
    variables = optimizer.variables
    variables = list(variables() if callable(variables) else variables)
    if hasattr(optimizer, "get_scaled_loss") and optimizer.dynamic:
        # Keras 2 leaves the loss scale out and has no public name for its variable.
        variables += [optimizer._loss_scale.current_loss_scale, optimizer.dynamic_counter]
    return variables


def learning_rate(optimizer) -> float:
    """The rate of the next update.

    Keras 2 answers with that of the last one, which a restored optimizer has not made.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    rate = getattr(optimizer, "_learning_rate", optimizer.learning_rate)
    return float(rate(optimizer.iterations) if callable(rate) else rate)


def updates(optimizer) -> int:
    """How many updates the optimizer has counted."""
    return int(getattr(optimizer, "inner_optimizer", optimizer).iterations.numpy())


def follows_schedule(optimizer) -> bool:
    """Whether the rate is computed from the number of updates, so that none can be set.

    Keras 2 takes a rate that a callback sets, and forgets it at the next update.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return callable(getattr(optimizer, "_learning_rate", optimizer.learning_rate))


def weights_without_decay(optimizer, weights: Mapping[str, object]) -> List[str]:
    """The names of `weights` that the optimizer's own decay leaves out.

    Neither Keras has it in an optimizer's configuration.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if not getattr(optimizer, "weight_decay", None) or is_legacy(optimizer):
        return []
    return [name for name, v in weights.items() if not optimizer._use_weight_decay(v)]


def is_legacy(optimizer) -> bool:
    """Whether it is of Keras 2's older kind, which tensorflow-addons makes; else False."""
    return not KERAS3 and isinstance(optimizer, keras.optimizers.legacy.Optimizer)


def momentum_of(optimizer, variable):
    """SGD's slot of a variable."""
    index = (
        optimizer._get_variable_index(variable)
        if KERAS3
        else optimizer._index_dict[optimizer._var_key(variable)]
    )
    return optimizer.momentums[index]


def build_optimizer(optimizer, variables) -> None:
    """Make the optimizer's own variables now rather than at the first update."""
    if not is_legacy(optimizer):
        optimizer.build(variables)
        return
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    inner._create_all_weights(variables)  # it has no public name


def take_trainable_flags(model) -> None:
    """Let training go by the `trainable` flags of layers as they are now, as Keras 3 does.

    Keras 2 goes by those there were at `compile`, and has no public name for them.
    """
    if not KERAS3 and model._compiled_trainable_state:
        model._compiled_trainable_state.update(model._get_trainable_state())


def loss_scaling(optimizer):
    """`optimizer` inside a `LossScaleOptimizer` of a dynamic scale."""
    module = keras.optimizers if KERAS3 else keras.mixed_precision
    return module.LossScaleOptimizer(optimizer)


def scales_loss(optimizer) -> bool:
    """Whether `scale_loss` does anything with this optimizer."""
    dynamic = hasattr(optimizer, "get_scaled_loss") or hasattr(optimizer, "initial_scale")
    return dynamic or getattr(optimizer, "loss_scale_factor", None) is not None


def name_weights(weights: Mapping[str, object]) -> None:
    """Give variables the names of `weights` on Keras 2, where a layer built by hand has "kernel:0".

    What goes by names there, HDF5 files and TensorBoard's histograms, needs each but once. Keras 3
    has paths.
    """
    if KERAS3:
        return
    for name, variable in weights.items():
        variable = getattr(variable, "_variable", variable)  # inside what casts by itself
        for each in getattr(variable, "values", (variable,)):  # of the replicas
            each._handle_name = f"{name}:0"


def check_multi_worker() -> None:
    """Fail loudly if `fit` of several workers cannot be what it was tested to be.

    `model.fit.TrainableModel` replaces a private method of Keras 3.
    """
    if KERAS3 and not hasattr(keras.Model, "_maybe_symbolic_build"):
        raise NotImplementedError(
            f"Keras {keras.__version__} has no Model._maybe_symbolic_build, which training with "
            "several workers has to replace; Keras 3.15 has it."
        )


def step_result(value: tf.Tensor) -> tf.Tensor:
    """A mean's scalar result as `train_step` has to return it to Keras.

    Of several workers Keras 3 averages the results along an axis that a scalar has not, and Keras 2
    sums them, though a mean's result is that of all workers already.
    """
    strategy = tf.distribute.get_strategy()
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return value
    return tf.reshape(value, [1]) if KERAS3 else value / strategy.num_replicas_in_sync


def scale_loss(optimizer, loss):
    """`loss` times the loss scale of a `LossScaleOptimizer`; unchanged for any other optimizer."""
    if hasattr(optimizer, "scale_loss"):  # Keras 3
        return optimizer.scale_loss(loss)
    if hasattr(optimizer, "get_scaled_loss"):  # Keras 2
        return optimizer.get_scaled_loss(loss)
    return loss


def loss_scale(optimizer) -> tf.Tensor:
    """The factor that `scale_loss` applies, float32; 1 for an optimizer without loss scaling."""
    if hasattr(optimizer, "initial_scale") and KERAS3:  # a `LossScaleOptimizer`
        scale = optimizer.dynamic_scale if optimizer.built else optimizer.initial_scale
        return tf.convert_to_tensor(scale, tf.float32)
    if hasattr(optimizer, "get_scaled_loss"):  # Keras 2
        return tf.convert_to_tensor(optimizer.loss_scale)
    # Any optimizer of Keras 3 takes a fixed factor.
    return tf.constant(getattr(optimizer, "loss_scale_factor", None) or 1.0)


def apply_summed_gradients(optimizer, gradients, variables, scale) -> None:
    """Hand over gradients that are summed over the replicas and divided by the loss scale.

    Keras 3 sums over the replicas again and divides by the scale itself; both are undone before.
    Keras 2 warns of a mistake where the division is not its own.
    """
    if KERAS3:
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        gradients = [g * (scale / replicas) for g in gradients]
        optimizer.apply_gradients(zip(gradients, variables))
    else:
        if hasattr(optimizer, "get_unscaled_gradients"):
            gradients = optimizer.get_unscaled_gradients([g * scale for g in gradients])
        summed = {"skip_gradients_aggregation": True}
        if is_legacy(optimizer):
            summed = {"experimental_aggregate_gradients": False}
        optimizer.apply_gradients(zip(gradients, variables), **summed)
