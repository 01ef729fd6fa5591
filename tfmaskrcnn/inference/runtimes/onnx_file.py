"""ONNX files by ONNX Runtime, on the CPU."""

import contextlib
import io

from tfmaskrcnn.inference.runtimes.file_network import Loaded, existing, unloadable
from tfmaskrcnn.support.extras import needed


def load(path: str) -> Loaded:
    """What the file at `path` holds, as a function.

    Raises:
        InputError: ONNX Runtime is missing, or `path` is no model that it takes.
    """
    path = existing(path)
    runtime = needed("onnxruntime", "onnxruntime", "ONNX files need", "onnx")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # where it prints a box of stars
            session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        outputs = [value.name for value in session.get_outputs()]
        inputs = {value.name: tuple(value.shape) for value in session.get_inputs()}
    except Exception as error:  # its classes have no common base
        raise unloadable(path, "ONNX Runtime", error) from None

    def run(known):
        found = session.run(outputs, {name: known[name] for name in inputs})
        return dict(zip(outputs, found))

    return Loaded(inputs, outputs, run)
