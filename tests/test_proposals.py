"""What is particular to the choice of proposals; tests of golden files do the rest."""

import numpy as np
import tensorflow as tf

from tfmaskrcnn.model_config import RpnConfig
from tfmaskrcnn.proposals import select_proposals
from tfmaskrcnn.structures import PYRAMID_LEVELS, RpnOutput


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
