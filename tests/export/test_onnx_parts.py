"""Cutting by hand: a network of two suppressions small enough to read."""

import numpy as np
import onnx
import onnxruntime

from tfmaskrcnn.export.onnx_parts import split
from tfmaskrcnn.inference.runtimes import host_nms

# `widest` goes from the first part to the last, `twice` hangs on `sizes` alone.
MODEL = """
<ir_version: 8, opset_import: ["" : 17, "tfmaskrcnn" : 1]>
tiny (float[1,3,1,4] images, float[1,4] sizes) => (float[1,2,4] found, float[1,2] left_scores)
<float[1,2,4] kept, float[1,2] s1, float[1,2] c1, int32[1] n1,
 float[1,2,4] left, float[1,2] c2, int32[1] n2, float two = {2.0}, int64[1] axis = {2}>
{
  b1 = Identity (images)
  widest = ReduceMax <axes = [1, 2], keepdims = 0> (images)
  p1 = ReduceMax <axes = [2, 3], keepdims = 0> (images)
  p2 = Unsqueeze (p1, axis)
  twice = Mul (sizes, two)
  kept, s1, c1, n1 = tfmaskrcnn.HostNonMaxSuppression
    <iou_threshold = 0.5, score_threshold = 0.1, max_output = 2> (b1, p2)
  b2 = Unsqueeze (kept, axis)
  s2 = Unsqueeze (s1, axis)
  left, left_scores, c2, n2 = tfmaskrcnn.HostNonMaxSuppression
    <iou_threshold = 0.5, score_threshold = 5.5, max_output = 2> (b2, s2)
  moved = Add (left, twice)
  found = Add (moved, widest)
}
"""


def names(values):
    return {value.name for value in values}


def test_the_cuts_are_where_boxes_are_suppressed():
    parts = split(onnx.parser.parse_model(MODEL))
    for part in parts:
        onnx.checker.check_model(part, full_check=True)
    assert [names(part.graph.input) for part in parts] == [
        {"images", "sizes"},
        {"rpn_kept_boxes", "rpn_kept_scores"},
        {"box_head_kept_boxes", "features_1", "sizes"},
    ]
    assert [names(part.graph.output) for part in parts] == [
        {"rpn_boxes", "rpn_scores", "features_1"},
        {"box_head_boxes", "box_head_scores"},
        {"found"},
    ]
    kinds = [[node.op_type for node in part.graph.node] for part in parts]
    assert kinds[2] == ["Mul", "Add", "Add"] and "Mul" not in kinds[0]
    assert [len(part.graph.initializer) for part in parts] == [1, 1, 1]


def test_the_parts_together_compute_the_whole():
    parts = split(onnx.parser.parse_model(MODEL))
    (entry,) = parts[0].metadata_props
    assert entry.key == host_nms.KEY and not parts[1].metadata_props
    plan = host_nms.from_text(entry.value, "tiny.onnx")
    assert plan.outputs == ["found", "left_scores"]
    assert [step.score_threshold for step in plan.suppressions] == [np.float32(0.1), 5.5]

    def runner(part):
        session = onnxruntime.InferenceSession(part.SerializeToString())
        inputs = names(session.get_inputs())
        given = [value.name for value in session.get_outputs()]
        return lambda known: dict(zip(given, session.run(given, {n: known[n] for n in inputs})))

    boxes = np.float32([[0, 0, 2, 4], [0, 0, 2, 5], [5, 5, 6, 7]])  # the first two overlap: 0.8
    network = host_nms.chained([runner(part) for part in parts], plan)
    found = network({"images": boxes[None, :, None], "sizes": np.float32([[1, 2, 3, 4]])})
    # Scores are 4, 5 and 7: the last and the second are kept, then what is above 5.5.
    np.testing.assert_array_equal(found["left_scores"], [[7, 0]])
    shift = np.float32([2, 4, 6, 8]) + boxes.max(axis=0)
    np.testing.assert_array_equal(found["found"][0], [boxes[2] + shift, shift])
