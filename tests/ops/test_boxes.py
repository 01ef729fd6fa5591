import math

import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.ops.boxes import (
    MAX_LOG_SCALE,
    area,
    center_size,
    clip_boxes,
    decode_boxes,
    encode_boxes,
    intersection,
    iou,
    wider_than,
)

WEIGHTS = (10.0, 10.0, 5.0, 5.0)


def random_boxes(rng, *shape, low=1.0, high=300.0):
    """[*shape, 4] float32 yxyx boxes with sides of 1 px to 300 px."""
    center = rng.uniform(0.0, 500.0, [*shape, 2])
    size = np.exp(rng.uniform(np.log(low), np.log(high), [*shape, 2]))
    return np.concatenate([center - size / 2, center + size / 2], -1).astype(np.float32)


def iou_of_pair(a, b):
    """The definition for one pair in Python floats."""
    a, b = [float(v) for v in a], [float(v) for v in b]
    height = max(min(a[2], b[2]) - max(a[0], b[0]), 0.0)
    width = max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - height * width
    return height * width / union


def test_sides_have_no_plus_one():
    boxes = tf.constant([[1.0, 2.0, 4.0, 8.0]])
    center, size = center_size(boxes)
    np.testing.assert_array_equal(center, [[2.5, 5.0]])
    np.testing.assert_array_equal(size, [[3.0, 6.0]])
    np.testing.assert_array_equal(area(boxes), [18.0])


def test_area_of_empty_and_inverted_boxes_is_zero():
    boxes = tf.constant([[3.0, 3.0, 3.0, 9.0], [5.0, 5.0, 1.0, 1.0], [5.0, 1.0, 1.0, 5.0]])
    np.testing.assert_array_equal(area(boxes), [0.0, 0.0, 0.0])


def test_iou_of_hand_made_pairs():
    boxes = tf.constant([[0.0, 0.0, 10.0, 10.0]])
    others = tf.constant(
        [
            [0.0, 0.0, 10.0, 10.0],  # itself
            [0.0, 5.0, 10.0, 15.0],  # half of each: 50 / 150
            [10.0, 0.0, 20.0, 10.0],  # touches
            [2.0, 3.0, 4.0, 7.0],  # inside: 8 / 100
            [50.0, 50.0, 60.0, 60.0],  # apart in both axes
        ]
    )
    np.testing.assert_allclose(iou(boxes, others), [[1.0, 1 / 3, 0.0, 0.08, 0.0]], rtol=1e-6)
    np.testing.assert_array_equal(intersection(boxes, others), [[100, 50, 0, 8, 0]])


def test_iou_equals_the_definition_pair_by_pair_and_is_symmetric():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        boxes, others = random_boxes(rng, 2, 5), random_boxes(rng, 2, 7)
        found = iou(boxes, others).numpy()
        assert found.shape == (2, 5, 7)
        expected = [[[iou_of_pair(a, b) for b in m] for a in n] for n, m in zip(boxes, others)]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(found, np.swapaxes(iou(others, boxes), 1, 2))
        # Exactly 1 with itself: `keep_best` in matching compares with >=.
        np.testing.assert_array_equal(np.diagonal(iou(boxes[0], boxes[0])), np.ones(5))


def test_iou_is_zero_with_empty_boxes_and_empty_sets():
    empty, box = tf.zeros([1, 4]), tf.constant([[0.0, 0.0, 5.0, 5.0]])
    for pair in ((empty, box), (box, empty), (empty, empty)):
        np.testing.assert_array_equal(iou(*pair), [[0.0]])
    assert iou(tf.zeros([2, 0, 4]), tf.zeros([2, 3, 4])).shape == [2, 0, 3]
    assert iou(tf.zeros([2, 3, 4]), tf.zeros([2, 0, 4])).shape == [2, 3, 0]


def test_deltas_of_a_hand_made_pair():
    anchor, box = tf.constant([[0.0, 0.0, 10.0, 20.0]]), tf.constant([[5.0, 0.0, 25.0, 10.0]])
    # Centres (5, 10) -> (15, 5); sizes (10, 20) -> (20, 10).
    expected = [[10 * 1.0, 10 * -0.25, 5 * math.log(2), 5 * -math.log(2)]]
    np.testing.assert_allclose(encode_boxes(box, anchor, WEIGHTS), expected, rtol=1e-6)
    np.testing.assert_allclose(decode_boxes(expected, anchor, WEIGHTS), box, atol=1e-5)


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), WEIGHTS])
def test_decode_is_the_inverse_of_encode(weights):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        # Sides of 8 to 300 px, so that no growth reaches the cap of 62.5.
        boxes, anchors = random_boxes(rng, 2, 50, low=8.0), random_boxes(rng, 2, 50, low=8.0)
        deltas = encode_boxes(boxes, anchors, weights)
        np.testing.assert_allclose(decode_boxes(deltas, anchors, weights), boxes, atol=2e-3)
        deltas = rng.normal(size=[2, 50, 4]).astype(np.float32)
        back = encode_boxes(decode_boxes(deltas, anchors, weights), anchors, weights)
        np.testing.assert_allclose(back, deltas, atol=2e-3)


def test_deltas_broadcast_over_anchors_shared_by_the_images():
    rng = np.random.default_rng(0)
    anchors, deltas = random_boxes(rng, 6), rng.normal(size=[3, 6, 4]).astype(np.float32)
    found = decode_boxes(deltas, anchors[np.newaxis], WEIGHTS)
    for image in range(3):
        alone = decode_boxes(deltas[image], anchors, WEIGHTS)
        np.testing.assert_allclose(found[image], alone, rtol=1e-6)


def test_growth_is_capped_and_huge_deltas_stay_finite():
    assert math.isclose(MAX_LOG_SCALE, math.log(62.5))
    anchor = tf.constant([[0.0, 0.0, 16.0, 16.0]])
    grown = decode_boxes(tf.constant([[0.0, 0.0, 1e4, 20.0]]), anchor, (1.0,) * 4)
    np.testing.assert_allclose(grown, [[-492.0, -492.0, 508.0, 508.0]], rtol=1e-5)
    shrunk = decode_boxes(tf.constant([[0.0, 0.0, -1e4, -1e4]]), anchor, (1.0,) * 4)
    np.testing.assert_allclose(shrunk, [[8.0, 8.0, 8.0, 8.0]], atol=1e-5)


def test_degenerate_boxes_encode_to_finite_deltas():
    boxes = tf.constant([[0.0, 0.0, 0.0, 0.0], [5.0, 5.0, 5.0, 9.0], [9.0, 9.0, 1.0, 1.0]])
    anchors = tf.constant([[0.0, 0.0, 32.0, 32.0]] * 3)
    assert np.isfinite(encode_boxes(boxes, anchors, WEIGHTS)).all()
    assert np.isfinite(encode_boxes(anchors, boxes, WEIGHTS)).all()
    assert np.isfinite(decode_boxes(tf.ones([3, 4]), boxes, WEIGHTS)).all()


def test_gradient_of_decode_is_right_and_finite_beyond_the_cap():
    deltas = tf.constant([[0.3, -0.2, 0.5, 50.0]])
    with tf.GradientTape() as tape:
        tape.watch(deltas)
        # Centre and half-size: y1 + y2 = 2 c + 2 dy h, y2 - y1 = h exp(dh).
        box = decode_boxes(deltas, tf.constant([[0.0, 0.0, 10.0, 20.0]]), (1.0,) * 4)
        value = tf.reduce_sum(box * [1.0, 1.0, 3.0, 3.0])
    # d/d_dy = 4 h; d/d_dh = (-1 + 3) / 2 * h exp(dh); capped: 0.
    expected = [[40.0, 80.0, 10.0 * math.exp(0.5), 0.0]]
    np.testing.assert_allclose(tape.gradient(value, deltas), expected, rtol=1e-5)


def test_clip_cuts_each_image_at_its_own_size():
    boxes = tf.constant([[[-5.0, -6.0, 200.0, 300.0], [10.0, 20.0, 30.0, 40.0]]] * 2)
    sizes = tf.constant([[100.0, 150.0], [25.0, 1000.0]])
    expected = [
        [[0, 0, 100, 150], [10, 20, 30, 40]],
        [[0, 0, 25, 300], [10, 20, 25, 40]],
    ]
    np.testing.assert_array_equal(clip_boxes(boxes, sizes), expected)
    per_class = clip_boxes(tf.tile(boxes[:, :, tf.newaxis], [1, 1, 3, 1]), sizes)  # [B, n, K, 4]
    for k in range(3):
        np.testing.assert_array_equal(per_class[:, :, k], expected)


def test_clip_is_idempotent_and_leaves_everything_inside():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        boxes = tf.constant(rng.uniform(-900, 900, [2, 30, 4]), tf.float32)
        sizes = rng.uniform(50, 400, [2, 2]).astype(np.float32)
        once = clip_boxes(boxes, sizes)
        np.testing.assert_array_equal(clip_boxes(once, sizes), once)
        limits = np.tile(sizes, 2)[:, np.newaxis]
        assert np.all(once >= 0) and np.all(once <= limits)
    assert clip_boxes(tf.zeros([2, 0, 4]), sizes).shape == [2, 0, 4]


def test_wider_than_wants_both_sides_strictly_wider():
    boxes = tf.constant(
        [[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 1.0, 9.0], [0.0, 0.0, 9.0, 1.0], [9.0, 9.0, 1.0, 1.0]]
    )
    found = wider_than(boxes, 1.0)
    assert found.dtype == tf.float32
    np.testing.assert_array_equal(found, [1.0, 0.0, 0.0, 0.0])
    np.testing.assert_array_equal(wider_than(tf.zeros([2, 3, 4]), 0.0), np.zeros([2, 3]))


def test_clipping_to_a_window_that_starts_off_the_corner():
    boxes = tf.constant([[[-5.0, 2.0, 30.0, 9.0], [12.0, 30.0, 15.0, 40.0]]])
    window = tf.constant([[10.0, 3.0, 20.0, 25.0]])
    expected = [[[10.0, 3.0, 20.0, 9.0], [12.0, 25.0, 15.0, 25.0]]]
    np.testing.assert_array_equal(clip_boxes(boxes, window), expected)
    per_class = clip_boxes(tf.tile(boxes[:, :, tf.newaxis], [1, 1, 3, 1]), window)
    np.testing.assert_array_equal(per_class[:, :, 1], expected)


def test_without_the_clamp_a_box_grows_as_far_as_its_delta_says_and_stays_finite():
    anchor = tf.constant([[10.0, 10.0, 20.0, 20.0]])
    deltas = tf.constant([[0.0, 0.0, np.log(100.0), 300.0]])
    clamped, free = (
        decode_boxes(deltas, anchor, (1.0,) * 4, clamp).numpy()[0] for clamp in (True, False)
    )
    np.testing.assert_allclose(clamped, [-297.5, -297.5, 327.5, 327.5], rtol=1e-5)
    np.testing.assert_allclose(free[[0, 2]], [-485.0, 515.0], rtol=1e-5)
    assert np.isfinite(free).all()
