"""The state of a run in one file, so that a killed run goes on as if nothing had happened."""

import functools
import hashlib
import json
from typing import Any, Dict, Optional, Tuple

import numpy as np
import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model.weights import load_weights, named_weights, read_weights
from tfmaskrcnn.support.files import save_arrays
from tfmaskrcnn.train.run_settings import check_settings, saved_settings, settings_beside
from tfmaskrcnn.train.stored_progress import checked_progress

# Keys that older states know nothing of, with the value that they had without saying so.
_LATER = {
    "train.early_stop_on": "ap",
    "train.momentum_of": "keras",
    "train.phases": [],
    "data.classes": None,
    "data.crowds": "unused",
    "model.input.exif": "ignore",
    "model.box_head.loss": "softmax",
    "model.box_head.focal_gamma": 2.0,
    "model.box_head.class_weights": {},
}


class DamagedState(InputError):
    """The file is no whole state; an earlier one may be."""


def save_state(
    path: Optional[str],
    model,
    config: Config,
    progress: Dict[str, Any],
    content: Optional[Dict[str, str]] = None,
) -> None:
    """Write weights, their average, optimizer and `progress` (JSON-ready) by atomic rename.

    With `path` None nothing is written, but all is read: of several workers all have to read.
    `content` are the fingerprints of `data_content`, by which changed data are noticed.
    """
    arrays = {f"weights/{name}": v.numpy() for name, v in named_weights(model).items()}
    for i, variable in enumerate(compat.optimizer_variables(model.optimizer)):
        arrays[f"optimizer/{i}"] = variable.numpy()
    arrays.update({f"average/{n}": v.numpy() for n, v in _average(model).items()})
    about = {
        "progress": progress,
        "training": training_digest(config),
        "settings": saved_settings(config),
        "content": content,
        "keras3": compat.KERAS3,
        "checksum": _checksum(arrays),
    }
    about["about_checksum"] = _digest(about)
    arrays["about"] = np.array(json.dumps(about))
    if path is not None:
        save_arrays(path, arrays)


def read_state(
    path: str, config: Config, content: Optional[Dict[str, str]] = None
) -> Tuple[Dict[str, np.ndarray], Dict[str, Any]]:
    """The arrays and the `progress` of a file of `save_state`.

    Raises:
        DamagedState: the file is missing, cut off, changed, or no state at all.
        InputError: it belongs to a run of another configuration, Keras or `content` of the data.
    """
    try:
        arrays = read_weights(path)
    except InputError as error:
        raise DamagedState(str(error)) from None
    try:
        about = json.loads(str(arrays.pop("about")))
        progress, training, keras3 = (about[key] for key in ("progress", "training", "keras3"))
        checksum = about["checksum"]
        # Of the rest of `about`; older states have none.
        own = about.pop("about_checksum", None) or _digest(about)
        same = checksum == _checksum(arrays) and own == _digest(about)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise DamagedState(f"{path} is no training state of tfmaskrcnn.") from None
    if not same:
        raise DamagedState(f"{path} is damaged: its checksum is another.")
    try:
        progress = checked_progress(progress)
    except InputError as error:
        raise DamagedState(f"{path} is damaged: {error}.") from None
    if keras3 != compat.KERAS3:
        written = "3" if keras3 else "2"
        raise InputError(
            f"{path} was written with Keras {written}; a run resumes only with the Keras that "
            "began it. Its weights.npz can start a new run (train.weights)."
        )
    settings, former = about.get("settings"), about.get("content")
    if not all(value is None or isinstance(value, dict) for value in (settings, former)):
        raise DamagedState(f"{path} is no training state of tfmaskrcnn.")
    if settings is None:  # an older state: the digest alone
        same = training == training_digest(config)
        settings = (
            saved_settings(config)
            if same
            else settings_beside(path, lambda other: training == training_digest(other))
        )
    check_settings(path, config, content, settings, former)
    return arrays, progress


def load_state(
    path: str, model, config: Config, content: Optional[Dict[str, str]] = None
) -> Dict[str, Any]:
    """Restore a compiled model and its optimizer from `save_state`; returns the `progress`.

    Raises what `read_state` does, and `InputError` for the state of another model.
    """
    arrays, progress = read_state(path, config, content)
    variables = compat.optimizer_variables(model.optimizer)
    saved = [arrays.pop(f"optimizer/{i}", None) for i in range(_count(arrays, "optimizer/"))]
    if len(saved) != len(variables) or not all(map(_fits, saved, variables)):
        raise InputError(f"{path} holds the state of another optimizer.")
    average = _average(model)
    averages = {name: arrays.pop(f"average/{name}", None) for name in average}
    if not all(_fits(averages[name], variable) for name, variable in average.items()):
        raise InputError(f"{path} holds no average of the weights (train.ema).")
    if not set(progress["means"]) <= set(getattr(model, "loss_means", progress["means"])):
        raise InputError(f"{path} holds means of losses that the model has not.")
    try:
        load_weights(model, {n.split("/", 1)[-1]: a for n, a in arrays.items()})
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    for variable, array in zip(variables, saved):
        variable.assign(array)
    for name, variable in average.items():
        variable.assign(averages[name])
    return progress


def _average(model) -> Dict[str, Any]:
    """The variables of the average of the weights; none for a model compiled without."""
    average = getattr(model, "average", None)
    return average.variables() if average else {}


def _count(arrays, prefix: str) -> int:
    return sum(name.startswith(prefix) for name in arrays)


def _fits(array: Optional[np.ndarray], variable) -> bool:
    """Whether `variable` can be set to `array`."""
    if array is None:
        return False
    kind = tf.as_dtype(variable.dtype).as_numpy_dtype
    return array.shape == tuple(variable.shape) and array.dtype == kind


def _digest(about: Dict[str, Any]) -> str:
    """SHA-256 of what a state says of itself."""
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _checksum(arrays: Dict[str, np.ndarray]) -> str:
    """SHA-256 of all names and values."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def training_digest(config: Config) -> str:
    """A fingerprint of all that decides the weights of a run."""
    free = {"auto", "save_every", "keep_states", "tensorboard", "strategy", "validation_loss"}
    parts = config.model_dump(mode="json", exclude={"evaluation": True, "train": free})
    for path, former in _LATER.items():
        *sections, key = path.split(".")
        section = functools.reduce(dict.__getitem__, sections, parts)
        if section[key] == former:
            del section[key]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
