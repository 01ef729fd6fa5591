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
        read = core.read_model(path)
        # Compiled, they may have names of tensors inside as well; their order stays.
        inputs = {port.get_any_name(): tuple(port.shape) for port in read.inputs}
        outputs = [port.get_any_name() for port in read.outputs]
        model = core.compile_model(read, "CPU", _SETTINGS)
    except Exception as error:  # RuntimeError of C++, whose first line names a source file
        raise unloadable(path, "OpenVINO", error) from None

    def run(known):
        found = model([known[name] for name in inputs])
        return {name: found[i] for i, name in enumerate(outputs)}

    return Loaded(inputs, outputs, run)
