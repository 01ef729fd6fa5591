"""The state of a run in one file, so that a killed run goes on as if nothing had happened."""

import hashlib
import json
from typing import Any, Dict, Optional, Tuple

import numpy as np

from tfmaskrcnn import compat
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model.weights import load_weights, named_weights, read_weights
from tfmaskrcnn.support.files import save_arrays


class DamagedState(InputError):
    """The file is no whole state; an earlier one may be."""


def save_state(path: Optional[str], model, config: Config, progress: Dict[str, Any]) -> None:
    """Write weights, their average, optimizer and `progress` (JSON-ready) by atomic rename.

    With `path` None nothing is written, but all is read: of several workers all have to read.
    """
    arrays = {f"weights/{name}": v.numpy() for name, v in named_weights(model).items()}
    for i, variable in enumerate(compat.optimizer_variables(model.optimizer)):
        arrays[f"optimizer/{i}"] = variable.numpy()
    arrays.update({f"average/{n}": v.numpy() for n, v in _average(model).items()})
    about = {
        "progress": progress,
        "training": training_digest(config),
        "keras3": compat.KERAS3,
        "checksum": _checksum(arrays),
    }
    arrays["about"] = np.array(json.dumps(about))
    if path is not None:
        save_arrays(path, arrays)


def read_state(path: str, config: Config) -> Tuple[Dict[str, np.ndarray], Dict[str, Any]]:
    """The arrays and the `progress` of a file of `save_state`.

    Raises:
        DamagedState: the file is missing, cut off, changed, or no state at all.
        InputError: it belongs to a run of another configuration or Keras.
    """
    try:
        arrays = read_weights(path)
    except InputError as error:
        raise DamagedState(str(error)) from None
    try:
        about = json.loads(str(arrays.pop("about")))
        progress, training, keras3 = (about[key] for key in ("progress", "training", "keras3"))
        checksum = about["checksum"]
    except (KeyError, TypeError, ValueError):
        raise DamagedState(f"{path} is no training state of tfmaskrcnn.") from None
    if checksum != _checksum(arrays):
        raise DamagedState(f"{path} is damaged: its checksum is another.")
    if keras3 != compat.KERAS3:
        written = "3" if keras3 else "2"
        raise InputError(
            f"{path} was written with Keras {written}; a run resumes only with the Keras that "
            "began it. Its weights.npz can start a new run (train.weights)."
        )
    if training != training_digest(config):
        raise InputError(
            f"{path} belongs to a run with another configuration (model, data or train differ); "
            "resume it with the config.json beside it."
        )
    return arrays, progress


def load_state(path: str, model, config: Config) -> Dict[str, Any]:
    """Restore a compiled model and its optimizer from `save_state`; returns the `progress`.

    Raises what `read_state` does, and `InputError` for the state of another model.
    """
    arrays, progress = read_state(path, config)
    variables = compat.optimizer_variables(model.optimizer)
    saved = [arrays.pop(f"optimizer/{i}") for i in range(_count(arrays, "optimizer/"))]
    if [v.shape for v in saved] != [tuple(v.shape) for v in variables]:
        raise InputError(f"{path} holds the state of another optimizer.")
    average = _average(model)
    averages = {name: arrays.pop(f"average/{name}", None) for name in average}
    if any(array is None for array in averages.values()):
        raise InputError(f"{path} holds no average of the weights (train.ema).")
    try:
        load_weights(model, {n.split("/", 1)[1]: a for n, a in arrays.items()})
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


def _checksum(arrays: Dict[str, np.ndarray]) -> str:
    """SHA-256 of all names and values."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def training_digest(config: Config) -> str:
    """A fingerprint of all that decides the weights of a run."""
    free = {"save_every", "keep_states", "tensorboard", "strategy", "validation_loss"}
    parts = config.model_dump(mode="json", exclude={"evaluation": True, "train": free})
    if config.train.early_stop_on == "ap":  # older states know nothing else
        del parts["train"]["early_stop_on"]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
