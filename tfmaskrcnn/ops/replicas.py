"""Sums and assignments over the replicas of a `tf.distribute` strategy; plain on one device."""

from typing import Sequence

import tensorflow as tf

from tfmaskrcnn import compat


def num_replicas() -> int:
    """Replicas of the `tf.distribute` strategy in whose scope or step this is called."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def all_reduce_sum(value):
    """Sum over the replicas of a `tf.distribute` strategy; `value` itself on one device."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)


def assign_on_all(variables: Sequence, values: Sequence[tf.Tensor]) -> None:
    """Assign `values`, the same on all replicas, to variables that a strategy may mirror."""
    variables = [compat.tensor_variable(v) for v in variables]
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        for variable, value in zip(variables, values):
            variable.assign(value)
        return

    def merged(strategy, *values):
        for variable, value in zip(variables, values):
            strategy.extended.update(variable, lambda v, x: v.assign(x), args=(value,))

    context.merge_call(merged, args=tuple(values))
