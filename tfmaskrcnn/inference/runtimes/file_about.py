"""What an ONNX or TFLite file says of itself: one JSON text that `export` puts into it."""

import functools
import json
import os
from typing import Any, Dict, Optional, Sequence

from tfmaskrcnn.config.model import InputConfig, ModelConfig
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.runtimes import onnx_metadata, tflite_structure
from tfmaskrcnn.inference.runtimes.file_network import existing

# The files' kinds, by their endings.
KINDS = {".onnx": "ONNX file", ".tflite": "TFLite file"}
KEY = "tfmaskrcnn"  # of the metadata entry
FORMAT = 1  # a reader refuses what is higher
# Where a file has what lies among the assets of a SavedModel.
_SECTIONS = {
    "config.json": "model",
    "thresholds.json": "thresholds",
    "trained_sizes.json": "trained_sizes",
}
_EXPORT = ("versions", "options", "trained")  # of export.json


def is_model_file(path: str) -> bool:
    """Whether `path` is by its name what ONNX Runtime or TFLite reads, and no folder."""
    return os.path.splitext(os.fspath(path))[1] in KINDS and not os.path.isdir(path)


def kind_of_file(path: str) -> str:
    """The kind of a file: "ONNX file" or "TFLite file"."""
    return KINDS[os.path.splitext(path)[1]]


def file_about(path: str) -> Dict[str, Any]:
    """What the file at `path` says of itself.

    Returns:
        `format`, `model` (a configuration as in config.json), `thresholds` (as in thresholds.json,
        or None), `trained_sizes`, `options`, `versions`, `nms` ("graph" or "host"), `precision`;
        empty of a file that says nothing, which another program or an earlier version wrote.

    Raises:
        InputError: it cannot be read, is damaged, or of a newer version.
    """
    text = _text(existing(path))
    if text is None:
        return {}
    try:
        about = json.loads(text)
    except ValueError:
        about = None
    model = about.get("model") if isinstance(about, dict) else None
    if not isinstance(model, dict) or not isinstance(model.get("input"), dict):
        raise InputError(f"What {path} says of itself is damaged; export it again.")
    if about.get("format") != FORMAT:
        raise InputError(
            f"{path} was exported by a newer version (format {about.get('format')!r:.20}, "
            f"{FORMAT} is known here); update this one, or export it again."
        )
    return about


def check_described(path: str) -> None:
    """Refuse a file that does not say what it holds, or says what cannot be.

    Raises:
        InputError: it says nothing, or what `file_about` raises.
    """
    about = file_about(path)
    if not about:
        raise InputError(
            f"{path} does not say which classes it finds and how images are prepared for it, as "
            "files of today do: export it again. (`compare` takes it behind the run or SavedModel "
            "that it was made of.)"
        )
    model_config(about["model"], path)


def model_config(told: Dict[str, Any], path: str) -> ModelConfig:
    """The configuration that the exported model at `path` tells of itself.

    Raises:
        InputError: it is of another version.
    """
    try:
        return ModelConfig(**told)
    except (TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"The configuration in {path} is of another version: {reason}") from None


def file_asset(path: str, name: str) -> Any:
    """What the JSON file `name` among a SavedModel's assets would hold; empty if nothing."""
    about = file_about(path)
    if name == "export.json":
        return {key: about[key] for key in _EXPORT if key in about}
    return about.get(_SECTIONS[name]) or {}


def input_of_size(section: Dict[str, Any], size: Sequence[int]) -> Dict[str, Any]:
    """The `input` section of a model whose network takes images of `size` (height, width) alone."""
    static = InputConfig.model_construct(**section).static_size  # whatever else it may hold
    if static and tuple(static) == tuple(size):
        return section
    return {**section, "fixed_size": list(size), "pad_multiple": 32}


def _text(path: str) -> Optional[str]:
    """What it says, read once of a file that does not change: opening it asks several times."""
    state = os.stat(path)
    return _read(path, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=8)
def _read(path: str, changed: int, size: int) -> Optional[str]:
    if path.endswith(".onnx"):
        return onnx_metadata.metadata_of(path).get(KEY)
    content = tflite_structure.metadata_of(path, KEY)
    return None if content is None else content.decode("utf-8", errors="replace")
