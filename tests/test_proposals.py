import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.model_config import RpnConfig
from tfmaskrcnn.proposals import select_proposals
from tfmaskrcnn.structures import PYRAMID_LEVELS, RpnOutput

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
