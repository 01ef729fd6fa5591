"""SavedModel -> TFLite in eight bits: the file of float32, calibrated and written anew."""

import os
import tempfile
from typing import Optional, Sequence, Tuple

from tfmaskrcnn.export import tflite as portable
from tfmaskrcnn.export.quantization.calibration_images import feeds
from tfmaskrcnn.export.quantization.tflite_graph import KINDS, tflite_nodes
from tfmaskrcnn.export.quantization.tflite_quantizer import check_packages, quantize
from tfmaskrcnn.export.quantization.told import refuse_other_precisions, summary_text
from tfmaskrcnn.support.files import replaced

# What else is told to stay in float32.
_TOLD = ("BATCH_MATMUL", "TOPK_V2", "NON_MAX_SUPPRESSION_V4", "SOFTMAX", "LOGISTIC")


def convert(
    folder: str,
    path: str,
    batch: int = 1,
    size: Optional[Tuple[int, int]] = None,
    precision: str = "int8",
    calibration: Sequence[str] = (),
) -> Tuple[int, int, int, int]:
    """Write the signature `network` of a SavedModel as a TFLite file in eight bits.

    Args:
        folder: a SavedModel of float32.
        path: the file to write; inputs and outputs are float32.
        batch: B, fixed.
        size: (height, width), see `frozen.freeze`.
        precision: "int8".
        calibration: paths of image files like those to come.

    Returns:
        The shape (B, H, W, C) of its input `images`.

    Raises:
        InputError: as `export.tflite.convert`; the extra is missing, an image cannot be read, or
            the SavedModel is of another precision.
    """
    refuse_other_precisions(folder)
    check_packages()
    with tempfile.TemporaryDirectory() as temporary:
        source = os.path.join(temporary, "float32.tflite")
        shape = portable.convert(folder, source, batch, size)
        with open(source, "rb") as file:
            content = file.read()
    quantized = quantize(content, feeds(folder, calibration, shape))
    with replaced(path) as file:
        file.write(quantized)
    return shape


def summary(path: str) -> str:
    """What a file in eight bits computes in integers and what not, as lines for a terminal."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils as files

    model = files.read_model(path)
    graph = model.subgraphs[0]
    integers = {t.name.decode() for t in graph.tensors if t.type == schema.TensorType.INT8}
    nodes, _ = tflite_nodes(model)
    weighted = [node for node in nodes if node.kind in KINDS.weighted]
    last = [node.name for node in weighted if node.outputs[0] not in integers]
    kinds = {node.kind for node in nodes}
    return summary_text(len(weighted) - len(last), last, [kind for kind in _TOLD if kind in kinds])
