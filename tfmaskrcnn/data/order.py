"""The order of the images of each epoch: a pure function of the seed and the epoch."""

from typing import Callable, List, Optional

import tensorflow as tf


def shuffled(
    count: int, seed: int, start_epoch: int, skipped: int, wanted: Optional[Callable] = None
) -> tf.data.Dataset:
    """(epoch, position, index) of each image in a new order at every iteration.

    The first `skipped` positions are left out, and those for which `wanted` does not hold.
    """
    counter = _EpochCounter(start_epoch)
    epochs = tf.data.Dataset.from_generator(
        counter, output_signature=tf.TensorSpec([], tf.int32, "epoch")
    )

    def order(epoch):
        key = tf.stack([int32(seed), epoch])
        positions = tf.data.Dataset.range(skipped, count)
        return (positions.filter(wanted) if wanted else positions).map(
            lambda p: (epoch, p, tf.random.experimental.index_shuffle(p, key, count - 1))
        )

    return epochs.flat_map(order)


class _EpochCounter:
    """A generator function of one number, which is one higher each time it is called."""

    def __init__(self, start: int):
        self.next_epoch = start

    def __call__(self):
        epoch = self.next_epoch
        self.next_epoch += 1
        yield epoch


def int32(value: int) -> int:
    """A number that is equal for equal `value` and fits an int32 tensor."""
    return int(value) & 0x7FFFFFFF


def sample_seeds(seed: int, epoch: tf.Tensor, position: tf.Tensor) -> List[tf.Tensor]:
    """Four [2] int32: for geometry, colour, the order of objects, and what the model draws."""
    own = tf.random.fold_in(tf.stack([int32(seed), epoch]), tf.cast(position, tf.int32))
    return tf.unstack(tf.random.split(own, 4), num=4)
