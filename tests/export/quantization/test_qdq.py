"""Both files of a small network: their form, and that they compute what it does."""

import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

import tfmaskrcnn as mr
from helpers.small_network import saved, small_feeds
from tfmaskrcnn.export.quantization.qdq import quantize, tensorrt_path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Paths of float32, of eight bits for ONNX Runtime, and for TensorRT."""
    folder = tmp_path_factory.mktemp("qdq")
    source, path = saved(folder / "float32.onnx"), str(folder / "int8.onnx")
    quantize(source, path, small_feeds())
    return source, path, tensorrt_path(path)


def session(path, optimized=None):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if optimized:
        options.optimized_model_filepath = str(optimized)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def test_both_compute_what_the_file_of_float32_does(files):
    feed = next(small_feeds())
    expected, *others = (session(path).run(None, feed) for path in files)
    for found in others:
        for ours, theirs in zip(found[:2], expected):
            assert np.abs(ours - theirs).max() < 0.05 * np.abs(theirs).max()
            assert not np.array_equal(ours, theirs)
        np.testing.assert_array_equal(found[2], expected[2])  # the table is left alone


def test_onnx_runtime_computes_every_layer_of_features_in_integers(files, tmp_path):
    session(files[1], tmp_path / "optimized.onnx")
    kinds = [node.op_type for node in onnx.load(str(tmp_path / "optimized.onnx")).graph.node]
    assert kinds.count("QLinearConv") == 2 and "QLinearAdd" in kinds
    assert kinds.count("Conv") + kinds.count("FusedConv") == 1  # objectness


def test_tensorrt_s_file_has_zero_points_of_0_float_biases_and_no_rounding_before_a_relu(files):
    graph = onnx.load(files[2]).graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {node.output[0]: node for node in graph.node}
    kinds = {node.op_type for node in graph.node}
    assert kinds >= {"QuantizeLinear", "DequantizeLinear"}
    for node in graph.node:
        if "Linear" in node.op_type:
            zero = values[node.input[2]]
            assert zero.dtype == np.int8 and not zero.any()
        if node.op_type == "Conv":
            assert values[node.input[2]].dtype == np.float32
        if node.op_type == "Relu":
            assert makers[node.input[0]].op_type in ("Conv", "Add")


def test_weights_have_a_scale_a_channel_and_are_stored_as_integers(files):
    for path in files[1:]:
        graph = onnx.load(path).graph
        values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        makers = {node.output[0]: node for node in graph.node}
        (stem,) = [node for node in graph.node if node.name == "stem"]
        weights = makers[stem.input[1]]
        assert values[weights.input[0]].dtype == np.int8
        assert values[weights.input[1]].shape == (8,)


def test_a_missing_package_is_named_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime.quantization", None)
    with pytest.raises(mr.InputError, match=r"Cannot import onnxruntime.quantization.*\[onnx\]"):
        quantize(saved(tmp_path / "a.onnx"), str(tmp_path / "b.onnx"), small_feeds())
