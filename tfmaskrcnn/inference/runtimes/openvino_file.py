"""ONNX files by OpenVINO, on the CPU."""

from tfmaskrcnn.inference.runtimes.file_network import Loaded, existing, unloadable
from tfmaskrcnn.support.extras import needed

# By itself it computes in bfloat16 where the CPU has it, which moves boxes by pixels.
_SETTINGS = {"INFERENCE_PRECISION_HINT": "f32"}


def load(path: str) -> Loaded:
    """What the file at `path` holds, as a function.

    Raises:
        InputError: OpenVINO is missing, or `path` is no model that it takes.
    """
    path = existing(path)
    openvino = needed("openvino", "openvino", "--runtime openvino needs", "openvino")
    try:
        core = openvino.Core()
        model = core.compile_model(core.read_model(path), "CPU", _SETTINGS)
        inputs = {port.get_any_name(): tuple(port.shape) for port in model.inputs}
        outputs = [port.get_any_name() for port in model.outputs]
    except Exception as error:  # RuntimeError of C++, whose first line names a source file
        raise unloadable(path, "OpenVINO", error) from None

    def run(known):
        found = model({name: known[name] for name in inputs})
        return {name: found[i] for i, name in enumerate(outputs)}

    return Loaded(inputs, outputs, run)
