"""An ONNX file of float32 -> two with QuantizeLinear and DequantizeLinear around its features.

Two, because no form is fast in both: ONNX Runtime computes a convolution in integers if its result
is rounded too, and has its fast kernels for uint8; TensorRT takes int8 with zero points of 0 alone,
biases of float32, and wants no rounding between a convolution and its activation.
"""

import contextlib
import copy
import io
import os
import tempfile
from typing import Dict, Iterable, NamedTuple

import numpy as np

from tfmaskrcnn.export.onnx import of_the_extra
from tfmaskrcnn.export.quantization.integer_nodes import Choice, integer_nodes
from tfmaskrcnn.export.quantization.onnx_graph import KINDS, onnx_nodes
from tfmaskrcnn.support.files import replaced
from tfmaskrcnn.support.quiet import without_log_of_warnings

# What is quantised, or may be.
_ALL_KINDS = (*KINDS.weighted, *KINDS.between)


class Form(NamedTuple):
    """What a runtime wants of the file."""

    activations: str  # the name of a `QuantType`
    symmetric: bool  # zero points are 0
    integer_biases: bool
    float_results: tuple  # kinds of nodes whose results are not rounded


ONNX_RUNTIME = Form("QUInt8", False, True, KINDS.float_results)
TENSORRT = Form("QInt8", True, False, _ALL_KINDS)


def tensorrt_path(path: str) -> str:
    """Where the file for TensorRT lies, beside that for ONNX Runtime: "a.onnx" -> "a_trt.onnx"."""
    return f"{os.path.splitext(path)[0]}_trt.onnx"


def quantize(source: str, path: str, feeds: Iterable[Dict[str, np.ndarray]]) -> Choice:
    """Write the ONNX file `source` in eight bits, with the ranges that `feeds` give.

    Args:
        source: of float32, as `export.onnx.convert` writes it.
        path: the file to write for ONNX Runtime; `tensorrt_path` says where that for TensorRT is.
        feeds: inputs of the network by name, read once, one after the other.

    Returns:
        Which nodes are in eight bits, and which are not.

    Raises:
        InputError: onnxruntime or onnx is missing, or a file cannot be written.
    """
    onnx, library = of_the_extra("onnx"), of_the_extra("onnxruntime.quantization")
    with tempfile.TemporaryDirectory() as temporary:
        named = os.path.join(temporary, "named.onnx")
        model = _named(onnx, source, named)
        choice = integer_nodes(*onnx_nodes(model), KINDS)
        ranges = _ranges(library, named, feeds)
    for form, out in ((ONNX_RUNTIME, path), (TENSORRT, tensorrt_path(path))):
        written = _written(library, copy.deepcopy(model), choice, ranges, form)
        onnx.checker.check_model(written)
        with replaced(out) as file:
            file.write(written.SerializeToString())
    return choice


def _named(onnx, source: str, path: str):
    """The model in `source` with a name for each node and the type of each tensor, also saved."""
    model = onnx.shape_inference.infer_shapes(onnx.load(source))
    for i, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{i}"
    onnx.save(model, path)
    return model


def _ranges(library, path: str, feeds):
    """The least and the largest value of each tensor beside a node that may be in eight bits."""
    with contextlib.redirect_stdout(io.StringIO()):  # where it tells what it does
        calibrator = library.create_calibrator(
            path,
            list(_ALL_KINDS),
            os.path.join(os.path.dirname(path), "augmented.onnx"),
            library.CalibrationMethod.MinMax,
        )
        for feed in feeds:
            calibrator.collect_data(_Once(feed))
        return calibrator.compute_data()


class _Once:
    """The `CalibrationDataReader` of one batch, so that no more of them are in memory."""

    def __init__(self, feed: Dict[str, np.ndarray]):
        self._left = [feed]

    def get_next(self):
        return self._left.pop() if self._left else None


def _written(library, model, choice: Choice, ranges, form: Form):
    """The `onnx.ModelProto` in eight bits; changes `model`."""
    quantizer = library.QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=False,
        weight_qType=library.QuantType.QInt8,
        activation_qType=getattr(library.QuantType, form.activations),
        tensors_range=ranges,
        nodes_to_quantize=choice.integer,
        nodes_to_exclude=[],
        op_types_to_quantize=list(_ALL_KINDS),
        extra_options={
            "ActivationSymmetric": form.symmetric,
            "WeightSymmetric": True,
            "QuantizeBias": form.integer_biases,
            "OpTypesToExcludeOutputQuantization": list(form.float_results),
        },
    )
    with without_log_of_warnings():  # it remarks on each dead channel
        quantizer.quantize_model()
    quantizer.model.topological_sort()  # what is new stands at the end
    return quantizer.model.model
