"""Whether a state belongs to the run that is to go on: its settings and its data, by key."""

import os
from typing import Any, Dict, List, Optional

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.yaml_files import load_config
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.run_folder import Run

_SHOWN = 4  # keys that a sentence names
_DEEPEST = 6  # sections within each other; a file may claim more
# What may change when a run goes on: it decides no weight, or is compared by content.
_FREE = (
    "evaluation",
    *(f"train.{key}" for key in ("save_every", "keep_states", "tensorboard", "strategy")),
    *(f"train.{key}" for key in ("validation_loss", "epochs", "auto")),
)
_PLACES = tuple(
    f"data.{key}"
    for key in ("train_json", "train_images", "train_tfrecord", "val_json", "val_images")
)
# What decides which objects are read of the same files.
_READING = ("data.limit", "data.skip_invalid", "data.classes", "model.mask_head.enabled")
_READING += ("model.keypoint_head.enabled",)
# Resolved configurations of before lack a key that they would have had at this value.
_FORMER = {"model.input.exif": "ignore", "train.accumulate": 1}


def saved_settings(config: Config) -> Dict[str, Any]:
    """What a state keeps of the configuration, JSON-ready."""
    return config.model_dump(mode="json")


def check_settings(
    path: str,
    config: Config,
    content: Optional[Dict[str, str]],
    settings: Optional[Dict[str, Any]],
    former_content: Optional[Dict[str, str]],
) -> None:
    """Refuse to go on with the state `path` by other settings or on other data than it began with.

    Args:
        path: of the state.
        config: of the run that is to go on.
        content: fingerprints of its data, of `data_content`; None where they are not known.
        settings: `saved_settings` of the state; None where they are not known.
        former_content: fingerprints that the state keeps; older ones keep none.

    Raises:
        InputError: it names each key with both values, or says that the data have changed.
    """
    known = bool(content and former_content)
    changed = [] if settings is None else _changed(settings, config, moved=known)
    if known and not any(key.startswith(_READING) for key, _, _ in changed):
        _check_content(path, content, former_content)
    if settings is None or changed:
        raise _another(path, changed)


def settings_beside(path: str, matches) -> Optional[Dict[str, Any]]:
    """Settings of an older state, which keeps none: of the `config.json` of its run.

    Args:
        path: of the state.
        matches: whether a `Config` is the one that the state was written with.
    """
    run = Run(os.path.dirname(os.path.dirname(storage.absolute(path))))
    try:
        config = load_config(run.config) if storage.exists(run.config) else None
    except InputError:
        return None
    return saved_settings(config) if config is not None and matches(config) else None


def _changed(settings: Dict[str, Any], config: Config, moved: bool) -> List[tuple]:
    """(key, former value, value) of all that differs and may not; if `moved`, data may have."""
    former, now = _flat(settings), _flat(saved_settings(config))
    defaults = {**_flat(saved_settings(Config())), **_FORMER}
    free = _FREE + (_PLACES if moved else ())
    found = []
    for key in sorted({*former, *now}):
        before, after = former.get(key, defaults.get(key)), now.get(key)
        if key == "data.val_json" and bool(before) != bool(after):
            found.append((key, before, after))  # then AP did, or does, not choose the weights
        elif before != after and not any(f"{key}.".startswith(f"{name}.") for name in free):
            found.append((key, before, after))
    return found


def _flat(nested: Dict[str, Any], prefix: str = "") -> Dict[str, Any]:
    """Dotted keys and their values."""
    found: Dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, dict) and value and prefix.count(".") < _DEEPEST:
            found.update(_flat(value, f"{prefix}{name}."))
        else:
            found[f"{prefix}{name}"] = value or None if isinstance(value, dict) else value
    return found


def _check_content(path: str, content: Dict[str, str], former: Dict[str, str]) -> None:
    for part, what in (("train", "the training data"), ("val", "data.val_json")):
        same = all(content[k] == former[k] for k in content if k in former and k.startswith(part))
        if not same:
            raise InputError(
                f"{path}: {what} changed since the run began (images, objects or classes), so it "
                "cannot go on as if nothing had happened. Give the data that it began with, or "
                "start a new run in another folder with train.weights set to this one."
            )


def _another(path: str, changed: List[tuple]) -> InputError:
    if not changed:
        return InputError(
            f"{path} belongs to a run with another configuration (model, data or train differ); "
            "resume it with the config.json beside it."
        )
    shown = [f"{k} was {quoted(a, 40)} and is {quoted(b, 40)}" for k, a, b in changed[:_SHOWN]]
    more = f"; and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
    return InputError(
        f"{path} belongs to a run with another configuration: {'; '.join(shown)}{more}. Give the "
        "run's values to go on with it, or another folder for a new run."
    )
