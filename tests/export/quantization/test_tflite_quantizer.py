"""A small network in eight bits: its form, and that it computes what that of float32 does."""

import sys
from collections import Counter

import numpy as np
import pytest

import tfmaskrcnn as mr
from helpers.small_tflite import CHANNELS, small_tflite, small_tflite_feeds
from tfmaskrcnn.export.quantization import tflite_quantizer
from tfmaskrcnn.export.quantization.tflite_graph import tflite_nodes
from tfmaskrcnn.export.quantization.tflite_quantizer import quantize

pytest.importorskip("ai_edge_quantizer", reason="the extra tflite-int8, of Python 3.10 and newer")


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """The file of float32 and that in eight bits."""
    source = small_tflite(tmp_path_factory.mktemp("small"))
    return source, quantize(source, small_tflite_feeds())


def computed(content, interpreter):
    return interpreter(model_content=content).get_signature_runner()(**next(small_tflite_feeds(1)))


def read(content):
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools.flatbuffer_utils import read_model_from_bytearray

    return read_model_from_bytearray(content), schema


@pytest.mark.parametrize("package", ["ai_edge_litert.interpreter", "tensorflow.lite"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_it_computes_what_the_file_of_float32_does(contents, package):
    if package == "tensorflow.lite":
        import tensorflow as tf

        interpreter = tf.lite.Interpreter
    else:
        from ai_edge_litert.interpreter import Interpreter as interpreter
    expected, found = (computed(content, interpreter) for content in contents)
    for name in ("objectness", "scores"):
        assert np.abs(found[name] - expected[name]).max() < 0.05 * np.abs(expected[name]).max()
        assert not np.array_equal(found[name], expected[name])
    np.testing.assert_array_equal(found["row"], expected["row"])  # the table is left alone


def test_features_are_in_eight_bits_and_neither_scores_nor_shares_of_samples(contents):
    model, schema = read(contents[1])
    nodes, _ = tflite_nodes(model)
    tensors = {tensor.name.decode(): tensor for tensor in model.subgraphs[0].tensors}
    int8 = schema.TensorType.INT8
    kinds = Counter(node.kind for node in nodes if tensors[node.outputs[0]].type == int8)
    kinds.pop("QUANTIZE")
    assert kinds == {
        "CONV_2D": 2,
        "DEPTHWISE_CONV_2D": 1,
        "ADD": 2,
        "RESHAPE": 2,
        "GATHER": 2,
        "MUL": 2,
        "AVERAGE_POOL_2D": 1,
        "FULLY_CONNECTED": 1,
    }
    floats = Counter(node.kind for node in nodes if tensors[node.outputs[0]].type != int8)
    assert floats >= Counter(CONV_2D=1, FULLY_CONNECTED=2, SOFTMAX=1, LOGISTIC=1)


def test_weights_have_a_scale_a_channel_and_lie_where_kernels_want_them(contents):
    model, schema = read(contents[1])
    weights = [
        tensor
        for tensor in model.subgraphs[0].tensors
        if list(tensor.shape) == [CHANNELS, 3, 3, CHANNELS]
    ]
    assert [tensor.type for tensor in weights] == [schema.TensorType.INT8]
    assert len(weights[0].quantization.scale) == CHANNELS
    packed = schema.Model.GetRootAs(contents[1], 0)
    for i in range(packed.BuffersLength()):
        buffer = packed.Buffers(i)
        assert buffer.Offset() == 0  # not behind the FlatBuffer
        if not buffer.DataIsNone():
            assert buffer._tab.Vector(buffer._tab.Offset(4)) % 16 == 0


def test_ranges_are_the_least_and_largest_values_of_all_images(contents):
    feeds = list(small_tflite_feeds())
    larger = {"images": 5 * feeds[1]["images"], "sizes": feeds[1]["sizes"]}
    scales = []
    for feed in (feeds[:1], [feeds[0], larger], [larger, feeds[0]]):
        model, _ = read(quantize(contents[0], feed))
        images = [t for t in model.subgraphs[0].tensors if list(t.shape) == [1, 16, 16, 3]]
        scales += [t.quantization.scale[0] for t in images if t.quantization.scale is not None]
    assert len(scales) == 3 and scales[1] == scales[2] > 2 * scales[0]


def test_what_the_library_remarks_is_not_heard(contents, capfd):
    quantize(contents[0], small_tflite_feeds(1))
    assert capfd.readouterr() == ("", "")


def test_a_missing_package_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_quantizer.quantizer", None)
    with pytest.raises(mr.InputError, match=r"the package ai-edge-quantizer.*\[tflite-int8\]"):
        tflite_quantizer.check_packages()


def test_a_python_that_is_too_old_is_told_what_else_there_is(monkeypatch):
    monkeypatch.setattr(tflite_quantizer.sys, "version_info", (3, 9, 18))
    with pytest.raises(mr.InputError, match="needs Python 3.10 or newer; leave"):
        tflite_quantizer.check_packages()
