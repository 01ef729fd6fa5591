"""The state of a run in one file, so that a killed run goes on as if nothing had happened."""

import hashlib
import json
from typing import Any, Dict

import numpy as np

from tfmaskrcnn import compat
from tfmaskrcnn.config import Config
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.files import replaced
from tfmaskrcnn.weights import load_weights, named_weights, read_weights


def save_state(path: str, model, config: Config, progress: Dict[str, Any]) -> None:
    """Write weights, optimizer and `progress` (JSON-ready) to `path` by atomic rename."""
    arrays = {f"weights/{name}": v.numpy() for name, v in named_weights(model).items()}
    for i, variable in enumerate(compat.optimizer_variables(model.optimizer)):
        arrays[f"optimizer/{i}"] = np.asarray(variable)
    about = {"progress": progress, "training": _training_digest(config), "keras3": compat.KERAS3}
    arrays["about"] = np.array(json.dumps(about))
    with replaced(path) as file:
        np.savez(file, **arrays)


def load_state(path: str, model, config: Config) -> Dict[str, Any]:
    """Restore a compiled model and its optimizer from `save_state`; returns the `progress`.

    Raises:
        InputError: the file is damaged, or belongs to a run of another configuration or Keras.
    """
    arrays = read_weights(path)
    try:
        about = json.loads(str(arrays.pop("about")))
        progress, training, keras3 = (about[key] for key in ("progress", "training", "keras3"))
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path} is no training state of tfmaskrcnn.") from None
    if keras3 != compat.KERAS3:
        written = "3" if keras3 else "2"
        raise InputError(
            f"{path} was written with Keras {written}; a run resumes only with the Keras that "
            "began it. Its weights.npz can start a new run (train.weights)."
        )
    if training != _training_digest(config):
        raise InputError(
            f"{path} belongs to a run with another configuration (model, data or train differ); "
            "resume it with the config.json beside it."
        )
    variables = compat.optimizer_variables(model.optimizer)
    saved = [arrays.pop(f"optimizer/{i}") for i in range(_count(arrays, "optimizer/"))]
    if [v.shape for v in saved] != [tuple(v.shape) for v in variables]:
        raise InputError(f"{path} holds the state of another optimizer.")
    try:
        load_weights(model, {n.split("/", 1)[1]: a for n, a in arrays.items()})
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    for variable, array in zip(variables, saved):
        variable.assign(array)
    return progress


def _count(arrays, prefix: str) -> int:
    return sum(name.startswith(prefix) for name in arrays)


def _training_digest(config: Config) -> str:
    """A fingerprint of all that decides the weights of a run."""
    parts = config.model_dump(mode="json", exclude={"evaluation": True})
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
