"""ONNX forms of the two operations that tf2onnx has no good ones for.

A handler gets tf2onnx's graph and a TensorFlow node, and puts ONNX nodes in its place. Shapes are
static but for the rows of NonMaxSuppression itself.
"""

import numpy as np

# The node that `marked_nms` leaves, where `onnx_parts.split` cuts.
DOMAIN, MARK = "tfmaskrcnn", "HostNonMaxSuppression"


def handlers(nms: str = "graph") -> dict:
    """What `tf2onnx.convert` takes as `custom_op_handlers`; `nms` as `onnx.convert` has it."""
    return {
        "CropAndResize": (crop_and_resize, []),
        "CombinedNonMaxSuppression": (marked_nms if nms == "host" else combined_nms, []),
    }


class _Builder:
    """Makes ONNX nodes with names of their own below one scope."""

    def __init__(self, graph, scope: str):
        self._graph, self._scope, self._count = graph, scope, 0

    def __call__(self, kind: str, *inputs: str, outputs: int = 1, **attributes):
        """Name of the output (or list of names) of a new node."""
        node = self._graph.make_node(
            kind, list(inputs), attr=attributes, output_count=outputs, name=self._name(kind)
        )
        return node.output[0] if outputs == 1 else list(node.output)

    def constant(self, value, dtype) -> str:
        """Name of a constant."""
        return self._graph.make_const(self._name("const"), np.array(value, dtype)).output[0]

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{self._scope}/{kind.lower()}_{self._count}"


def crop_and_resize(graph, node, name, args) -> None:
    """CropAndResize of bilinear samples as RoiAlign with one sample a bin.

    CropAndResize puts its first and last samples onto the box's edges, RoiAlign half a step inside:
    the boxes are widened by that half. Beyond the image the two differ, and nothing is read there
    (`ops.roi_align` pads every level).
    """
    canvas, corners, image_index = node.input[:3]
    _, height, width, _ = graph.get_shape(canvas)
    rows, columns = (int(n) for n in node.inputs[3].get_tensor_value())
    build = _Builder(graph, name)
    two, gaps = [2], np.array([rows - 1, columns - 1], np.float32)
    split = build.constant(two + two, np.int64)
    first, last = build("Split", corners, split, outputs=2, axis=1)  # [n, 2] y, x in 0..1
    step = build("Div", build("Sub", last, first), build.constant(np.maximum(gaps, 1), np.float32))
    half = build("Mul", step, build.constant(0.5, np.float32))
    sides = build.constant([height - 1, width - 1], np.float32)
    # half_pixel (aligned) takes 0.5 off every coordinate.
    shift = build.constant(0.5, np.float32)
    low = build("Add", build("Mul", build("Sub", first, half), sides), shift)
    high = build("Add", build("Mul", build("Add", last, half), sides), shift)
    swap = build.constant([1, 0, 3, 2], np.int64)
    rois = build("Gather", build("Concat", low, high, axis=1), swap, axis=1)  # [n, 4] x, y, x, y
    crops = build(
        "RoiAlign",
        build("Transpose", canvas, perm=[0, 3, 1, 2]),
        rois,
        build("Cast", image_index, to=7),  # int64
        coordinate_transformation_mode="half_pixel",
        mode="avg",
        output_height=rows,
        output_width=columns,
        sampling_ratio=1,
        spatial_scale=1.0,
    )
    _replace(graph, node, [build("Transpose", crops, perm=[0, 2, 3, 1])])


def combined_nms(graph, node, name, args) -> None:
    """CombinedNonMaxSuppression as NonMaxSuppression within each class and TopK over all.

    NonMaxSuppression takes classes that share boxes; where each class has its own, the classes
    become images of a larger batch.
    """
    boxes, scores = node.input[:2]  # [B, n, q, 4], [B, n, k]
    batch, count, own, _ = graph.get_shape(boxes)
    classes = graph.get_shape(scores)[2]
    max_output, iou, threshold = _nms_settings(node)
    build, ints = _Builder(graph, name), np.int64
    groups = (batch, classes) if own == 1 else (batch * classes, 1)

    scores = build("Transpose", scores, perm=[0, 2, 1])  # [B, k, n]
    grouped = build("Reshape", scores, build.constant([*groups, count], ints))
    boxes = build("Transpose", boxes, perm=[0, 2, 1, 3])  # [B, q, n, 4]
    chosen = build(
        "NonMaxSuppression",
        build("Reshape", boxes, build.constant([groups[0], count, 4], ints)),
        grouped,
        build.constant([max_output], ints),
        build.constant([iou], np.float32),
        build.constant([threshold], np.float32),
    )  # [m, 3]: image, class, box
    floor = np.float32(threshold - 1.0)
    nothing = build.constant(np.full([*groups, count], floor), np.float32)
    kept = build("ScatterND", nothing, chosen, build("GatherND", grouped, chosen))

    flat = build("Reshape", kept, build.constant([batch, classes * count], ints))
    missing = max_output - classes * count
    if missing > 0:
        rows = build.constant(np.full([batch, missing], floor), np.float32)
        flat = build("Concat", flat, rows, axis=1)
    limit = build.constant([max_output], ints)
    best, index = build("TopK", flat, limit, outputs=2, axis=1, largest=1, sorted=1)  # [B, D]
    valid = build("Greater", best, build.constant(threshold, np.float32))
    index = build("Where", valid, index, build.constant(0, ints))

    number = build("Div", index, build.constant(count, ints))  # of the class
    if own == 1:
        index = build("Sub", index, build("Mul", number, build.constant(count, ints)))
    rows = build("Reshape", boxes, build.constant([batch, own * count, 4], ints))
    places = build("Unsqueeze", index, build.constant([2], ints))
    found = build("GatherND", rows, places, batch_dims=1)  # [B, D, 4]
    real = build("Cast", valid, to=1)  # float32
    results = [
        build("Mul", found, build("Unsqueeze", real, build.constant([2], ints))),
        build("Where", valid, best, build.constant(0, np.float32)),
        build("Mul", build("Cast", number, to=1), real),
        build("Cast", build("ReduceSum", real, build.constant([1], ints), keepdims=0), to=6),
    ]
    _replace(graph, node, results)


def marked_nms(graph, node, name, args) -> None:
    """CombinedNonMaxSuppression as one node of ours, which no runtime knows."""
    kinds = [(graph.get_shape(o), graph.get_dtype(o)) for o in node.output]
    shapes, dtypes = zip(*kinds)
    max_output, iou, threshold = _nms_settings(node)
    names, inputs = list(node.output), list(node.input[:2])
    settings = {"iou_threshold": iou, "score_threshold": threshold, "max_output": max_output}
    graph.remove_node(node.name)
    graph.make_node(
        MARK,
        inputs,
        attr=settings,
        outputs=names,
        shapes=list(shapes),
        dtypes=list(dtypes),
        domain=DOMAIN,
        name=name,
    )


def _nms_settings(node):
    """(rows of the result, IoU threshold, score threshold) of a CombinedNonMaxSuppression."""
    return (_scalar(node.inputs[i]) for i in (3, 4, 5))


def _scalar(node):
    return np.asarray(node.get_tensor_value()).reshape(()).item()


def _replace(graph, node, results) -> None:
    """Let `results` stand for the outputs of `node`, with their types and shapes."""
    kinds = [(graph.get_shape(o), graph.get_dtype(o)) for o in node.output]
    names = list(node.output)
    graph.remove_node(node.name)
    for output, result, (shape, dtype) in zip(names, results, kinds):
        graph.make_node("Identity", [result], outputs=[output], shapes=[shape], dtypes=[dtype])
