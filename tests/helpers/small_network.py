"""An ONNX graph that has each part of a detector once, small enough to read."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE, CHANNELS, ROIS = 16, 8, 5


def small_network():
    """Features and a residual, a score an anchor, RoIAlign, two dense layers, a table of classes.

    Inputs `images` [1, 3, 16, 16] and `sizes` [1, 2]; outputs `objectness` [1, 1, 16, 16],
    `scores` [5, 4] and `row` [1, 6].
    """
    rng, weights = np.random.default_rng(0), {}

    def constant(name, *shape):
        weights[name] = rng.normal(0, 0.3, shape).astype(np.float32)
        return name

    def conv(source, name, out, kernel=3):
        inputs = CHANNELS if name != "stem" else 3
        parts = [constant(f"{name}/w", out, inputs, kernel, kernel), constant(f"{name}/b", out)]
        pads = [kernel // 2] * 4
        return helper.make_node("Conv", [source, *parts], [name], name, pads=pads)

    def node(kind, name, *inputs, **attributes):
        return helper.make_node(kind, inputs, [name], name, **attributes)

    weights["rois"] = np.float32([[0, 0, 8 + i, 8] for i in range(ROIS)])
    weights["index"] = np.zeros(ROIS, np.int64)
    weights["flat"] = np.int64([ROIS, CHANNELS * 4])
    nodes = [
        conv("images", "stem", CHANNELS),
        node("Relu", "stem_relu", "stem"),
        conv("stem_relu", "branch", CHANNELS),
        node("Add", "sum", "branch", "stem_relu"),
        node("Relu", "sum_relu", "sum"),
        conv("sum_relu", "objectness", 1, 1),
        node("RoiAlign", "crops", "sum_relu", "rois", "index", output_height=2, output_width=2),
        node("Reshape", "flattened", "crops", "flat"),
        node("MatMul", "fc", "flattened", constant("fc/w", CHANNELS * 4, 6)),
        node("Add", "fc_bias", "fc", constant("fc/b", 6)),
        node("Relu", "fc_relu", "fc_bias"),
        node("MatMul", "logits", "fc_relu", constant("logits/w", 6, 4)),
        node("Add", "logits_bias", "logits", constant("logits/b", 4)),
        node("Softmax", "scores", "logits_bias"),
        node("MatMul", "row", "sizes", constant("table", 2, 6)),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    sizes = helper.make_tensor_value_info("sizes", TensorProto.FLOAT, [1, 2])
    shapes = {"objectness": [1, 1, SIDE, SIDE], "scores": [ROIS, 4], "row": [1, 6]}
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()]
    kept = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "small", [images, sizes], outputs, kept)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def small_feeds(count=4):
    """Inputs of `small_network`."""
    rng = np.random.default_rng(1)
    for _ in range(count):
        images = rng.normal(size=(1, 3, SIDE, SIDE)).astype(np.float32)
        yield {"images": images, "sizes": np.float32([[1, 0]])}


def saved(path):
    """`path` with the network written to it."""
    onnx.save(small_network(), str(path))
    return str(path)
