import numpy as np
import pytest
import tensorflow as tf

from golden.weights_by_name import rpn_maps
from helpers.paths import GOLDEN
from tfmaskrcnn.checkpoints.presets import TORCHVISION
from tfmaskrcnn.config.model import RpnConfig
from tfmaskrcnn.config.yaml_files import parse_config
from tfmaskrcnn.model.proposals import select_proposals
from tfmaskrcnn.ops.anchors import pyramid_anchors
from tfmaskrcnn.ops.structures import PYRAMID_LEVELS, RpnOutput

SIZES = tf.constant([[100.0, 100.0]])


def rpn_of(boxes, logits):
    """Anchors that stay where they are, {level: [n, 4]}, with their logits; [1, 0, ...] if none."""
    anchors = {k: np.float32(boxes.get(k, np.zeros((0, 4)))).reshape(-1, 4) for k in PYRAMID_LEVELS}
    scores = {k: np.float32(logits.get(k, np.zeros(0)))[None] for k in PYRAMID_LEVELS}
    deltas = {k: tf.zeros([1, len(a), 4]) for k, a in anchors.items()}
    return RpnOutput(
        {k: tf.constant(v) for k, v in scores.items()},
        deltas,
        {k: tf.constant(v) for k, v in anchors.items()},
    )


def selected(rpn, **changes):
    changes = {"post_nms_top_k": 10, "scope": "all", **changes}
    found = select_proposals(rpn, SIZES, RpnConfig(**changes))
    count = int(tf.reduce_sum(tf.cast(found.valid, tf.int32)))
    assert found.valid[0, :count].numpy().all()
    assert not found.boxes[0, count:].numpy().any() and not found.scores[0, count:].numpy().any()
    return found.boxes[0, :count].numpy(), found.scores[0, :count].numpy()


A, B, C = [0, 0, 40, 40], [50, 50, 90, 90], [0, 2, 40, 42]  # A and C overlap by 0.9


def test_boxes_of_different_levels_suppress_each_other_only_under_the_scope_all():
    rpn = rpn_of({"p2": [A, B], "p4": [C]}, {"p2": [1, 2], "p4": [3]})
    boxes, scores = selected(rpn)
    np.testing.assert_array_equal(boxes, [C, B])
    np.testing.assert_allclose(scores, 1 / (1 + np.exp([-3.0, -2.0])), rtol=1e-6)
    assert len(selected(rpn, scope="level")[0]) == 3


def test_the_top_k_is_of_all_levels_together():
    rpn = rpn_of({"p2": [A, B], "p4": [[60, 0, 80, 20]]}, {"p2": [1, 2], "p4": [3]})
    assert len(selected(rpn, pre_nms_top_k=2)[0]) == 2
    assert len(selected(rpn, pre_nms_top_k=2, scope="level")[0]) == 3


def test_scores_that_round_to_one_go_by_position():
    # 30 is surer than 25, but both scores are 1.0 in float32.
    rpn = rpn_of({"p2": [A], "p3": [B], "p4": [C]}, {"p2": [25], "p3": [5], "p4": [30]})
    boxes, scores = selected(rpn)
    np.testing.assert_array_equal(boxes, [A, B])
    assert scores[0] == 1.0 > scores[1]
    boxes, _ = selected(rpn, scope="level")
    assert len(boxes) == 3


def test_empty_boxes_are_kept_where_no_minimum_is_set():
    outside = [120, 10, 140, 30]  # clipped to a line
    rpn = rpn_of({"p2": [A, outside]}, {"p2": [1, 2]})
    for scope in ("all", "level"):
        assert len(selected(rpn, scope=scope)[0]) == 1
        boxes, _ = selected(rpn, scope=scope, min_side=None)
        np.testing.assert_array_equal(boxes, [[100, 10, 100, 30], A])


@pytest.mark.parametrize("scope", ["all", "level"])
def test_unlikely_boxes_are_left_out_from_a_threshold_on(scope):
    # The sigmoids are 0.73, 0.5 and 0.27; the last would not be suppressed by another.
    rpn = rpn_of({"p2": [A, B], "p4": [[60, 0, 80, 20]]}, {"p2": [1, 0], "p4": [-1]})
    for threshold, count in ((0.0, 3), (0.3, 2), (0.5, 2), (0.6, 1)):
        boxes, _ = selected(rpn, scope=scope, score_threshold=threshold)
        np.testing.assert_array_equal(boxes, [A, B, [60, 0, 80, 20]][:count])


@pytest.mark.parametrize("seed", range(20))
def test_the_scope_all_is_a_greedy_nms_in_the_order_of_scores(seed):
    rng = np.random.default_rng(seed)
    boxes, logits = {}, {}
    for level, count in zip(PYRAMID_LEVELS, (60, 30, 10, 5, 1)):
        low = rng.uniform(0, 70, (count, 2))
        boxes[level] = np.concatenate([low, low + rng.uniform(5, 30, (count, 2))], axis=1)
        logits[level] = rng.normal(size=count) * 3
    found, scores = selected(rpn_of(boxes, logits), post_nms_top_k=200, nms_iou=0.4)
    every = np.concatenate([boxes[k] for k in PYRAMID_LEVELS]).astype(np.float32)
    order = np.argsort(-np.concatenate([logits[k] for k in PYRAMID_LEVELS]), kind="stable")
    kept = tf.image.non_max_suppression(every[order], -np.arange(106.0), 200, 0.4).numpy()
    np.testing.assert_allclose(found, np.clip(every[order][kept], 0, 100), atol=1e-4)
    assert (np.diff(scores) <= 0).all()


def rpn_output(logits):
    """Boxes side by side on p2, which do not suppress one another; nothing on the other levels."""
    count = len(logits)
    left = 10.0 * np.arange(count)
    boxes = np.stack([0 * left, left, 0 * left + 8, left + 8], axis=1).astype(np.float32)
    empty = {level: np.zeros((1, 0), np.float32) for level in PYRAMID_LEVELS[1:]}
    return RpnOutput(
        {"p2": tf.constant([logits], tf.float32), **empty},
        {"p2": tf.zeros([1, count, 4]), **{k: tf.zeros([1, 0, 4]) for k in empty}},
        {"p2": tf.constant(boxes), **{k: tf.zeros([0, 4]) for k in empty}},
    )


def test_proposals_keep_the_order_of_logits_whose_sigmoids_are_all_1_or_nearly_0():
    for base in (25.0, 0.0, -25.0):
        rng = np.random.default_rng(0)
        logits = base + rng.permutation(50) * 0.01
        found = select_proposals(rpn_output(logits), tf.constant([[8.0, 600.0]]), RpnConfig())
        assert found.valid.numpy()[0, :50].all() and not found.valid.numpy()[0, 50:].any()
        order = np.round(found.boxes[0, :50, 1].numpy() / 10).astype(int)
        np.testing.assert_array_equal(order, np.argsort(-logits))
        expected = 1 / (1 + np.exp(-np.sort(logits)[::-1]))
        np.testing.assert_allclose(found.scores[0, :50], expected, rtol=1e-5)
        assert not found.scores[0, 50:].numpy().any()


def test_of_the_same_logits_torchvision_makes_the_same_proposals_in_this_order():
    golden = np.load(GOLDEN / "torchvision_proposals.npz")
    config = parse_config({}, TORCHVISION).model
    maps = [rpn_maps(2, (256, 320), level, seed=0) for level in range(2, 7)]
    features = {k: logits for k, (logits, _) in zip(PYRAMID_LEVELS, maps)}
    anchors = pyramid_anchors(features, **config.anchors.model_dump())
    rpn = RpnOutput(
        {k: tf.reshape(logits, [2, -1]) for k, (logits, _) in zip(PYRAMID_LEVELS, maps)},
        {k: tf.reshape(deltas, [2, -1, 4]) for k, (_, deltas) in zip(PYRAMID_LEVELS, maps)},
        anchors,
    )
    found = select_proposals(rpn, tf.constant([[213.0, 317.0], [256.0, 200.0]]), config.rpn)
    for i in range(2):
        expected = golden[f"proposals_{i}"][:, [1, 0, 3, 2]]
        boxes = found.boxes[i].numpy()[found.valid[i]]
        distances = np.abs(boxes[:, np.newaxis] - expected).max(axis=-1)  # [R, R]
        assert boxes.shape == expected.shape == (1000, 4)
        assert distances.min(axis=0).max() < 1e-3
        # torchvision orders by sigmoids, in which logits that differ may be tied.
        moved = np.flatnonzero(distances.diagonal() > 1e-3)
        scores = found.scores[i].numpy()
        place = distances[:, moved].argmin(axis=0)
        np.testing.assert_allclose(scores[place], scores[moved], atol=1.2e-7)
        assert len(moved) <= 10
