import numpy as np
import pytest

import tfmaskrcnn as mr
from tfmaskrcnn.export.check import difference, differences, table
from tfmaskrcnn.inference.runtimes.file_network import ready_inputs


def outputs(boxes, scores, classes, masks=None, rows=4):
    """One image's served outputs, padded to `rows`; boxes in 0..1."""
    count, found = len(boxes), {}
    for name, value in (
        ("detection_boxes", np.reshape(boxes, [-1, 4])),
        ("detection_scores", scores),
        ("detection_classes", classes),
        ("detection_masks", np.zeros([count, 2, 2]) if masks is None else masks),
    ):
        value = np.asarray(value, np.float32)
        found[name] = np.concatenate([value, np.zeros([rows - count, *value.shape[1:]])])[None]
    return {**found, "num_detections": np.float32([count])}


LEFT, RIGHT = [0, 0, 1, 0.5], [0, 0.5, 1, 1]


def test_detections_in_another_order_are_the_same():
    masks = np.float32([np.full([2, 2], 0.25), np.full([2, 2], 0.75)])
    one = outputs([LEFT, RIGHT], [0.9, 0.8], [1, 2], masks)
    two = outputs([RIGHT, LEFT], [0.8, 0.9], [2, 1], masks[::-1])
    assert difference(one, two, 0, [10, 20]) == (2, 2, 2, 0, 0, 0, 0, 0.75, None)


def test_differences_are_in_pixels_and_of_matched_rows():
    one = outputs([LEFT, RIGHT], [0.9, 0.8], [1, 2])
    moved = [0, 0, 1, 0.45]  # one pixel of 20 less
    other_class = outputs([moved, RIGHT], [0.7, 0.8], [1, 3])
    found = difference(one, other_class, 0, [10, 20])
    assert (found.expected, found.found, found.matched) == (2, 2, 1)
    assert found.box == pytest.approx(1.0, abs=1e-5) and found.score == pytest.approx(0.2)


def test_an_image_without_detections_has_no_differences():
    none, one = outputs([], [], []), outputs([LEFT], [0.9], [1])
    assert difference(none, none, 0, [10, 20])[:4] == (0, 0, 0, 0)
    assert difference(none, one, 0, [10, 20])[:3] == (0, 1, 0)
    assert difference(one, none, 0, [10, 20])[:3] == (1, 0, 0)


def test_a_model_without_masks_can_be_compared():
    one = outputs([LEFT], [0.9], [1])
    del one["detection_masks"]
    assert difference(one, one, 0, [10, 20]) == (1, 1, 1, 0, 0, 0, 0, 0, None)


def test_keypoints_are_compared_in_pixels_and_get_a_column():
    one = outputs([LEFT, RIGHT], [0.9, 0.8], [1, 1])
    one["detection_keypoints"] = np.float32([[[[0.5, 0.25]], [[0.5, 0.75]], [[0, 0]], [[0, 0]]]])
    two = {**one, "detection_keypoints": one["detection_keypoints"] + np.float32([0.1, 0.1])}
    found = difference(one, two, 0, [10, 20])
    assert found.keypoint == pytest.approx(2.0, abs=1e-5)
    lines = table(["a.png"], [found]).splitlines()
    assert lines[0].endswith("keypoint px") and lines[-1].split()[-1] == "2"
    assert "keypoint" not in table(["a.png"], [found._replace(keypoint=None)])


def test_a_batch_is_filled_up_and_the_table_ends_with_the_worst():
    def network(shift):
        def run(images, sizes):
            assert images.shape == (2, 8, 8, 3)
            # The box of an image is as wide as its first pixel says.
            each = [outputs([[0, 0, 1, x + shift]], [0.5], [1]) for x in images[:, 0, 0, 0]]
            return {name: np.concatenate([one[name] for one in each]) for name in each[0]}

        return run

    images = np.zeros([3, 8, 8, 3], np.float32)
    images[:, 0, 0, 0] = [0.25, 0.5, 0.75]
    sizes = np.full([3, 2], 8, np.float32)
    rows = differences(network(0.0), network(0.125), images, sizes, 2)
    assert [row.box for row in rows] == [1.0, 1.0, 1.0]
    rows[1] = rows[1]._replace(box=5.0)
    lines = table(["a.png", "b.png", "c.png"], rows).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["a.png", "b.png", "c.png", "all"]
    assert lines[-1].split()[1:5] == ["3", "3", "3", "5"]


def test_inputs_of_another_shape_are_named():
    shape = (1, 8, 8, 3)
    ready_inputs(np.zeros(shape), np.zeros([1, 2]), shape, "x.onnx")
    for images, sizes in ((np.zeros([2, 8, 8, 3]), np.zeros([2, 2])), (np.zeros(shape), [8, 8])):
        with pytest.raises(mr.InputError, match=r"x.onnx takes images \[1, 8, 8, 3\]"):
            ready_inputs(images, sizes, shape, "x.onnx")


def test_each_detection_is_matched_once():
    one = outputs([LEFT, LEFT, RIGHT], [0.9, 0.8, 0.7], [1, 1, 2])
    two = outputs([LEFT, RIGHT], [0.9, 0.7], [1, 2])
    assert difference(one, two, 0, [10, 20])[:3] == (3, 2, 2)
    assert difference(two, one, 0, [10, 20])[:3] == (2, 3, 2)
