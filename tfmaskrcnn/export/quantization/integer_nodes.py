"""Which nodes of an ONNX network compute in eight bits, found by what stands around them.

Eight bits hold features and weights. They do not hold coordinates (a step would be several pixels)
nor what is compared and sorted, so integers end where features do.
"""

from typing import List, NamedTuple, Set

# What holds nearly all multiplications: by constant weights.
WEIGHTED = ("Conv", "Gemm", "MatMul")
# Elementwise, between two of those in eight bits.
BETWEEN = ("Relu", "Clip", "Add", "MaxPool")
ACTIVATIONS = ("Relu", "Clip")
# Through these features stay features. Beyond any other (TopK, Softmax, Exp, ...) they are scores,
# coordinates or indices. The second input of RoiAlign, and so on, are no features.
_FEATURES = WEIGHTED + BETWEEN
_FEATURES += ("AveragePool", "Concat", "Mul", "Pad", "Reshape", "Resize", "RoiAlign", "Slice")
_FEATURES += ("Squeeze", "Tile", "Transpose", "Unsqueeze")
_FIRST_ONLY = WEIGHTED + ("RoiAlign", "Reshape", "Tile", "Slice", "Pad", "Unsqueeze", "Squeeze")


class Choice(NamedTuple):
    """What computes in eight bits, and what does not although it multiplies by weights."""

    integer: List[str]  # names of nodes
    last: List[str]  # of the layers that end in logits or deltas: float


def integer_nodes(model) -> Choice:
    """Choose by rules among the nodes of `model`, an `onnx.ModelProto` with names for its nodes.

    1. Convolutions and matrix products of features by constant weights, but for the last layers.
    2. A last layer is followed by no activation, and no other weighted layer reads what it makes:
       objectness, classes, deltas of boxes.
    3. Activations, sums and pooling of what is in eight bits alone.
    """
    nodes = list(model.graph.node)  # ONNX demands that they are sorted by use
    constants = {tensor.name for tensor in model.graph.initializer}
    features = _features(nodes, {model.graph.input[0].name}, constants)
    weighted = [node for node in nodes if _is_weighted(node, features, constants)]
    last = {node.name for node in weighted if _is_last(node, nodes, weighted, constants)}
    chosen = {node.name for node in weighted} - last
    tensors = {node.input[0] for node in weighted if node.name in chosen}
    tensors |= {node.output[0] for node in weighted if node.name in chosen and _is_conv(node)}
    for node in nodes:
        data = _data(node, constants)
        if node.op_type in BETWEEN and data <= tensors and len(data) == 1 + (node.op_type == "Add"):
            chosen.add(node.name)
            tensors.add(node.output[0])
    return Choice(
        [node.name for node in nodes if node.name in chosen],
        [node.name for node in nodes if node.name in last],
    )


def _features(nodes, start: Set[str], constants: Set[str]) -> Set[str]:
    """Names of the tensors that are features, given those of `start`."""
    features = set(start)
    for node in nodes:
        if node.op_type in _FEATURES and _data(node, constants) & features:
            features.add(node.output[0])
    return features


def _data(node, constants: Set[str]) -> Set[str]:
    """The inputs that may be features: no constants, and of some kinds only the first."""
    inputs = node.input[:1] if node.op_type in _FIRST_ONLY else node.input
    return {name for name in inputs if name and name not in constants}


def _is_weighted(node, features: Set[str], constants: Set[str]) -> bool:
    inputs = node.input
    return node.op_type in WEIGHTED and inputs[0] in features and inputs[1] in constants


def _is_conv(node) -> bool:
    """Whether its result is in eight bits too: a matrix product adds its bias to it in float."""
    return node.op_type == "Conv"


def _is_last(node, nodes, weighted, constants: Set[str]) -> bool:
    reached = _features(nodes, {node.output[0]}, constants)
    if any(other.input[0] in reached for other in weighted if other is not node):
        return False
    readers = [other for other in nodes if node.output[0] in other.input]
    # A matrix product adds its bias in a node of its own.
    while len(readers) == 1 and readers[0].op_type in ("Add", "Transpose", "Reshape"):
        output = readers[0].output[0]
        readers = [other for other in nodes if output in other.input]
    return not any(reader.op_type in ACTIVATIONS for reader in readers)
