"""SavedModel -> TFLite of built-in operations alone."""

import tempfile
from typing import Optional, Tuple

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.export.frozen import freeze
from tfmaskrcnn.export.tflite_ops import rebuild
from tfmaskrcnn.inference.runtimes.tflite_file import SIGNATURE
from tfmaskrcnn.support.files import replaced
from tfmaskrcnn.support.interrupts import heard_at_last
from tfmaskrcnn.support.quiet import without_native_output


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
