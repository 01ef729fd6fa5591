"""Reading and writing configurations: YAML with `base:`, `key=value` overrides, JSON."""

import os
from typing import Any, Dict, List, Optional, Sequence, Tuple

import pydantic

from tfmaskrcnn.config.model import ModelConfig
from tfmaskrcnn.config.recipes import find_base, find_config
from tfmaskrcnn.config.refusals import refusal
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.trust import names_code, with_unasked_code
from tfmaskrcnn.config.yaml_reading import check_texts, read_value, read_values
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.files import replaced
from tfmaskrcnn.support.given import A_PATH, TEXTS, takes
from tfmaskrcnn.support.single_file import is_single_file, place_in

_MAX_BASES = 20  # of one another
_MAX_PARTS = 20  # of a dotted key; the longest known one has 4
# Whose keys are names of the user's: a later value takes the place of all of the former one.
_WHOLE = ("data.classes", "model.box_head.class_weights")


@takes(path=A_PATH, overrides=TEXTS)
def load_config(
    path: Optional[str] = None, overrides: Sequence[str] = (), trust_code: bool = False
) -> Config:
    """Read a configuration.

    Args:
        path: a `.yaml` or `.json` file, a run folder that holds `config.json`, a single-file
            model, or the name of a
            configuration that comes with the package ("finetune", see `recipes`); None takes the
            defaults. A file's `base:` names another one that it changes: a file relative to
            itself, or such a name.
        overrides: `"key=value"` strings with dotted keys and YAML values, the last one wins. A key
            of a model section may leave out `model.`: `"input.min_side=512"`.
        trust_code: run `data.augment.function` also where the `config.json` of a run names it.

    Raises:
        InputError: the file is missing or no YAML, a key is unknown (with a suggestion), or a
            value has the wrong type.
    """
    raw, source = {}, None
    if path is not None:
        raw, source = _read_with_bases(find_config(os.fspath(path)), ())
    config = parse_config(raw, overrides, "the defaults" if path is None else os.fspath(path))
    return with_unasked_code(config, None if trust_code or _ask_for_code(overrides) else source)


def parse_config(
    raw: Dict[str, Any], overrides: Sequence[str] = (), source: str = "config"
) -> Config:
    """Check nested dictionaries against `Config`; errors name `source`, the key and the value."""
    for text in overrides:
        key, value = split_override(text)
        raw = _merged(raw, _nested(key, value))
    check_texts(raw, source)
    try:
        return Config.model_validate(raw)
    except pydantic.ValidationError as error:
        raise refusal(error, Config, source) from None


def override(config: Config, overrides: Sequence[str]) -> Config:
    """`config` with `"key=value"` changes, checked again as a whole."""
    source = None if _ask_for_code(overrides) else config._unasked_code
    raw = config.model_dump(exclude_unset=True)  # what was not set stays so, see `is_set`
    return with_unasked_code(parse_config(raw, overrides), source)


def is_set(config: Config, key: str) -> bool:
    """Whether a file or an override says something of the dotted key, be it the default."""
    section: Any = config
    for part in _parts(key):
        if part not in section.model_fields_set:
            return False
        section = getattr(section, part)
    return True


def value_of(config: Config, key: str) -> Any:
    """The value of the dotted key, of the model's with or without `model.`."""
    value: Any = config
    for part in _parts(key):
        value = getattr(value, part)
    return value


def save_config(config: Config, path: str) -> None:
    """Write the resolved configuration as JSON."""
    with replaced(path, "w") as file:
        file.write(config.model_dump_json(indent=2) + "\n")


def with_former_defaults(model: Dict[str, Any]) -> Dict[str, Any]:
    """The saved values of a `ModelConfig`, with what was so before there was a key for it.

    A resolved configuration holds all keys of its time; those that it lacks came later.
    """
    input = model.get("input")
    if not isinstance(input, dict) or "exif" in input:
        return model
    return {**model, "input": {**input, "exif": "ignore"}}


def _ask_for_code(overrides: Sequence[str]) -> bool:
    return any(names_code(_nested(*split_override(text))) for text in overrides)


def _read_with_bases(
    path: str, seen: Tuple[str, ...], of_run: bool = False
) -> Tuple[Dict[str, Any], Optional[str]]:
    """The settings of a file and its bases, and which of them names code though it is a run's."""
    if storage.is_folder(path) or is_single_file(path):
        path = os.path.join(path, "config.json")
        if storage.exists(path) and not storage.is_file(path):  # a pipe would be waited for
            raise InputError(f"{path} is no regular file.")
    try:
        real = storage.real(path)
    except ValueError as error:  # a NUL, or half a character
        raise InputError(f"{quoted(path)} is no name of a file: {error}.") from None
    if real in seen:
        raise InputError(f"{path}: its `base:` leads back to itself.")
    if len(seen) == _MAX_BASES:
        raise InputError(f"{path} is the last of {_MAX_BASES} bases of bases; use fewer.")
    raw = read_values(path)
    if path.endswith(".json") and isinstance(raw.get("model"), dict):  # of a run
        raw["model"] = with_former_defaults(raw["model"])
    of_run = of_run or path.endswith(".json")  # a run's bases are the run's
    source = path if of_run and names_code(raw) else None
    base = raw.pop("base", None)
    if base is None:
        return raw, source
    if place_in(path):  # may be a stranger's, and is to read no other files
        raise InputError(f"{path}: `base` is for YAML files; a single file holds all settings.")
    if not isinstance(base, str) or not base:
        raise InputError(f"{path}: `base` must be a file name, found {quoted(base)}.")
    below, below_source = _read_with_bases(find_base(base, path), (*seen, real), of_run)
    return _merged(below, raw), source if names_code(raw) else below_source


def _merged(low: Dict[str, Any], high: Dict[str, Any], prefix: str = "") -> Dict[str, Any]:
    out = dict(low)
    for key, value in high.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        both = both and f"{prefix}{key}" not in _WHOLE
        out[key] = _merged(out[key], value, f"{prefix}{key}.") if both else value
    return out


def split_override(text: str) -> Tuple[List[str], Any]:
    """`"input.min_side=512"` -> (["model", "input", "min_side"], 512).

    Raises:
        InputError: `text` has no "=" with a key before it, or its value is no YAML.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        shown = quoted(text)
        raise InputError(f"{shown} is no setting; write key=value, such as train.batch_size=4.")
    parts = _parts(key.strip())
    if len(parts) > _MAX_PARTS:
        raise InputError(f"There is no key {quoted(key)}.")
    for whole in _WHOLE:
        if ".".join(parts).startswith(f"{whole}."):
            raise InputError(f"{quoted(text)}: give {whole} as a whole, '{whole}={{...}}'.")
    try:
        return parts, read_value(value)
    except InputError as error:
        raise InputError(f"{quoted(text)}: {error}") from None


def _parts(key: str) -> List[str]:
    """Of a dotted key, which of a model's section may leave out `model.`."""
    parts = key.split(".")
    if parts[0] not in Config.model_fields and parts[0] in ModelConfig.model_fields:
        parts.insert(0, "model")
    return parts


def _nested(parts: List[str], value: Any) -> Dict[str, Any]:
    for part in reversed(parts):
        value = {part: value}
    return value
