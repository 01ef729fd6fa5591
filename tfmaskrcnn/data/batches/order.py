"""The order of the images of each epoch: a pure function of the seed and the epoch."""

from typing import Callable, Optional

import numpy as np
import tensorflow as tf

from tfmaskrcnn.data.augment.seeds import int32

# Keeps where the ticks of an epoch lie apart from the order of its images.
_TICKS = 1


def shuffled(
    count: int,
    seed: int,
    start_epoch: int,
    skipped: int,
    ends: Optional[np.ndarray] = None,
    wanted: Optional[Callable] = None,
) -> tf.data.Dataset:
    """(epoch, position, index) of each image in a new order at every iteration.

    Args:
        count: positions of an epoch.
        seed: of the run.
        start_epoch: epoch of the first iteration.
        skipped: so many first positions are left out.
        ends: [n] float64, ascending to `count`: image i fills a line from ends[i - 1] to ends[i]
            and occurs as often as ticks fall on that part; the ticks are 1 apart and begin
            elsewhere in each epoch. So a part of the length 2.3 has two or three (systematic
            sampling). None shows each image once.
        wanted: from a position, scalar int64, to whether it is shown; None shows all.
    """
    counter = _EpochCounter(start_epoch)
    epochs = tf.data.Dataset.from_generator(
        counter, output_signature=tf.TensorSpec([], tf.int32, "epoch")
    )

    def order(epoch):
        key = tf.stack([int32(seed), epoch])
        first = tf.random.stateless_uniform([], tf.random.fold_in(key, _TICKS), dtype=tf.float64)

        def element(p):
            index = tf.random.experimental.index_shuffle(p, key, count - 1)
            return epoch, p, index if ends is None else _image_at(index, first, ends)

        positions = tf.data.Dataset.range(skipped, count)
        return (positions.filter(wanted) if wanted else positions).map(element)

    return epochs.flat_map(order)


def _image_at(number, first, ends: np.ndarray) -> tf.Tensor:
    """[] int64: the image on whose part of the line the tick `number` falls."""
    tick = tf.cast(number, tf.float64) + first
    found = tf.searchsorted(tf.constant(ends, tf.float64), tick[tf.newaxis], side="right")[0]
    return tf.cast(tf.minimum(found, len(ends) - 1), tf.int64)


class _EpochCounter:
    """A generator function of one number, which is one higher each time it is called."""

    def __init__(self, start: int):
        self.next_epoch = start

    def __call__(self):
        epoch = self.next_epoch
        self.next_epoch += 1
        yield epoch
