"""SavedModel -> TFLite of built-in operations alone, and its runner."""

import os
import tempfile
import warnings
from typing import Dict, Optional, Tuple

import numpy as np

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.export.check import Network, ready_inputs
from tfmaskrcnn.export.frozen import freeze
from tfmaskrcnn.export.tflite_ops import rebuild
from tfmaskrcnn.export.tflite_structure import check_tflite
from tfmaskrcnn.inference.exported import OUTPUTS
from tfmaskrcnn.support.files import replaced
from tfmaskrcnn.support.interrupts import heard_at_last
from tfmaskrcnn.support.quiet import without_native_output

SIGNATURE = "network"


def convert(
    folder: str,
    path: str,
    batch: int = 1,
    size: Optional[Tuple[int, int]] = None,
    precision: str = "float32",
) -> Tuple[int, int, int, int]:
    """Write the signature `network` of a SavedModel as a TFLite file.

    Args:
        folder: a SavedModel made by `export_saved_model`.
        path: the file to write; its one signature has the inputs and outputs of `network`.
        batch: B, fixed.
        size: (height, width), see `frozen.freeze`.
        precision: of the weights: "float32", "float16" (half the file), or "int8" (a quarter;
            activations of convolutions are quantised on the fly, inputs and outputs stay float32).

    Returns:
        The shape (B, H, W, C) of its input `images`.

    Raises:
        InputError: `folder` cannot be converted, or `path` not be written.
    """
    import tensorflow as tf

    network = freeze(folder, batch, size)
    with tempfile.TemporaryDirectory() as temporary, without_native_output(), heard_at_last():
        # The file gets named inputs and outputs only on the way through a SavedModel.
        module = tf.Module()
        signature = tf.function(
            lambda images, sizes: rebuild(network, {"images": images, "sizes": sizes}),
            input_signature=[
                tf.TensorSpec(network.shape, tf.float32, "images"),
                tf.TensorSpec([batch, 2], tf.float32, "sizes"),
            ],
        )
        tf.saved_model.save(module, temporary, {SIGNATURE: signature})
        converter = tf.lite.TFLiteConverter.from_saved_model(temporary, [SIGNATURE])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        try:
            content = converter.convert()
        except Exception as error:  # ConverterError, or what MLIR makes of it
            reason = str(error).strip().splitlines()[0]
            raise InputError(f"{folder} does not convert to TFLite: {reason}") from None
    with replaced(path) as file:
        file.write(content)
    return network.shape


def predictor(path: str, threads: Optional[int] = None) -> Network:
    """A TFLite file as a function, run by the plain interpreter: LiteRT's, else TensorFlow's.

    Args:
        path: as written by `convert`.
        threads: of the CPU; None lets the interpreter choose.

    Returns:
        A function from images [B, H, W, C] float32, preprocessed as the signature `network` wants
        them, and sizes [B, 2] float32 to the arrays of that signature's outputs by name.

    Raises:
        InputError: `path` is no such model.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise InputError(f"There is no file {path}.")
    check_tflite(path)
    try:
        with warnings.catch_warnings(), without_native_output():
            warnings.simplefilter("ignore")  # TensorFlow's praise of LiteRT
            interpreter = _interpreter_class()(model_path=path, num_threads=threads)
            interpreter.allocate_tensors()
        signature = interpreter.get_signature_list().get(SIGNATURE, {})
    except Exception as error:  # of a damaged one; also `UnicodeDecodeError` of a name
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InputError(f"{path} is no model that TFLite can load: {reason}") from None
    if set(signature.get("inputs", ())) != {"images", "sizes"} or not set(OUTPUTS) <= set(
        signature["outputs"]
    ):
        raise InputError(f"{path} is no TFLite model of this package: it has no such signature.")
    run_signature = interpreter.get_signature_runner(SIGNATURE)
    shape = tuple(int(n) for n in run_signature.get_input_details()["images"]["shape"])

    def run(images: np.ndarray, sizes: np.ndarray) -> Dict[str, np.ndarray]:
        return run_signature(**ready_inputs(images, sizes, shape, path))

    return run


def _interpreter_class():
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        import tensorflow as tf

        return tf.lite.Interpreter
    return Interpreter
