"""What Keras lets people pass to any model and this one cannot use: a sentence each, at once."""

import importlib.util
import inspect
import os
from typing import Any, Callable, Dict, Mapping, Optional

import keras
import numpy as np
import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.errors import InputError

_BATCHES = (
    "batches are dicts of images with their truth, as mr.data.from_coco and from_arrays make them"
)
_NOT_COMPILED = {
    "loss": "the model has its own losses; leave `loss` out",
    "loss_weights": "the losses are summed as they are; leave `loss_weights` out",
    "metrics": "give mr.evaluation.CocoCallback(json, images, config) to fit, which logs AP",
    "weighted_metrics": "give mr.evaluation.CocoCallback(json, images, config) to fit instead",
    "jit_compile": "the whole step cannot be compiled; xla=True compiles the parts that can be",
}
_NOT_FITTED = {
    "y": f"the truth is part of a batch: {_BATCHES}",
    "sample_weight": "images have no weights; name one more often in the data to weigh it more",
    "class_weight": (
        "model.box_head.class_weights in the configuration weighs the loss of classes by name or "
        "balances it, and data.repeat_threshold shows images of rare classes more often"
    ),
}


def check_compile(given: Mapping[str, Any]) -> None:
    """Refuse what `compile` is `given` that would be stored and never used."""
    _refuse("compile", given, _NOT_COMPILED)


def arguments_of(method: Callable, *args, **kwargs) -> Dict[str, Any]:
    """The arguments of a method of `keras.Model` by name, whichever way they were given."""
    given = dict(inspect.signature(method).bind(None, *args, **kwargs).arguments)
    more = given.pop("kwargs", {})  # by which `fit` of Keras tells its own `evaluate` of more
    return {**dict(list(given.items())[1:]), **more}  # without `self`


def check_fit(given: Mapping[str, Any], optimizer) -> None:
    """Refuse arguments of `fit` that would be ignored, or end in an error after an epoch.

    Args:
        given: see `arguments_of`.
        optimizer: of the compiled model; None before `compile`.

    Raises:
        InputError: data are no batches of this model, an argument is for other models, or a
            callback cannot do what it is for.
    """
    check_data("fit", given, given.get("steps_per_epoch"))
    validation = given.get("validation_data")
    if validation is not None:
        _check_batches("fit(validation_data=...)", validation, given.get("validation_steps"))
    callbacks = given.get("callbacks")
    for callback in tf.nest.flatten(getattr(callbacks, "callbacks", callbacks)):
        if isinstance(callback, keras.callbacks.Callback):
            _check_callback(callback, optimizer)


def check_data(method: str, given: Mapping[str, Any], steps: Optional[int]) -> None:
    """Refuse data of `fit` or `evaluate` that are no batches of this model, or have no end.

    Args:
        method: its name.
        given: its arguments; see `arguments_of`.
        steps: how many batches are taken; None for all.
    """
    _refuse(method, given, _NOT_FITTED)
    data, size = given.get("x"), given.get("batch_size")
    _check_batches(method, data, steps)
    if isinstance(data, tf.data.Dataset) and size is not None:
        raise InputError(
            f"{method}(batch_size={size!r}): the data set is in batches already, of "
            "train.batch_size images; how often it is gone through is epochs=..."
        )


def one_batch(data) -> Mapping[str, tf.Tensor]:
    """The dict in what Keras hands to a step: itself, or the first of (x, y, sample_weight).

    Raises:
        InputError: there is no dict, or something beside it, which `fit` could not see in advance.
    """
    if not isinstance(data, (tuple, list)):
        data = (data,)
    if not (data and isinstance(data[0], Mapping)) or any(part is not None for part in data[1:]):
        raise InputError(f"A batch of another form: {_BATCHES}.")
    return data[0]


def check_pictures(data) -> None:
    """Refuse bare pictures that `predict` is given."""
    if _is_no_batch(data):
        raise InputError(
            "predict takes batches, dicts with `image` and `size`; for pictures of any size call "
            "predict_images([picture, ...])."
        )


def check_call(inputs) -> None:
    """Refuse bare pictures that the model is called with."""
    if not (isinstance(inputs, Mapping) and {"image", "size"} <= set(inputs)):
        raise InputError(
            "A MaskRCNN is called with a batch, a dict with `image` and `size`; for pictures of "
            "any size call predict_images([picture, ...])."
        )


def _refuse(method: str, given: Mapping[str, Any], sentences: Mapping[str, str]) -> None:
    for name, sentence in sentences.items():
        if not _asks_nothing(given.get(name)):
            raise InputError(f"{method}({name}=...) has no effect here: {sentence}.")


def _asks_nothing(value) -> bool:
    """Whether an argument is Keras's default, or says the same; "auto" is one of Keras 3."""
    if isinstance(value, (str, list, tuple, dict)):
        return not value or value == "auto"
    return value is None or value is False


def _is_no_batch(data) -> bool:
    """Whether `data`, or each element of a data set, is something else than a dict."""
    if isinstance(data, tf.data.Dataset):
        data = data.element_spec
        one = isinstance(data, tuple) and len(data) == 1  # how Keras hands a dict on
        return not isinstance(data[0] if one else data, Mapping)
    return data is None or isinstance(data, (np.ndarray, tf.Tensor, list, tuple))


def _check_batches(what: str, data, steps: Optional[int]) -> None:
    if _is_no_batch(data):
        raise InputError(f"{what}: the data are of another form; {_BATCHES}.")
    size = data.cardinality() if isinstance(data, tf.data.Dataset) else None
    if steps is None and size == tf.data.INFINITE_CARDINALITY:
        raise InputError(
            f"{what}: the data set has no end; leave repeat() out, or give the number of batches "
            "(steps_per_epoch, validation_steps or steps)."
        )


def _check_callback(callback: keras.callbacks.Callback, optimizer) -> None:
    name, kinds = type(callback).__name__, keras.callbacks
    fixed = optimizer is not None and compat.follows_schedule(optimizer)
    if fixed and isinstance(callback, (kinds.LearningRateScheduler, kinds.ReduceLROnPlateau)):
        raise InputError(
            f"{name} cannot change a learning rate that follows a schedule; compile with a plain "
            "number as the rate: with make_optimizer that is "
            "train.schedule={kind: constant, warmup_steps: 0}."
        )
    if isinstance(callback, kinds.ModelCheckpoint) and not callback.save_weights_only:
        path = os.fspath(callback.filepath)
        if not path.endswith(".keras"):
            raise InputError(
                f"ModelCheckpoint({path!r}) would write a whole model, which is read from .keras "
                "files alone; name it so, or add save_weights_only=True."
            )
    if isinstance(callback, kinds.TensorBoard) and not importlib.util.find_spec("tensorboard"):
        raise InputError(
            "keras.callbacks.TensorBoard needs the package tensorboard, which this TensorFlow does "
            "not bring: pip install tensorboard."
        )
