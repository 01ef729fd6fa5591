"""Reading and writing configurations: YAML with `base:`, `key=value` overrides, JSON."""

import difflib
import json
import os
from typing import Any, Dict, List, Optional, Sequence, Tuple

import pydantic
import yaml

from tfmaskrcnn.config.base import Section
from tfmaskrcnn.config.model import ModelConfig
from tfmaskrcnn.config.recipes import find_base, find_config
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.files import replaced


def load_config(path: Optional[str] = None, overrides: Sequence[str] = ()) -> Config:
    """Read a configuration.

    Args:
        path: a `.yaml` or `.json` file, a run folder that holds `config.json`, or the name of a
            configuration that comes with the package ("finetune", see `recipes`); None takes the
            defaults. A file's `base:` names another one that it changes: a file relative to
            itself, or such a name.
        overrides: `"key=value"` strings with dotted keys and YAML values, the last one wins. A key
            of a model section may leave out `model.`: `"input.min_side=512"`.

    Raises:
        InputError: the file is missing or no YAML, a key is unknown (with a suggestion), or a
            value has the wrong type.
    """
    raw = {} if path is None else _read_with_bases(find_config(os.fspath(path)), ())
    return parse_config(raw, overrides, "the defaults" if path is None else os.fspath(path))


def parse_config(
    raw: Dict[str, Any], overrides: Sequence[str] = (), source: str = "config"
) -> Config:
    """Check nested dictionaries against `Config`; errors name `source`, the key and the value."""
    for text in overrides:
        key, value = split_override(text)
        raw = _merged(raw, _nested(key, value))
    try:
        return Config.model_validate(raw)
    except pydantic.ValidationError as error:
        raise InputError(f"{source}: " + "; ".join(_explained(e) for e in error.errors())) from None


def override(config: Config, overrides: Sequence[str]) -> Config:
    """`config` with `"key=value"` changes, checked again as a whole."""
    return parse_config(config.model_dump(), overrides)


def save_config(config: Config, path: str) -> None:
    """Write the resolved configuration as JSON."""
    with replaced(path, "w") as file:
        file.write(config.model_dump_json(indent=2) + "\n")


def _read_with_bases(path: str, seen: Tuple[str, ...]) -> Dict[str, Any]:
    if os.path.isdir(path):
        path = os.path.join(path, "config.json")
    real = os.path.realpath(path)
    if real in seen:
        raise InputError(f"{path}: its `base:` leads back to itself.")
    try:
        with open(path, encoding="utf-8-sig") as file:
            raw = json.load(file) if path.endswith(".json") else yaml.safe_load(file)
    except OSError as error:
        raise InputError(f"Cannot read the configuration {path}: {error.strerror}.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} is not valid YAML or JSON: {reason}.") from None
    raw = {} if raw is None else raw
    if not isinstance(raw, dict):
        raise InputError(f"{path} must hold keys and values, found {type(raw).__name__}.")
    base = raw.pop("base", None)
    if base is None:
        return raw
    if not isinstance(base, str):
        raise InputError(f"{path}: `base` must be a file name, found {base!r}.")
    return _merged(_read_with_bases(find_base(base, path), (*seen, real)), raw)


def _merged(low: Dict[str, Any], high: Dict[str, Any]) -> Dict[str, Any]:
    out = dict(low)
    for key, value in high.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = _merged(out[key], value) if both else value
    return out


def split_override(text: str) -> Tuple[List[str], Any]:
    """`"input.min_side=512"` -> (["model", "input", "min_side"], 512).

    Raises:
        InputError: `text` has no "=" with a key before it, or its value is no YAML.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(f"{text!r} is no setting; write key=value, such as train.batch_size=4.")
    parts = key.strip().split(".")
    if parts[0] not in Config.model_fields and parts[0] in ModelConfig.model_fields:
        parts.insert(0, "model")
    try:
        return parts, yaml.safe_load(value)
    except yaml.YAMLError:
        raise InputError(f"{text!r}: the value is not valid YAML.") from None


def _nested(parts: List[str], value: Any) -> Dict[str, Any]:
    for part in reversed(parts):
        value = {part: value}
    return value


def _explained(error: Dict[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"]) or "config"
    if error["type"] != "extra_forbidden":
        message, found = error["msg"].replace("Value error, ", "", 1), error["input"]
        # Of settings that contradict each other the message says all; their section is long.
        contradiction = error["type"] == "value_error" and isinstance(found, dict)
        shown = "" if contradiction else f", found {found!r:.200}"
        return f"{where}: {message}{shown}" if error["loc"] else message
    near = difflib.get_close_matches(where, _all_keys(Config), n=1, cutoff=0.6)
    return f"unknown key {where!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def _all_keys(section, prefix: str = "") -> List[str]:
    keys = []
    for name, field in section.model_fields.items():
        keys.append(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            keys += _all_keys(field.annotation, f"{prefix}{name}.")
    return keys
