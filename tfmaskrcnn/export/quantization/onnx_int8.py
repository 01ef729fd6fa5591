"""SavedModel -> ONNX in eight bits: the file of float32, calibrated and written anew."""

import os
import tempfile
from typing import Optional, Sequence, Tuple

from tfmaskrcnn.export import onnx as portable
from tfmaskrcnn.export.onnx import trtexec_command  # noqa: F401, of any ONNX file
from tfmaskrcnn.export.quantization.calibration_images import feeds
from tfmaskrcnn.export.quantization.onnx_graph import KINDS
from tfmaskrcnn.export.quantization.qdq import quantize
from tfmaskrcnn.export.quantization.told import refuse_other_precisions, summary_text

# What else is told to stay in float32.
_TOLD = ("RoiAlign", "TopK", "NonMaxSuppression", "Softmax", "Sigmoid")


def convert(
    folder: str,
    path: str,
    batch: int = 1,
    size: Optional[Tuple[int, int]] = None,
    precision: str = "int8",
    calibration: Sequence[str] = (),
) -> Tuple[int, int, int, int]:
    """Write the signature `network` of a SavedModel as ONNX files in eight bits.

    Args:
        folder: a SavedModel of float32.
        path: the file for ONNX Runtime; that for TensorRT lies beside it (`qdq.tensorrt_path`).
        batch: B, fixed.
        size: (height, width), see `frozen.freeze`.
        precision: "int8".
        calibration: paths of image files like those to come.

    Returns:
        The shape (B, H, W, C) of its input `images`.

    Raises:
        InputError: as `export.onnx.convert`; an image cannot be read, or the SavedModel is of
            another precision.
    """
    refuse_other_precisions(folder)
    with tempfile.TemporaryDirectory() as temporary:
        source = os.path.join(temporary, "float32.onnx")
        shape = portable.convert(folder, source, batch, size)
        quantize(source, path, feeds(folder, calibration, shape))
    return shape


def summary(path: str) -> str:
    """What a file in eight bits computes in integers and what not, as lines for a terminal."""
    import onnx

    nodes = onnx.load(path).graph.node
    rounded = {node.output[0] for node in nodes if node.op_type == "DequantizeLinear"}
    integer, last, kinds = 0, [], []
    for node in nodes:
        if node.op_type not in KINDS.weighted:
            kinds.append(node.op_type)
        elif set(node.input[:2]) <= rounded:
            integer += 1
        else:
            last.append(node.name)
    return summary_text(integer, last, [kind for kind in _TOLD if kind in kinds])
