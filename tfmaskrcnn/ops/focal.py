"""Softmax cross-entropy that looks away from what is learned already (Lin et al. 2017)."""

import tensorflow as tf

# The least 1 - p_t with a gradient: below it the slope of a power under 1 has no bound.
_LEAST = 1e-7


def softmax_focal_loss(logits: tf.Tensor, labels: tf.Tensor, gamma: float) -> tf.Tensor:
    """The loss (1 - p_t)^gamma * -log(p_t) of each row, p_t its label's softmax probability.

    Lin et al. (arXiv 1708.02002, equation 4) have sigmoids; of a softmax p_t is the probability
    beside all other classes, the background among them.

    Args:
        logits: [..., n] float32.
        labels: [...] int32, 0..n-1.
        gamma: 0 or above; 0 is the cross-entropy, to the bit.

    Returns:
        [...] float32. Its gradient is finite at p_t = 0 and p_t = 1 alike.
    """
    cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    if gamma == 0:
        return cross_entropy
    # expm1 keeps the digits of 1 - p_t where p_t is all but 1.
    missing = tf.maximum(-tf.math.expm1(-cross_entropy), _LEAST)
    return tf.pow(missing, gamma) * cross_entropy
