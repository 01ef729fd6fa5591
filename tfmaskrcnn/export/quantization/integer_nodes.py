"""Which nodes of a network compute in eight bits, found by what stands around them.

Eight bits hold features and weights. They do not hold coordinates (a step would be several pixels)
nor what is compared and sorted, so integers end where features do.
"""

from typing import List, NamedTuple, Sequence, Set, Tuple


class Node(NamedTuple):
    """A node of an ONNX graph or an operator of a TFLite one."""

    name: str
    kind: str
    inputs: Tuple[str, ...]  # tensors in their order; "" is a constant
    outputs: Tuple[str, ...]
    activated: bool = False  # an activation is part of it


class Kinds(NamedTuple):
    """What the kinds of nodes of a format are called."""

    weighted: Tuple[str, ...]  # hold nearly all multiplications: by constant weights
    float_results: Tuple[str, ...]  # of these, whose results are not rounded
    activations: Tuple[str, ...]
    between: Tuple[str, ...]  # computed in eight bits where all that they take is
    sums: Tuple[str, ...]  # of these, the sums: of two tensors
    products: Tuple[str, ...]  # of features by shares of a sample, where the features are
    # Through these features stay features. Beyond any other (TopK, Softmax, Exp, ...) they are
    # scores, coordinates or indices.
    features: Tuple[str, ...]
    first_only: Tuple[str, ...]  # whose other inputs are no features: corners, shapes, indices
    behind: Tuple[str, ...]  # stand between a layer and its activation


class Choice(NamedTuple):
    """What computes in eight bits, and what does not although it multiplies by weights."""

    integer: List[str]  # names of nodes
    last: List[str]  # of the layers that end in logits or deltas: float


def integer_nodes(nodes: Sequence[Node], images: str, kinds: Kinds) -> Choice:
    """Choose by rules among the nodes of a network.

    1. Convolutions and matrix products of features by constant weights, but for the last layers.
    2. A last layer is followed by no activation, and no other weighted layer reads what it makes:
       objectness, classes, deltas of boxes.
    3. Activations, sums, pooling and so on of what is in eight bits alone.

    Args:
        nodes: sorted by use, each with a name of its own.
        images: the tensor of the network's images.
        kinds: of the format.
    """
    features = _features(nodes, {images}, kinds)
    weighted = [node for node in nodes if _is_weighted(node, features, kinds)]
    last = {node.name for node in weighted if _is_last(node, nodes, weighted, kinds)}
    layers = [node for node in weighted if node.name not in last]
    chosen = {node.name for node in layers}
    rounded = {node.inputs[0] for node in layers}
    rounded |= {node.outputs[0] for node in layers if node.kind not in kinds.float_results}
    for node in nodes:
        if _is_between(node, rounded, features, kinds):
            chosen.add(node.name)
            rounded.update(node.outputs)
    return Choice(
        [node.name for node in nodes if node.name in chosen],
        [node.name for node in nodes if node.name in last],
    )


def _features(nodes, start: Set[str], kinds: Kinds) -> Set[str]:
    """Names of the tensors that are features, given those of `start`."""
    features = set(start)
    for node in nodes:
        if node.kind in kinds.features and _data(node, kinds) & features:
            features.update(node.outputs)
    return features


def _data(node: Node, kinds: Kinds) -> Set[str]:
    """The inputs that may be features."""
    return set(node.inputs[:1] if node.kind in kinds.first_only else node.inputs) - {""}


def _is_weighted(node: Node, features: Set[str], kinds: Kinds) -> bool:
    return node.kind in kinds.weighted and node.inputs[0] in features and not node.inputs[1]


def _is_between(node: Node, rounded: Set[str], features: Set[str], kinds: Kinds) -> bool:
    data = _data(node, kinds)
    if node.kind in kinds.products:
        return len(data & rounded) == 1 and len(data) == 2 and not (data - rounded) & features
    enough = len(data) >= (2 if node.kind in kinds.sums else 1)
    return node.kind in kinds.between and enough and data <= rounded


def _is_last(node: Node, nodes, weighted, kinds: Kinds) -> bool:
    reached = _features(nodes, {node.outputs[0]}, kinds)
    if any(other.inputs[0] in reached for other in weighted if other is not node):
        return False
    readers = [other for other in nodes if node.outputs[0] in other.inputs]
    while len(readers) == 1 and readers[0].kind in kinds.behind:
        output = readers[0].outputs[0]
        readers = [other for other in nodes if output in other.inputs]
    return not node.activated and not any(reader.kind in kinds.activations for reader in readers)
