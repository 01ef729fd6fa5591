"""An ONNX model cut in parts where the host is to suppress boxes, for runtimes that cannot."""

from typing import Dict, List, Set, Tuple

import onnx

from tfmaskrcnn.export.onnx_ops import DOMAIN, MARK
from tfmaskrcnn.inference.runtimes import host_nms

# What a suppression reads and makes.
_TENSORS = ("boxes", "scores", "kept_boxes", "kept_scores", "kept_classes", "kept_count")


def split(model: onnx.ModelProto) -> List[onnx.ModelProto]:
    """The parts of a model with marks, which `host_nms.chained` puts together again.

    Args:
        model: with inputs `images` and `sizes`, static shapes, and marks one behind the other.

    Returns:
        One part more than there are marks, without them. What a part needs of an earlier one is
        an output there and an input here, by the same name; what hangs on `sizes` alone is
        computed where it is needed. The first one's metadata tell the suppressions and outputs.
    """
    # Types and shapes of what goes from part to part.
    model = onnx.shape_inference.infer_shapes(model)
    marks = [node for node in model.graph.node if node.op_type == MARK]
    stages = _stages(model.graph)
    made = {name for mark in marks for name in mark.output}
    outputs = [value.name for value in model.graph.output]
    wanted = [set() for _ in range(len(marks) + 1)]
    for name in (*outputs, *(name for mark in marks for name in mark.input)):
        if name not in made:
            wanted[stages.get(name, 0)].add(name)
    parts = []
    for number in reversed(range(len(wanted))):  # the later ones say what the earlier must give
        nodes, inputs = _needed(model.graph, wanted[number], number, stages)
        if number == 0:
            inputs |= {"images", "sizes"}  # the whole network's, whatever this part reads
        for name in inputs - made - {"images", "sizes"}:
            wanted[stages[name]].add(name)
        parts.insert(0, _part(model, nodes, inputs, wanted[number]))
    crossing = {value.name for part in parts for value in part.graph.input}
    names = _telling_names(marks, crossing - {"images", "sizes"}, outputs)
    for part in parts:
        _rename(part.graph, names)
    plan = host_nms.Plan([_suppression(mark, names) for mark in marks], outputs)
    onnx.helper.set_model_props(parts[0], {host_nms.KEY: host_nms.to_text(plan)})
    return parts


def _stages(graph) -> Dict[str, int]:
    """How many marks lie before each tensor that hangs on the images."""
    stages = {"images": 0}
    for node in graph.node:  # in topological order
        before = [stages[name] for name in node.input if name in stages]
        if before:
            stage = max(before) + (node.op_type == MARK)
            stages.update(dict.fromkeys(node.output, stage))
    return stages


def _needed(graph, wanted: Set[str], number: int, stages) -> Tuple[List, Set[str]]:
    """The nodes that make `wanted` in part `number`, and the part's inputs."""
    makers = {name: node for node in graph.node for name in node.output}
    nodes, inputs, waiting, seen = set(), set(), list(wanted), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        maker = makers.get(name)
        from_before = name not in wanted and stages.get(name, number) < number
        if name in ("images", "sizes") or from_before or (maker and maker.op_type == MARK):
            inputs.add(name)
        elif maker is not None:  # else an initializer
            nodes.add(maker.output[0])
            waiting.extend(each for each in maker.input if each)
    return [node for node in graph.node if node.output[0] in nodes], inputs


def _part(model, nodes, inputs: Set[str], outputs: Set[str]) -> onnx.ModelProto:
    graph = model.graph
    known = {value.name: value for value in (*graph.value_info, *graph.input, *graph.output)}
    used = {name for node in nodes for name in node.input}
    made = onnx.helper.make_graph(
        nodes,
        graph.name,
        [known[name] for name in sorted(inputs)],
        [known[name] for name in sorted(outputs)],
        [each for each in graph.initializer if each.name in used],
    )
    opsets = [each for each in model.opset_import if each.domain != DOMAIN]
    part = onnx.helper.make_model(made, opset_imports=opsets, ir_version=model.ir_version)
    part.producer_name, part.producer_version = model.producer_name, model.producer_version
    return part


def _telling_names(marks, crossing: Set[str], outputs) -> Dict[str, str]:
    """New names of the tensors that go from part to part; outputs keep theirs."""
    names = {}
    for place, mark in zip(("rpn", "box_head"), marks):
        tensors = zip((*mark.input, *mark.output), _TENSORS)
        names.update((name, f"{place}_{what}") for name, what in tensors)
    others = sorted(crossing - set(names) - set(outputs))
    names.update((name, f"features_{i}") for i, name in enumerate(others, 1))
    return {name: new for name, new in names.items() if name not in outputs}


def _rename(graph, names: Dict[str, str]) -> None:
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        for side in (node.input, node.output):
            side[:] = [names.get(name, name) for name in side]


def _suppression(mark, names: Dict[str, str]) -> host_nms.Suppression:
    settings = {each.name: onnx.helper.get_attribute_value(each) for each in mark.attribute}
    boxes, scores, *kept = (names.get(name, name) for name in (*mark.input, *mark.output))
    return host_nms.Suppression(boxes, scores, kept, **settings)
