"""The suppression in NumPy by hand, against ONNX's, and parts put together."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.runtimes import host_nms

PLAN = host_nms.Plan(
    [host_nms.Suppression("boxes", "scores", ["b", "s", "c", "n"], 0.5, 0.05, 3)], ["b", "n"]
)


def test_a_case_by_hand():
    boxes = np.float32([[0, 0, 2, 2], [0, 0, 2, 1.5], [4, 4, 6, 6], [0, 0, 2, 2]])
    scores = np.float32([[0.5, 0.1], [0.9, 0], [0.3, 0], [0.2, 0.4]])
    kept = host_nms.suppress(boxes[None, :, None], scores[None], 0.5, 0.15, 5)
    # Of class 0 box 1 removes 0 and 3 (IoU 0.75); class 1 has one box, 3.
    np.testing.assert_array_equal(kept.boxes[0, :3], boxes[[1, 3, 2]])
    np.testing.assert_array_equal(kept.scores, np.float32([[0.9, 0.4, 0.3, 0, 0]]))
    np.testing.assert_array_equal(kept.classes, np.float32([[0, 1, 0, 0, 0]]))
    assert kept.count.tolist() == [3] and not kept.boxes[0, 3:].any()
    assert [part.dtype for part in kept] == [np.float32] * 3 + [np.int32]


def test_equal_scores_go_by_class_and_then_by_place():
    boxes = np.float32([[0, 0, 1, 1], [2, 2, 3, 3]])[None, :, None]
    kept = host_nms.suppress(boxes, np.full([1, 2, 2], 0.5, np.float32), 0.5, 0.1, 3)
    assert kept.classes.tolist() == [[0, 0, 1]]
    np.testing.assert_array_equal(kept.boxes[0], boxes[0, [0, 1, 0], 0])


@pytest.mark.parametrize("count, threshold", [(0, 0.1), (4, 0.9)])
def test_nothing_is_kept_of_nothing_and_of_what_is_below_the_threshold(count, threshold):
    boxes, scores = np.ones([2, count, 1, 4]), np.full([2, count, 3], 0.9)
    kept = host_nms.suppress(boxes.astype("f4"), scores.astype("f4"), 0.5, threshold, 6)
    assert [part.shape for part in kept] == [(2, 6, 4), (2, 6), (2, 6), (2,)]
    assert not any(part.any() for part in kept)


def by_onnx(boxes, scores, iou, threshold, limit):
    """Rows (class, box) that ONNX Runtime's NonMaxSuppression keeps, of one image."""
    tensor, make = onnx.helper.make_tensor, onnx.helper.make_node
    constants = [
        tensor("limit", onnx.TensorProto.INT64, [1], [limit]),
        tensor("iou", onnx.TensorProto.FLOAT, [1], [iou]),
        tensor("threshold", onnx.TensorProto.FLOAT, [1], [threshold]),
    ]
    names = ["boxes", "scores", "limit", "iou", "threshold"]
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [make("NonMaxSuppression", names, ["rows"])],
        "nms",
        [value(name, onnx.TensorProto.FLOAT, None) for name in names[:2]],
        [value("rows", onnx.TensorProto.INT64, None)],
        constants,
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (rows,) = session.run(None, {"boxes": boxes, "scores": scores})
    return {tuple(row) for row in rows[:, 1:]}


@pytest.mark.parametrize("seed", range(20))
def test_it_keeps_what_onnx_keeps(seed):
    rng = np.random.default_rng(seed)
    low = np.round(rng.uniform(0, 60, (1, 300, 2)))  # on a grid, so that IoUs and scores tie
    boxes = np.concatenate([low, low + rng.integers(0, 40, low.shape)], 2).astype(np.float32)
    scores = np.round(rng.uniform(-1, 1, (1, 300, 3)), 2).astype(np.float32)
    iou, threshold = rng.choice([0.3, 0.5, 0.7]), rng.choice([-0.5, 0.05])
    limit = rng.choice([40, 200])
    kept = host_nms.suppress(boxes[:, :, None], scores, iou, threshold, limit)
    expected = by_onnx(boxes, scores.transpose(0, 2, 1).copy(), iou, threshold, limit)
    best = sorted(expected, key=lambda row: (-scores[0, row[1], row[0]], row))[:limit]
    assert kept.count[0] == len(best) >= 40
    classes, rows = np.array(best).T
    np.testing.assert_array_equal(kept.classes[0, : len(best)], classes)
    np.testing.assert_array_equal(kept.boxes[0, : len(best)], boxes[0, rows])


def test_classes_with_boxes_of_their_own_are_apart():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 60, (2, 50, 4, 2))
    boxes = np.concatenate([low, low + rng.uniform(5, 40, low.shape)], -1).astype(np.float32)
    scores = rng.uniform(0, 1, (2, 50, 4)).astype(np.float32)
    kept = host_nms.suppress(boxes, scores, 0.5, 0.3, 400)
    for k in range(4):
        alone = host_nms.suppress(boxes[:, :, k : k + 1], scores[:, :, k : k + 1], 0.5, 0.3, 400)
        for i, count in enumerate(alone.count):
            mine = kept.boxes[i][(kept.classes[i] == k) & (kept.scores[i] > 0)]
            np.testing.assert_array_equal(mine, alone.boxes[i, :count])


def test_parts_are_chained_by_name():
    def first(known):
        boxes = known["images"] * np.float32([0, 0, 2, 2])
        return {"boxes": boxes.reshape(1, 1, 1, 4), "scores": np.float32([[[0.7]]])}

    def second(known):
        return {"b": known["b"] + known["sizes"]}

    network = host_nms.chained([first, second], PLAN)
    found = network({"images": np.float32(1), "sizes": np.float32(10)})
    assert list(found) == ["b", "n"] and found["n"] == [1]
    np.testing.assert_array_equal(found["b"][0, :2], [[10, 10, 12, 12], [10] * 4])


def test_the_metadata_are_read_as_written():
    assert host_nms.from_text(host_nms.to_text(PLAN), "m.onnx") == PLAN


@pytest.mark.parametrize("text", ["", "[]", "[1, []]", json.dumps([[{"boxes": "x"}], []]), "{}"])
def test_other_metadata_are_refused(text):
    with pytest.raises(InputError, match="m.onnx says of its suppressions is not of this version"):
        host_nms.from_text(text, "m.onnx")


def test_a_missing_part_is_named(tmp_path):
    (tmp_path / "m.part2.onnx").touch()
    path = str(tmp_path / "m.onnx")
    with pytest.raises(InputError, match="one of three parts, and .*m.part3.onnx is missing"):
        host_nms.existing_parts(path)
    (tmp_path / "m.part3.onnx").touch()
    assert host_nms.existing_parts(path) == [path, *(f"{path[:-5]}.part{i}.onnx" for i in (2, 3))]
