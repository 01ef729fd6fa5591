"""A batch that goes through the network in parts, one after the other, for less memory."""

from typing import Dict, List

import tensorflow as tf

from tfmaskrcnn.errors import InputError


def parts_of(batch: Dict[str, tf.Tensor], number: int) -> List[Dict[str, tf.Tensor]]:
    """A batch as `number` equal ones."""
    if number == 1:
        return [batch]
    images = batch["image"].shape[0]
    if images is not None and images % number:
        raise InputError(f"A batch of {images} images does not divide into {number} equal parts.")
    split = {name: tf.split(value, number) for name, value in batch.items()}
    return [{name: values[i] for name, values in split.items()} for i in range(number)]


def after(done: List[tf.Tensor]):
    """A context whose operations wait until all of `done` is computed, in a graph.

    Else it runs the parts of a batch side by side and holds them all in memory, or at least a
    folded copy of all kernels for each.
    """
    with tf.control_dependencies(done):
        barrier = tf.no_op()
    return tf.control_dependencies([barrier])
