"""TFLite files by the plain interpreter: LiteRT's, else TensorFlow's."""

import warnings

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.runtimes.file_network import Loaded, existing, unloadable
from tfmaskrcnn.inference.runtimes.tflite_structure import check_tflite
from tfmaskrcnn.support.quiet import without_native_output

SIGNATURE = "network"


def load(path: str) -> Loaded:
    """What the signature `network` of the file at `path` holds, as a function.

    Raises:
        InputError: there is no interpreter, or `path` is no model that it takes.
    """
    path = existing(path)
    check_tflite(path)
    interpreter_class = _interpreter_class()
    try:
        with warnings.catch_warnings(), without_native_output():
            warnings.simplefilter("ignore")  # TensorFlow's praise of LiteRT
            interpreter = interpreter_class(model_path=path)
            interpreter.allocate_tensors()
        signature = interpreter.get_signature_list().get(SIGNATURE)
    except Exception as error:  # of a damaged one; also `UnicodeDecodeError` of a name
        raise unloadable(path, "TFLite", error) from None
    if signature is None:
        return Loaded({}, (), lambda feed: feed)
    run = interpreter.get_signature_runner(SIGNATURE)
    details = run.get_input_details()
    inputs = {name: tuple(int(n) for n in each["shape"]) for name, each in details.items()}
    return Loaded(inputs, tuple(signature["outputs"]), lambda feed: run(**feed))


def _interpreter_class():
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        try:
            import tensorflow as tf
        except ImportError:
            raise InputError(
                "TFLite files need the package ai-edge-litert: pip install 'tfmaskrcnn[tflite]'."
            ) from None
        return tf.lite.Interpreter
    return Interpreter
