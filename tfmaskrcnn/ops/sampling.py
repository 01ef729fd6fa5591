"""Random choice of the anchors and RoIs that a loss looks at."""

from typing import NamedTuple

import tensorflow as tf

from tfmaskrcnn.ops.tensors import at_most, pad_rows, side


class Sample(NamedTuple):
    """The chosen rows of each image, positives first; rows where `valid` is False are padding."""

    index: tf.Tensor  # [B, n] int32, which candidate
    positive: tf.Tensor  # [B, n] bool
    valid: tf.Tensor  # [B, n] bool


def sample_rows(
    positive: tf.Tensor, negative: tf.Tensor, count: int, positive_fraction: float, seeds: tf.Tensor
) -> Sample:
    """Draw up to `count` candidates an image, at most `positive_fraction` of them positive.

    Negatives fill what positives leave, as in Faster R-CNN, section 3.1.3. An image's draw depends
    on its own seed alone, so that one device and many choose alike.

    Args:
        positive: [B, n] bool; `negative` likewise, never both.
        count: rows to draw.
        positive_fraction: most positives, as a share of `count`, rounded down, at least 1.
        seeds: [B, 2] int32, one an image.

    Returns:
        A `Sample` of `count` rows.
    """
    candidates = side(positive, 1)
    order = tf.map_fn(
        lambda seed: tf.random.stateless_uniform([candidates], seed),
        seeds,
        fn_output_signature=tf.TensorSpec(positive.shape[1:], tf.float32),
    )  # [B, n] in [0, 1)
    most_positive = at_most(max(int(count * positive_fraction), 1), candidates)
    ranked = tf.where(positive, order + 1.0, 0.0)
    lowest_kept = tf.math.top_k(ranked, most_positive).values[:, -1:]
    positive &= ranked >= lowest_kept  # all of them where there are fewer: then it is 0
    # Positives in 2..3, negatives in 1..2, the rest 0: one top-k puts each group in random order.
    ranked = tf.where(positive, order + 2.0, tf.where(negative, order + 1.0, 0.0))
    ranked, index = tf.math.top_k(ranked, at_most(count, candidates))
    sample = Sample(index, ranked >= 2.0, ranked >= 1.0)
    return Sample(*(pad_rows(part, count) for part in sample))
