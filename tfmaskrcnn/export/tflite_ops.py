"""TFLite forms of the two operations that its plain runtime lacks, of built-in operations alone."""

from typing import Callable, Dict, List

import numpy as np
import tensorflow as tf


def crop_and_resize(inputs) -> List[tf.Tensor]:
    """CropAndResize of samples inside the image, by gathers of whole pixels.

    Args:
        inputs: canvas [B, H, W, C], corners [n, 4] yxyx in 0..1, image index [n], crop size [2].

    Returns:
        [[n, rows, columns, C]] float32.
    """
    canvas, corners, image_index, crop_size = inputs
    _, height, width, channels = canvas.shape
    rows, columns = tf.get_static_value(crop_size)
    row, below = _samples(corners[:, 0:1], corners[:, 2:3], rows, height)
    column, right = _samples(corners[:, 1:2], corners[:, 3:4], columns, width)
    first = (tf.expand_dims(image_index, 1) * height + row) * width  # [n, rows]
    first = tf.expand_dims(first, 2) + tf.expand_dims(column, 1)  # [n, rows, columns]
    pixels = tf.reshape(canvas, [-1, channels])
    crops = None
    for dy, of_row in ((0, 1.0 - below), (1, below)):
        for dx, of_column in ((0, 1.0 - right), (1, right)):
            weight = tf.expand_dims(of_row, 2) * tf.expand_dims(of_column, 1)
            part = tf.gather(pixels, first + (dy * width + dx)) * tf.expand_dims(weight, 3)
            crops = part if crops is None else crops + part
    return [crops]


def _samples(low, high, count: int, side: int):
    """Where `count` samples from `low` to `high` [n, 1] (0..1 of `side` pixels) are.

    Returns:
        index: [n, count] int32 of the pixel before.
        share: [n, count] float32 of the pixel after it.
    """
    low, high = low * (side - 1), high * (side - 1)
    # Constants that float16 weights keep exact: whole numbers, no fractions.
    at = low + (high - low) / max(count - 1, 1) * tf.constant(np.arange(count), tf.float32)
    index = tf.clip_by_value(tf.floor(at), 0.0, side - 2.0)
    return tf.cast(index, tf.int32), tf.clip_by_value(at - index, 0.0, 1.0)


def combined_nms(inputs) -> List[tf.Tensor]:
    """CombinedNonMaxSuppression as one NonMaxSuppressionV4 an image.

    Args:
        inputs: boxes [B, n, q, 4], scores [B, n, k], and its five constants.

    Returns:
        boxes [B, D, 4], scores [B, D], classes [B, D] float32 and valid counts [B] int32.
    """
    boxes, scores = inputs[:2]
    max_output, iou, threshold = (tf.get_static_value(i).item() for i in inputs[3:6])
    kept = [
        _nms_of_one_image(boxes[i], scores[i], max_output, iou, threshold)
        for i in range(boxes.shape[0])
    ]
    return [tf.stack(parts) for parts in zip(*kept)]


def _nms_of_one_image(boxes, scores, max_output, iou, threshold):
    """[n, q, 4] boxes, [n, k] scores -> [D, 4] boxes, [D] scores, [D] classes, [] int32 count.

    The classes are moved apart into a square of tiles, which loses fewer bits than a row of them.
    """
    count, classes = scores.shape
    boxes = tf.reshape(tf.broadcast_to(boxes, [count, classes, 4]), [-1, 4])  # [n * k, 4]
    scores = tf.reshape(scores, [-1])
    label = np.tile(np.arange(classes), count)  # [n * k]
    tiles = int(np.ceil(np.sqrt(classes)))
    tile = np.stack([label // tiles, label % tiles] * 2, axis=1)  # [n * k, 4]
    pitch = tf.reduce_max(boxes) - tf.reduce_min(boxes) + 1.0
    index, found = tf.raw_ops.NonMaxSuppressionV4(
        boxes=_without_empty(boxes + tf.constant(tile, tf.float32) * pitch),
        scores=scores,
        max_output_size=max_output,
        # TFLite drops a box at the threshold, TensorFlow above it. Above 1 it would drop none.
        iou_threshold=min(float(np.nextafter(np.float32(iou), np.float32(2))), 1.0),
        score_threshold=threshold,
        pad_to_max_output_size=True,
    )
    valid = tf.range(max_output) < found
    index = tf.where(valid, index, 0)
    return (
        tf.where(tf.expand_dims(valid, 1), tf.gather(boxes, index), 0.0),
        tf.where(valid, tf.gather(scores, index), 0.0),
        tf.where(valid, tf.gather(tf.constant(label, tf.float32), index), 0.0),
        found,
    )


def _without_empty(boxes):
    """[m, 4] boxes, each of no area replaced by a square that overlaps no other.

    TFLite's NonMaxSuppressionV4 takes a box off its list by the overlap with itself, so that it
    would find an empty one again and again.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    empty = tf.where(tf.reduce_min(sides, axis=1) > 0.0, 0.0, 1.0)  # [m]
    x = 2.0 * tf.cumsum(empty)
    y = tf.zeros_like(x) + (tf.reduce_min(boxes) - 2.0)  # beside all boxes
    squares = tf.stack([y, x, y + 1.0, x + 1.0], axis=1)
    return tf.where(tf.expand_dims(empty, 1) > 0.0, squares, boxes)


def gather_table(table: np.ndarray, index: tf.Tensor) -> tf.Tensor:
    """Rows of a constant [n, ...] float32 `table`, which quantisation must not round.

    The anchors are such a table, and int8 weights would move them by pixels. Whole numbers are left
    alone, so the table is kept in units of 2**-k.
    """
    bits = 29 - int(np.ceil(np.log2(max(np.abs(table).max(), 1.0))))
    whole = np.round(table.astype(np.float64) * 2.0**bits).astype(np.int32)
    return tf.cast(tf.gather(tf.constant(whole), index), tf.float32) * 2.0**-bits


REPLACEMENTS: Dict[str, Callable] = {
    "CropAndResize": crop_and_resize,
    "CombinedNonMaxSuppression": combined_nms,
}


def rebuild(network, feeds: Dict[str, tf.Tensor]) -> Dict[str, tf.Tensor]:
    """Import a `FrozenNetwork` into the current graph with the operations above in place.

    Args:
        network: from `frozen.freeze`.
        feeds: "images" and "sizes".

    Returns:
        The network's outputs by name.
    """
    tensors = {network.inputs[name]: tensor for name, tensor in feeds.items()}
    fed = {name.split(":")[0] for name in tensors}
    nodes = [node for node in _sorted_by_use(network.graph_def) if node.op != "NoOp"]
    tables = _tables(nodes, fed)
    waiting = []  # nodes to be imported in one go
    for node in nodes:
        if node.name in fed:
            continue
        if node.op not in REPLACEMENTS and node.name not in tables:
            waiting.append(node)
            continue
        _import(waiting, tensors)
        waiting, inputs = [], [tensors[_full(name)] for name in _data(node)]
        if node.name in tables:
            results = [gather_table(tables[node.name], inputs[1])]
        else:
            results = REPLACEMENTS[node.op](inputs)
        tensors.update({f"{node.name}:{i}": result for i, result in enumerate(results)})
    _import(waiting, tensors)
    return {name: tensors[full] for name, full in network.outputs.items()}


def _tables(nodes, fed) -> Dict[str, np.ndarray]:
    """What each GatherV2 that reads a constant reads, by the GatherV2's name."""
    varying, readers = set(fed), {}
    for node in nodes:
        sources = [_full(name) for name in _data(node)]
        if any(source.split(":")[0] in varying for source in sources):
            varying.add(node.name)
            if node.op == "GatherV2" and sources[0].split(":")[0] not in varying:
                readers[node.name] = sources[0]
    with tf.Graph().as_default() as graph:
        tensors: Dict[str, tf.Tensor] = {}
        _import([node for node in nodes if node.name not in varying], tensors)
        with tf.compat.v1.Session(graph=graph) as session:
            values = session.run({name: tensors[source] for name, source in readers.items()})
    return {name: value for name, value in values.items() if value.dtype == np.float32}


def _import(nodes, tensors: Dict[str, tf.Tensor]) -> None:
    """Put `nodes` into the current graph, fed by `tensors`, and add their outputs to these."""
    names, part = {node.name for node in nodes}, tf.compat.v1.GraphDef()
    part.versions.producer = tf.version.GRAPH_DEF_VERSION
    needed = {}
    for node in nodes:
        copied = part.node.add()
        copied.CopyFrom(node)
        del copied.input[:]
        copied.input.extend(_data(node))  # the graph is pure: no order beyond that of the data
        full = [_full(name) for name in copied.input]
        needed.update({f: tensors[f] for f in full if f.split(":")[0] not in names})
    operations = tf.import_graph_def(
        part, input_map=needed, return_elements=[node.name for node in nodes], name="part"
    )
    for node, operation in zip(nodes, operations):
        tensors.update({f"{node.name}:{i}": out for i, out in enumerate(operation.outputs)})


def _data(node) -> List[str]:
    """A node's inputs without control edges."""
    return [name for name in node.input if not name.startswith("^")]


def _full(name: str) -> str:
    return name if ":" in name else f"{name}:0"


def _sorted_by_use(graph_def) -> list:
    """The nodes of a graph without loops, each after its inputs."""
    nodes, done, result = {node.name: node for node in graph_def.node}, set(), []
    for node in graph_def.node:
        stack = [node]
        while stack:
            node = stack[-1]
            before = [nodes[_full(name).split(":")[0]] for name in _data(node)]
            before = [other for other in before if other.name not in done]
            if before:
                stack += before
                continue
            stack.pop()
            if node.name not in done:
                done.add(node.name)
                result.append(node)
    return result
