import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.ops.nms import class_aware_nms, nms_by_offset, nms_combined

KERNELS = [nms_combined, nms_by_offset]


def random_case(seed, images=2, count=40, classes=4, per_class=False):
    """Boxes around the origin, on a grid of 1/4 px (moving them is exact), and distinct scores."""
    rng = np.random.default_rng(seed)
    shape = [images, count, classes if per_class else 1, 2]
    low = rng.integers(-120, 40, shape)
    boxes = np.concatenate([low, low + rng.integers(40, 160, shape)], -1) / 4
    scores = rng.permutation(images * count * classes).reshape(images, count, classes) + 1
    return boxes.astype(np.float32), (scores / scores.size).astype(np.float32)


def iou(a, b):
    sides = [max(min(a[i + 2], b[i + 2]) - max(a[i], b[i]), 0) for i in (0, 1)]
    both = sides[0] * sides[1]
    areas = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
    return both / (areas[0] + areas[1] - both)


def greedy(boxes, scores, iou_threshold, score_threshold, max_output):
    """Plain suppression of one image ([n, q, 4], [n, k]): rows of (score, class, box)."""
    kept = []
    for k in range(scores.shape[1]):
        of_class = []
        for i in np.argsort(-scores[:, k]):
            box = boxes[i, min(k, boxes.shape[1] - 1)].astype(float)
            if scores[i, k] > score_threshold and all(
                iou(box, other) <= iou_threshold for _, _, other in of_class
            ):
                of_class.append((scores[i, k], k, box))
        kept += of_class
    return sorted(kept, key=lambda row: -row[0])[:max_output]


def assert_equals_greedy(kept, boxes, scores, *arguments):
    for image in range(len(scores)):
        expected = greedy(boxes[image], scores[image], *arguments)
        valid = kept.valid.numpy()[image]
        np.testing.assert_array_equal(valid, np.arange(arguments[-1]) < len(expected))
        for found, column in zip((kept.scores, kept.classes, kept.boxes), zip(*expected)):
            np.testing.assert_array_equal(found.numpy()[image][valid], np.array(column, np.float32))
        for part in (kept.scores, kept.classes, kept.boxes):
            assert (part.numpy()[image][~valid] == 0).all()


@pytest.mark.parametrize("nms", KERNELS)
def test_the_better_of_two_overlapping_boxes_stays_within_a_class_only(nms):
    boxes = np.array([[[[0, 0, 10, 10]], [[0, 1, 10, 11]], [[50, 50, 60, 60]]]], np.float32)
    scores = np.array([[[0.6, 0.3], [0.9, 0.0], [0.5, 0.2]]], np.float32)
    kept = nms(boxes, scores, 0.5, 0.1, 6)
    np.testing.assert_allclose(kept.scores, [[0.9, 0.5, 0.3, 0.2, 0.0, 0.0]])
    np.testing.assert_array_equal(kept.classes, [[0, 0, 1, 1, 0, 0]])
    np.testing.assert_array_equal(kept.valid, [[True] * 4 + [False] * 2])
    expected = [boxes[0, i, 0] for i in (1, 2, 0, 2)] + [np.zeros(4)] * 2
    np.testing.assert_array_equal(kept.boxes, [expected])
    assert kept.classes.dtype == tf.float32


@pytest.mark.parametrize("nms", KERNELS)
@pytest.mark.parametrize("per_class", [False, True])
def test_kernels_equal_a_plain_greedy_suppression(nms, per_class):
    for seed in range(20):
        boxes, scores = random_case(seed, per_class=per_class)
        threshold = (0.31, 0.5, 0.69)[seed % 3]  # 0.5 alone can be met exactly
        for max_output in (10, 200):  # fewer and more than what survives
            arguments = (threshold, 0.051, max_output)
            assert_equals_greedy(nms(boxes, scores, *arguments), boxes, scores, *arguments)


@pytest.mark.parametrize("nms", KERNELS)
def test_levels_as_classes_with_minus_one_for_the_others(nms):
    # The RPN suppresses within each level: a proposal's score stands in its level's column.
    for seed in range(20):
        boxes, scores = random_case(seed, classes=1)
        levels = np.random.default_rng(seed).integers(0, 5, scores.shape[:2])
        own = levels[..., np.newaxis] == np.arange(5)
        # Half of the scores are 0 and below (the sigmoid can underflow), down to -0.4.
        spread = np.where(own, scores * 0.8 - 0.4, -1.0).astype(np.float32)
        arguments = (0.5, -0.5, 60)
        kept = nms(boxes, spread, *arguments)
        assert_equals_greedy(kept, boxes, spread, *arguments)
        assert (kept.scores.numpy()[kept.valid.numpy()] < 0).any()


@pytest.mark.parametrize("nms", KERNELS)
def test_both_thresholds_are_strict(nms):
    boxes = np.array([[[[0, 0, 10, 10]], [[0, 0, 10, 5]]]], np.float32)  # IoU exactly 0.5
    scores = np.array([[[0.5], [0.25]]], np.float32)
    assert nms(boxes, scores, 0.5, 0.1, 2).valid.numpy().sum() == 2
    assert nms(boxes, scores, 0.49, 0.1, 2).valid.numpy().sum() == 1
    assert nms(boxes, scores, 0.5, 0.25, 2).valid.numpy().sum() == 1
    assert nms(boxes, scores, 0.5, 0.24, 2).valid.numpy().sum() == 2


@pytest.mark.parametrize("nms", KERNELS)
def test_boxes_outside_the_unit_square_and_below_zero_are_kept_as_they_are(nms):
    boxes = np.array([[[[-20, -30, 700, 900]], [[-5, 2, 8, 9]]]], np.float32)
    kept = nms(boxes, np.array([[[0.9], [0.8]]], np.float32), 0.5, 0.0, 2)
    np.testing.assert_array_equal(kept.boxes, boxes[:, :, 0])


@pytest.mark.parametrize("nms", KERNELS)
def test_boxes_left_of_zero_do_not_meet_another_class(nms):
    # Moved by the largest coordinate alone, the second would lie on the first.
    boxes = np.array([[[[0, 0, 10, 10]], [[-10, -10, 0, 0]]]], np.float32)
    scores = np.array([[[0.9, 0.0], [0.0, 0.8]]], np.float32)
    np.testing.assert_array_equal(nms(boxes, scores, 0.5, 0.1, 2).classes, [[0, 1]])
    assert nms(boxes, scores, 0.5, 0.1, 2).valid.numpy().all()


@pytest.mark.parametrize("nms", KERNELS)
def test_nothing_above_the_threshold_gives_only_padding(nms):
    boxes, scores = random_case(0)
    scores[1] = 0.0  # the second image has nothing, the first is as before
    kept = nms(boxes, scores, 0.5, 0.051, 7)
    assert_equals_greedy(kept, boxes, scores, 0.5, 0.051, 7)
    assert not kept.valid.numpy()[1].any() and kept.valid.numpy()[0].any()


@pytest.mark.parametrize("nms", KERNELS)
def test_unknown_shapes_keep_the_same_boxes_and_a_known_row_count(nms):
    boxes, scores = random_case(3)

    @tf.function(
        input_signature=[tf.TensorSpec([None, None, 1, 4]), tf.TensorSpec([None, None, 4])]
    )
    def dynamic(boxes, scores):
        kept = nms(boxes, scores, 0.5, 0.051, 30)
        assert kept.boxes.shape.as_list() == [None, 30, 4]
        return kept

    assert_equals_greedy(dynamic(boxes, scores), boxes, scores, 0.5, 0.051, 30)


def test_the_combined_kernel_runs_without_a_gpu_and_the_other_with_one(monkeypatch):
    boxes, scores = random_case(5)

    def kernels():
        graph = tf.function(class_aware_nms).get_concrete_function(
            tf.constant(boxes), tf.constant(scores), 0.5, 0.051, 30
        )
        bodies = [graph.graph.as_graph_def(), *graph.graph.as_graph_def().library.function]
        return str(bodies)

    with monkeypatch.context() as patch:
        patch.setattr(tf.config, "list_logical_devices", lambda kind=None: [])
        found = kernels()
        assert "CombinedNonMaxSuppression" in found and "NonMaxSuppressionV4" not in found
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: [kind])
    found = kernels()
    assert "NonMaxSuppressionV4" in found and "CombinedNonMaxSuppression" not in found
