"""A TFLite network as the nodes that `integer_nodes` chooses among."""

from typing import List, Tuple

from tfmaskrcnn.export.quantization.integer_nodes import Kinds, Node

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_ACTIVATIONS = ("RELU", "RELU6")
# RoIAlign is made of these, after which features are still features of the same range.
_BETWEEN = ("ADD", "AVERAGE_POOL_2D", "CONCATENATION", "GATHER", "MAX_POOL_2D", "PAD", "RELU")
_BETWEEN += ("RESHAPE", "STRIDED_SLICE")
KINDS = Kinds(
    weighted=_WEIGHTED,
    float_results=(),  # biases are part of them
    activations=_ACTIVATIONS,
    between=_BETWEEN,
    sums=("ADD",),
    products=("MUL",),
    features=(*_WEIGHTED, *_ACTIVATIONS, *_BETWEEN, "MUL", "SPLIT", "TILE", "TRANSPOSE"),
    first_only=(*_WEIGHTED, "GATHER", "PAD", "RESHAPE", "STRIDED_SLICE", "TILE", "TRANSPOSE"),
    behind=("RESHAPE",),
)
_NO_ACTIVATION = 0  # of TFLite's `ActivationFunctionType`


def tflite_nodes(model) -> Tuple[List[Node], str]:
    """The operators of a TFLite model, named by what they make, and the tensor of its images.

    Args:
        model: LiteRT's `ModelT` of one graph, whose signature has an input "images".
    """
    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    names = [tensor.name.decode() for tensor in graph.tensors]
    constants = {i for i, t in enumerate(graph.tensors) if model.buffers[t.buffer].data is not None}
    constants.add(-1)  # an input that is left out
    kinds = _operator_kinds(model)
    nodes = []
    for operator in graph.operators:
        activation = getattr(operator.builtinOptions, "fusedActivationFunction", _NO_ACTIVATION)
        nodes.append(
            Node(
                names[operator.outputs[0]],
                kinds[operator.opcodeIndex],
                tuple("" if i in constants else names[i] for i in operator.inputs),
                tuple(names[i] for i in operator.outputs),
                activation != _NO_ACTIVATION,
            )
        )
    (images,) = [i.tensorIndex for i in signature.inputs if i.name == b"images"]
    return nodes, names[images]


def _operator_kinds(model) -> List[str]:
    """What the numbers that operators have for their kinds mean: "CONV_2D" and so on."""
    from ai_edge_litert import schema_py_generated as schema  # of the extra

    kinds = {number: kind for kind, number in vars(schema.BuiltinOperator).items()}
    # Files of before 2020 have them in the other field, which is too small for the newer kinds.
    return [kinds[max(c.builtinCode, c.deprecatedBuiltinCode)] for c in model.operatorCodes]
