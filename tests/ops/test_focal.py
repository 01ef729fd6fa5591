"""`ops/focal.py` beside the formula in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.ops.focal import softmax_focal_loss


def formula(logits, labels, gamma):
    """(1 - p_t)^gamma * -log(p_t) in float64."""
    shifted = np.asarray(logits, np.float64) - np.max(logits, axis=-1, keepdims=True)
    p = np.exp(shifted) / np.exp(shifted).sum(axis=-1, keepdims=True)
    own = np.take_along_axis(p, np.asarray(labels)[..., None], axis=-1)[..., 0]
    return (1 - own) ** gamma * -np.log(own)


def random_rows(seed, rows=(2, 50), classes=4):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (*rows, classes)).astype(np.float32)
    return logits, rng.integers(0, classes, rows).astype(np.int32)


def test_a_case_by_hand():
    # p = 1/4 and 1/2: (3/4)^2 ln 4 and (1/2)^2 ln 2.
    logits = tf.math.log(tf.constant([[1.0, 2.0, 1.0], [1.0, 2.0, 1.0]]))
    found = softmax_focal_loss(logits, tf.constant([0, 1]), 2.0)
    np.testing.assert_allclose(found, [9 / 16 * np.log(4), np.log(2) / 4], rtol=1e-6)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_it_is_the_formula(gamma):
    for seed in range(20):
        logits, labels = random_rows(seed)
        found = softmax_focal_loss(logits, labels, gamma)
        np.testing.assert_allclose(found, formula(logits, labels, gamma), rtol=2e-4, atol=1e-6)


def test_gamma_0_is_the_cross_entropy_to_the_bit():
    logits, labels = random_rows(0)
    plain = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    np.testing.assert_array_equal(softmax_focal_loss(logits, labels, 0.0), plain)


def gradient(logits, labels, gamma):
    logits = tf.constant(logits, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = softmax_focal_loss(logits, tf.constant(labels, tf.int32), gamma)
    return loss.numpy(), tape.gradient(loss, logits).numpy()


@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("logit", [0.0, 10.0, 17.0, 60.0, 1e4, 1e30])
def test_loss_and_gradient_are_finite_where_p_is_0_or_1(gamma, logit):
    loss, found = gradient([[logit, 0.0], [0.0, logit]], [0, 0], gamma)
    assert np.isfinite(loss).all() and np.isfinite(found).all()
    if logit >= 60:
        assert loss[0] == 0 and abs(found[0]).max() < 1e-20  # right beyond doubt
        np.testing.assert_allclose(loss[1], logit, rtol=1e-6)
        np.testing.assert_allclose(found[1], [-1, 1], rtol=1e-6)  # wrong beyond doubt


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_the_gradient_is_the_slope_of_the_formula(gamma):
    logits, labels = random_rows(3, rows=(6,))
    _, found = gradient(logits, labels, gamma)
    for k in range(4):
        step = 1e-5 * np.eye(4)[k]
        high, low = (formula(logits + sign * step, labels, gamma) for sign in (1, -1))
        np.testing.assert_allclose(found[:, k], (high - low) / 2e-5, rtol=1e-3, atol=1e-5)


def test_no_rows_have_no_loss():
    assert softmax_focal_loss(tf.zeros([2, 0, 4]), tf.zeros([2, 0], tf.int32), 2.0).shape == (2, 0)
