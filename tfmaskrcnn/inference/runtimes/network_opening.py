"""Which runtime opens a file."""

import importlib
import os
from typing import Callable, Dict, Optional

from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.inference.exported import OUTPUTS
from tfmaskrcnn.inference.runtimes import RUNTIMES, host_nms
from tfmaskrcnn.inference.runtimes.file_network import FileNetwork, Loaded
from tfmaskrcnn.inference.runtimes.onnx_metadata import metadata_of

# Ending -> the runtimes that take such a file, the first by default; each is a module with `load`.
_MODULES: Dict[str, Dict[str, str]] = {
    ".onnx": {"onnxruntime": "onnx_file", "openvino": "openvino_file"},
    ".tflite": {"tflite": "tflite_file"},
}
_INPUTS = {"images", "sizes"}


def check_runtime(path: str, runtime: Optional[str]) -> None:
    """Refuse a `runtime` for what is no ONNX file.

    Raises:
        InputError: it is for another kind of model, or unknown.
    """
    if runtime is None:
        return
    if runtime not in RUNTIMES:
        raise InputError(f"runtime is {quoted(runtime)}; wanted one of {', '.join(RUNTIMES)}.")
    if not path.endswith(".onnx"):
        raise InputError(f"{path} is no .onnx file, which a runtime can be chosen for.")


def open_network(path: str, runtime: Optional[str] = None) -> FileNetwork:
    """The network in an .onnx or .tflite file; needs no TensorFlow where the runtime is installed.

    Args:
        path: as `export` has written it.
        runtime: of `RUNTIMES`, for an .onnx file; None takes ONNX Runtime.

    Raises:
        InputError: the runtime is missing, or `path` is no such model.
    """
    path = os.fspath(path)
    check_runtime(path, runtime)
    modules = _MODULES[os.path.splitext(path)[1]]
    name = modules[runtime or next(iter(modules))]
    load = importlib.import_module(f"tfmaskrcnn.inference.runtimes.{name}").load
    loaded = _whole(path, load(path), load)
    if set(loaded.inputs) != _INPUTS or not set(OUTPUTS) <= set(loaded.outputs):
        raise InputError(
            f"{path} is no model of this package: its inputs are "
            f"{quoted(sorted(loaded.inputs), 150)}."
        )
    return FileNetwork(path, loaded.inputs["images"], loaded.run)


def _whole(path: str, first: Loaded, load: Callable[[str], Loaded]) -> Loaded:
    """What `first` is, or all the files of `--nms host` that the file at `path` is the first of."""
    text = metadata_of(path).get(host_nms.KEY) if path.endswith(".onnx") else None
    if text is None:
        return first
    plan = host_nms.from_text(text, path)
    others = [load(each) for each in host_nms.existing_parts(path)[1:]]
    run = host_nms.chained([part.run for part in (first, *others)], plan)
    return Loaded(first.inputs, plan.outputs, run)
