"""Seeds of what is drawn for an image: pure functions of run, epoch and position."""

from typing import List

import tensorflow as tf


def int32(value: int) -> int:
    """A number that is equal for equal `value` and fits an int32 tensor."""
    return int(value) & 0x7FFFFFFF


def own_seed(seed: int, epoch: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """[2] int32, of the image at this place of an epoch in a run of seed `seed`."""
    return tf.random.fold_in(tf.stack([int32(seed), epoch]), tf.cast(position, tf.int32))


def sample_seeds(own: tf.Tensor) -> List[tf.Tensor]:
    """Four [2] int32 of an `own_seed`: geometry, colour, order of objects, the model's draws."""
    return tf.unstack(tf.random.split(own, 4), num=4)
