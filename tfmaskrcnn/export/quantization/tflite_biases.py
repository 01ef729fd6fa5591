"""Dead channels, whose weights are too small for their bias to be counted in steps of 32 bits.

A bias is kept in steps of its input's step times its channel's, which is that of the largest weight
by 127. Trained networks have channels whose weights are all but 0, so that their bias would be cut
off at the largest integer, and any sum with it may go beyond.
"""

from typing import Dict, Iterable

import numpy as np

from tfmaskrcnn.export.quantization.tflite_graph import KINDS, tflite_nodes

_CHANNELS = {"DEPTHWISE_CONV_2D": 3}  # the axis of weights that a scale each is for; else 0
_LARGEST = 2.0**30  # of a bias: the other half is for the sum of products
_LEAST_RANGE = 1e-9  # below which ai-edge-quantizer does not go


def make_room_for_biases(
    model, names: Iterable[str], ranges: Dict[str, Dict[str, np.ndarray]]
) -> None:
    """Raise a weight of each channel whose bias would not fit in, just as far as it has to be.

    The results of the channel change by 127 * 255 / 2**30 of the bias at most, which is 3e-5.

    Args:
        model: LiteRT's `ModelT`, in float32; its buffers are replaced.
        names: of the nodes that will be in eight bits.
        ranges: the least and the largest value of each tensor.
    """
    graph, chosen = model.subgraphs[0], set(names)
    for node, operator in zip(tflite_nodes(model)[0], graph.operators):
        biased = len(operator.inputs) > 2 and operator.inputs[2] >= 0
        if node.name not in chosen or node.kind not in KINDS.weighted or not biased:
            continue
        _, weights, bias = (graph.tensors[i] for i in operator.inputs[:3])
        low, high = (ranges[node.inputs[0]][end].item() for end in ("min", "max"))
        step = max(max(high, 0.0) - min(low, 0.0), _LEAST_RANGE) / 255
        least = np.abs(_values(model, bias)) / _LARGEST / step * 127
        raised = _raised(_values(model, weights), least, _CHANNELS.get(node.kind, 0))
        model.buffers[weights.buffer].data = raised.ravel().view(np.uint8)


def _values(model, tensor) -> np.ndarray:
    content = bytes(model.buffers[tensor.buffer].data)
    return np.frombuffer(content, np.float32).reshape(tensor.shape)


def _raised(weights: np.ndarray, least: np.ndarray, axis: int) -> np.ndarray:
    """`weights` whose largest of each channel is at least `least` of it, in its size."""
    channels = np.moveaxis(weights, axis, 0)
    flat = channels.reshape(len(least), -1).copy()
    rows, largest = np.arange(len(flat)), np.abs(flat).argmax(axis=1)
    found = flat[rows, largest]
    flat[rows, largest] = np.copysign(np.maximum(np.abs(found), least), found)
    return np.ascontiguousarray(np.moveaxis(flat.reshape(channels.shape), 0, axis))
