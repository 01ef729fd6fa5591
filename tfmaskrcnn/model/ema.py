"""A moving average of a model's weights, which is often better than the last weights."""

import contextlib
from typing import Dict, Iterator

import numpy as np
import tensorflow as tf

from tfmaskrcnn.model.weights import named_weights
from tfmaskrcnn.ops.replicas import assign_on_all

# The first averages forget sooner: after t updates the decay is at most t / (t + this).
_START = 9.0


class WeightAverage:
    """The exponential moving average of all weights and statistics, updated after each step.

    After t updates average = d * average + (1 - d) * weights, d = min(decay, t / (t + 9)), so that
    the random start is forgotten at once and a short run's average is not of its beginning alone.
    Keras's own `use_ema` begins differently in Keras 2 and 3, and puts the average in place of the
    weights at the end of `fit`.

    Made in the scope of the model's `tf.distribute` strategy. Keras does not track its variables:
    they are no weights of the model.
    """

    def __init__(self, model, decay: float):
        """The average of a built model; `decay` is what remains of it at each update."""
        self.decay = decay
        self._weights = named_weights(model)
        self.steps = _variable(np.int64(0))  # updates so far
        self.averages = {n: _variable(v.numpy()) for n, v in self._weights.items()}

    def update(self) -> None:
        """Move the averages towards the weights as they are now."""
        steps = tf.convert_to_tensor(self.steps)
        done = tf.cast(steps, tf.float32)
        share = 1.0 - tf.minimum(self.decay, done / (done + _START))
        values = []
        for name, weight in self._weights.items():
            weight, old = (tf.convert_to_tensor(v) for v in (weight, self.averages[name]))
            # This form leaves weights that do not change as they are, to the bit.
            values.append(tf.where(steps == 0, weight, old + share * (weight - old)))
        assign_on_all([*self.averages.values(), self.steps], [*values, steps + 1])

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """The model has the averages for its weights while the block runs."""
        before = {name: weight.numpy() for name, weight in self._weights.items()}
        self.use()
        try:
            yield
        finally:
            for name, weight in self._weights.items():
                weight.assign(before[name])

    def use(self) -> None:
        """Give the model the averages for its weights; before the first update, do nothing."""
        if int(self.steps.numpy()):
            for name, weight in self._weights.items():
                weight.assign(self.averages[name].numpy())

    def variables(self) -> Dict[str, tf.Variable]:
        """What a resumed run needs, by name."""
        return {"steps": self.steps, **{f"averages/{n}": v for n, v in self.averages.items()}}


def _variable(value) -> tf.Variable:
    once = tf.VariableAggregation.ONLY_FIRST_REPLICA  # the replicas agree
    return tf.Variable(value, trainable=False, aggregation=once)
