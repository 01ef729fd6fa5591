"""An ONNX network as the nodes that `integer_nodes` chooses among."""

from typing import List, Tuple

from tfmaskrcnn.export.quantization.integer_nodes import Kinds, Node

_WEIGHTED = ("Conv", "Gemm", "MatMul")
_BETWEEN = ("Relu", "Clip", "Add", "MaxPool")
_OTHER_FEATURES = ("AveragePool", "Concat", "Mul", "Pad", "Reshape", "Resize", "RoiAlign", "Slice")
_OTHER_FEATURES += ("Squeeze", "Tile", "Transpose", "Unsqueeze")
KINDS = Kinds(
    weighted=_WEIGHTED,
    float_results=("Gemm", "MatMul"),  # a bias is added to them in a node of its own
    activations=("Relu", "Clip"),
    between=_BETWEEN,
    sums=("Add",),
    products=(),  # RoiAlign is one node, which has no kernel of eight bits
    features=_WEIGHTED + _BETWEEN + _OTHER_FEATURES,
    first_only=(*_WEIGHTED, "RoiAlign", "Reshape", "Tile", "Slice", "Pad", "Unsqueeze", "Squeeze"),
    behind=("Add", "Transpose", "Reshape"),
)


def onnx_nodes(model) -> Tuple[List[Node], str]:
    """The nodes of an `onnx.ModelProto`, which have names, and the tensor of its images."""
    constants = {tensor.name for tensor in model.graph.initializer}
    nodes = [
        Node(
            node.name,
            node.op_type,
            tuple("" if name in constants else name for name in node.input),
            tuple(node.output),
        )
        for node in model.graph.node  # ONNX demands that they are sorted by use
    ]
    return nodes, model.graph.input[0].name
