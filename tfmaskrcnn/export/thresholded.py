"""Leaving out, in the exported graph, what is below its class's score threshold."""

import numpy as np
import tensorflow as tf

from tfmaskrcnn.ops.structures import Detections
from tfmaskrcnn.ops.tensors import one_hot


def at_or_above(found: Detections, thresholds: np.ndarray) -> Detections:
    """`found` without the detections below their class's threshold.

    By what TensorRT, ONNX and TFLite know, of static shape: the others move up in their order, and
    all rows behind them are zeros.

    Args:
        found: of classes 1..K; boxes and keypoints of any unit.
        thresholds: [K] float32.
    """
    rows = found.scores.shape[1]
    # [B, D]; a sum over the one class that is not 0, so exact. 0 on padding.
    own = tf.reduce_sum(one_hot(found.classes - 1.0, len(thresholds)) * thresholds, axis=-1)
    keep = tf.where(found.valid, tf.where(found.scores >= own, 1.0, 0.0), 0.0)
    # Whole numbers that fall from row to row, so that the order of equal scores stays.
    places = tf.constant(np.arange(rows, 0, -1), tf.float32)
    rank, order = tf.math.top_k(keep * places, k=rows)
    kept = tf.minimum(rank, 1.0)  # [B, D], 1 on what is kept

    def moved(part):
        """[B, D, ...] in the new order."""
        if part is None:
            return None
        flags = kept
        for _ in range(part.shape.rank - 2):
            flags = tf.expand_dims(flags, -1)
        return tf.gather(part, order, batch_dims=1) * flags

    parts = {name: part for name, part in found._asdict().items() if name != "valid"}
    return Detections(**{name: moved(part) for name, part in parts.items()}, valid=kept > 0.0)
