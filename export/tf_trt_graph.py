"""The graphs behind `tf_trt.py`: one fixed shape with all constants folded, and what TensorRT took.

Needs only TensorFlow and NumPy; copy it together with `tf_trt.py`.
"""

import os
import re
from typing import Dict, List, NamedTuple, Sequence

import numpy as np
import tensorflow as tf

# Nodes that only hand a tensor on. Their gradients' registrations would also stop the saving.
_PASSING = ("Identity", "StopGradient", "IdentityN", "PreventGradient")
_FREE = ("Const", "Placeholder", "NoOp", "_Arg", "_Retval", *_PASSING)
_MATMULS = ("MatMul", "_FusedMatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")
_CONVOLUTIONS = ("Conv2D", "_FusedConv2D")
TOO_SMALL = "converts, but in a segment below --minimum-segment-size"
UNSAID = "the log does not say why"
KEPT_OUT = "box arithmetic stays in float32, see --box-arithmetic"


class Network(NamedTuple):
    """A frozen graph with the names of its tensors."""

    graph_def: tf.compat.v1.GraphDef
    inputs: List[str]  # of images [B, H, W, C] and sizes [B, 2], float32
    outputs: Dict[str, str]  # by the signature's names


def pin(signature, shape: Sequence[int]) -> Network:
    """The `network` signature for one shape (B, H, W), all that is constant then as constants.

    Grappler by itself leaves anchors and shapes to be computed, since their results are larger
    than 100 kB, and TensorRT takes neither Shape nor Range.
    """
    batch, height, width = shape
    channels = signature.structured_input_signature[1]["images"].shape[3]
    function = tf.function(
        lambda images, sizes: signature(images=images, sizes=sizes),
        input_signature=[
            tf.TensorSpec([batch, height, width, channels], tf.float32, "images"),
            tf.TensorSpec([batch, 2], tf.float32, "sizes"),
        ],
    ).get_concrete_function()
    frozen = freeze(function)
    inputs, names = [t.name for t in frozen.inputs], [t.name for t in frozen.outputs]
    outputs = dict(zip(sorted(function.structured_outputs), names))
    keep = [name.split(":")[0] for name in (*names, *inputs)]
    graph_def = _used(_without_passing(frozen.graph.as_graph_def(), keep), keep)
    return Network(_used(_folded(graph_def), keep), inputs, outputs)


def freeze(function):
    """A signature with its variables as constants and its calls inlined."""
    # Not public, but the way TrtGraphConverterV2 goes; the same in TensorFlow 2.6 to 2.21.
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    return convert_variables_to_constants_v2(function)


def save(network: Network, folder: str) -> None:
    """Write `network` as a SavedModel with the signature `network`."""
    run = tf.compat.v1.wrap_function(
        lambda: tf.graph_util.import_graph_def(network.graph_def, name=""), []
    )
    run = run.prune(network.inputs, list(network.outputs.values()))
    specs = [tf.TensorSpec(t.shape, t.dtype, t.name.split(":")[0]) for t in run.inputs]
    module = tf.Module()
    module.run = run
    module.network = tf.function(
        lambda images, sizes: dict(zip(network.outputs, run(images, sizes))), input_signature=specs
    )
    tf.saved_model.save(module, folder, signatures={"network": module.network})


def _imported(graph_def) -> tf.Graph:
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(graph_def, name="")
    return graph


def _used(graph_def, keep):
    """`graph_def` without what the nodes `keep` do not depend on."""
    nodes = {node.name: node for node in graph_def.node}
    used, waiting = set(), list(keep)
    while waiting:
        name = waiting.pop()
        if name not in used:
            used.add(name)
            waiting.extend(reference.split(":")[0] for reference in nodes[name].input)
    out = tf.compat.v1.GraphDef(versions=graph_def.versions, library=graph_def.library)
    out.node.extend(node for node in graph_def.node if node.name in used)
    return out


def _without_passing(graph_def, keep):
    """No nodes that only pass on, no control inputs: a detector has no side effects."""
    nodes = {node.name: node for node in graph_def.node}

    def source(reference):
        name, _, port = reference.partition(":")
        while nodes[name].op in _PASSING and name not in keep:
            reference = nodes[name].input[int(port or 0)]
            name, _, port = reference.partition(":")
        return reference

    for node in graph_def.node:
        inputs = [source(i) for i in node.input if not i.startswith("^")]
        del node.input[:]
        node.input.extend(inputs)
    for node in graph_def.node:
        node.attr.pop("_gradient_op_type", None)
        node.device = ""
    return graph_def


def _folded(graph_def):
    """`graph_def` with every tensor that does not depend on the inputs as a constant."""
    shapes = {}
    for op in _imported(graph_def).get_operations():
        if op.type in ("Shape", "Size") and op.inputs[0].shape.is_fully_defined():
            value = op.inputs[0].shape.as_list()
            value = value if op.type == "Shape" else np.prod(value)
            shapes[op.name] = np.array(value, op.outputs[0].dtype.as_numpy_dtype)
    graph_def = _with_constants(graph_def, shapes)
    graph, constant = _imported(graph_def), set()
    for op in graph.get_operations():  # in topological order
        if op.type == "Const" or (
            op.inputs and not op.op_def.is_stateful and all(t.op in constant for t in op.inputs)
        ):
            constant.add(op)
    wanted = [
        op.outputs[0]
        for op in constant
        if op.type != "Const" and len(op.outputs) == 1
        if any(user not in constant for user in op.outputs[0].consumers())
    ]
    with tf.compat.v1.Session(graph=graph) as session:
        values = session.run(wanted)
    return _with_constants(graph_def, {t.op.name: value for t, value in zip(wanted, values)})


def _with_constants(graph_def, values):
    out = tf.compat.v1.GraphDef(versions=graph_def.versions, library=graph_def.library)
    for node in graph_def.node:
        if node.name in values:
            node = tf.compat.v1.NodeDef(name=node.name, op="Const")
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values[node.name]))
            node.attr["dtype"].type = node.attr["value"].tensor.dtype
        out.node.append(node)
    return out


def flops(graph_def) -> Dict[str, int]:
    """Operations (2 a multiply-add) of each convolution and matrix product, by node name."""
    counts = {op.name: _flops_of(op) for op in _imported(graph_def).get_operations()}
    return {name: count for name, count in counts.items() if count}


def _flops_of(op) -> int:
    if op.type in _CONVOLUTIONS:
        height, width, channels, _ = op.inputs[1].shape.as_list()
        return 2 * op.outputs[0].shape.num_elements() * height * width * channels
    if op.type == "DepthwiseConv2dNative":
        height, width = op.inputs[1].shape.as_list()[:2]
        return 2 * op.outputs[0].shape.num_elements() * height * width
    if op.type == "Conv2DBackpropInput":  # a transposed convolution: its input times its kernel
        height, width, channels, _ = op.inputs[1].shape.as_list()
        return 2 * op.inputs[2].shape.num_elements() * height * width * channels
    if op.type in _MATMULS:
        flip = op.get_attr("adj_x" if op.type.startswith("Batch") else "transpose_a")
        inner = op.inputs[0].shape[-2 if flip else -1]
        return 2 * op.outputs[0].shape.num_elements() * inner
    return 0


def saved_program(folder: str):
    """(nodes of the network, {engine: its nodes}) of a converted SavedModel."""
    from tensorflow.core.protobuf import saved_model_pb2

    proto = saved_model_pb2.SavedModel()
    with open(os.path.join(folder, "saved_model.pb"), "rb") as file:
        proto.ParseFromString(file.read())
    functions = {
        f.signature.name: list(f.node_def) for f in proto.meta_graphs[0].graph_def.library.function
    }
    segments = {
        node.name: node.attr["segment_func"].func.name
        for nodes in functions.values()
        for node in nodes
        if node.op == "TRTEngineOp"
    }
    engines = {engine: functions[segment] for engine, segment in segments.items()}
    others = [nodes for name, nodes in functions.items() if name not in segments.values()]
    network = max(others, key=lambda nodes: (sum(n.name in engines for n in nodes), len(nodes)))
    return network, engines


def reasons(log: str) -> Dict[str, str]:
    """Why TF-TRT leaves operations out, by type, from the detailed report in its log."""
    found, op = {}, None
    for line in log.splitlines():
        head = re.search(r"- (\w+) -> \d+x", line)
        why = re.search(r"- \[Count: \d+x\] (.*)", line)
        if head:
            op = head.group(1)
        elif why and op:
            text = why.group(1).strip()
            found.setdefault(op, []).append(KEPT_OUT if "TF_TRT_OP_DENYLIST" in text else text)
    return {op: "; ".join(dict.fromkeys(each)) for op, each in found.items()}


def coverage(network, engines, counts: Dict[str, int], why: Dict[str, str]) -> dict:
    """What of a converted network lies in engines.

    Args:
        network: nodes of the program; `engines`, by name, the nodes of each engine.
        counts: FLOPs by node name, from `flops`.
        why: the reasons by type, from `reasons`.

    Returns:
        JSON: `engines` (name, nodes, matrix_ops, gflop), `gflop`, `share` (of it in engines; None
        if there is none) and `outside` (op, name, gflop, reason).
    """

    def size(nodes):
        return sum(counts.get(node.name, 0) for node in nodes)

    listed = [
        {
            "name": name,
            "nodes": len(nodes),
            "matrix_ops": sum(node.name in counts for node in nodes),
            "gflop": size(nodes) / 1e9,
        }
        for name, nodes in engines.items()
    ]
    left = [node for node in network if node.op not in (*_FREE, "TRTEngineOp")]
    inside = sum(size(nodes) for nodes in engines.values())
    total = inside + size(left)
    outside = [
        {
            "op": node.op,
            "name": node.name,
            "gflop": counts.get(node.name, 0) / 1e9,
            "reason": why.get(node.op, TOO_SMALL if why else UNSAID),
        }
        for node in left
    ]
    return {
        "engines": sorted(listed, key=lambda engine: -engine["gflop"]),
        "gflop": total / 1e9,
        "share": inside / total if total else None,
        "outside": outside,
    }


def table(report: dict) -> str:
    """A coverage report for the terminal."""
    engines, outside = report["engines"], report["outside"]
    share = "" if report["share"] is None else f", {100 * report['share']:.2f} % of them in engines"
    lines = [
        f"{report['gflop']:.2f} GFLOP in convolutions and matrix products{share}",
        "",
        "  engine                     nodes     GFLOP   convolutions and matrix products",
    ]
    lines += [
        "  {name:<25}  {nodes:5}  {gflop:8.2f}   {matrix_ops}".format(**engine)
        for engine in engines
    ] or ["  none"]
    lines += ["", "  outside                    count     GFLOP   reason"]
    groups = {}
    for node in outside:
        groups.setdefault((node["reason"], node["op"]), []).append(node["gflop"])
    lines += [
        f"  {op:<25}  {len(gflop):5}  {sum(gflop):8.2f}   {reason}"
        for (reason, op), gflop in sorted(groups.items(), key=lambda g: (g[0][0], -len(g[1])))
    ] or ["  nothing"]
    return "\n".join(lines)
