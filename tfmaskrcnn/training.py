"""What `compile` and `fit` do: one update of the weights from sums and counts of losses."""

from typing import Dict, Sequence

import keras
import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.errors import assert_finite, explained
from tfmaskrcnn.gradients import all_reduce_sum, apply_gradients
from tfmaskrcnn.losses import LossTerm


class TrainableModel(keras.Model):
    """A `keras.Model` whose loss is a dict of `LossTerm`, exact on one device and on many.

    A subclass gives `loss_terms(batch, training)` and calls `track_losses` with their names.
    """

    def track_losses(self, names: Sequence[str]):
        """Make a running mean for the sum of all losses and for each one."""
        self.loss_means = {name: keras.metrics.Mean(name=name) for name in ("loss", *names)}

    def loss_terms(self, batch: Dict[str, tf.Tensor], training: bool) -> Dict[str, LossTerm]:
        """The losses of a batch, by the names given to `track_losses`."""
        raise NotImplementedError

    def train_step(self, data):
        """One update; returns the running means of all losses."""
        batch = _as_batch(data)
        with tf.GradientTape() as tape:
            each = _divided(self.loss_terms(batch, training=True))
            total = tf.add_n(list(each.values()))
            with tf.control_dependencies([assert_finite(total, batch["image_id"])]):
                scaled = compat.scale_loss(self.optimizer, tf.identity(total))
        variables = self.trainable_variables
        gradients = tape.gradient(scaled, variables)
        apply_gradients(self.optimizer, gradients, variables)
        return self._log(each)

    def test_step(self, data):
        """The losses of a validation batch, without an update."""
        return self._log(_divided(self.loss_terms(_as_batch(data), training=False)))

    def _log(self, each: Dict[str, tf.Tensor]):
        # A replica's losses are shares that sum to the global loss; a Mean averages over replicas.
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        for name, value in {"loss": tf.add_n(list(each.values())), **each}.items():
            self.loss_means[name].update_state(value * replicas)
        return {n: compat.step_result(mean.result()) for n, mean in self.loss_means.items()}

    @property
    def metrics(self):
        """The loss means, reset by Keras at each epoch."""
        return list(self.loss_means.values())

    def compile(self, optimizer="sgd", **kwargs):
        """`keras.Model.compile` without XLA, and with the optimizer's slots made at once."""
        kwargs["jit_compile"] = False
        super().compile(optimizer=optimizer, **kwargs)
        self.optimizer.build(self.trainable_variables)

    def _maybe_symbolic_build(self, *args, **kwargs):
        """Nothing: all variables exist.

        Keras 3 calls it under a strategy to make variables out of a batch, which it then fails to
        reduce over workers because ours is a dict, and which is lost to training.
        """

    def fit(self, x=None, **kwargs):
        """`keras.Model.fit`; bad data and a non-finite loss end in one sentence that names them."""
        try:
            return super().fit(x, **kwargs)
        except tf.errors.OpError as error:
            raise explained(error, getattr(x, "image_names", {})) from None


def _as_batch(data) -> Dict[str, tf.Tensor]:
    """The dict of a batch that Keras may have wrapped in a tuple, with a seed if it has none."""
    batch = dict(data[0] if isinstance(data, (tuple, list)) else data)
    if "seed" not in batch:
        image_id = tf.cast(batch["image_id"], tf.int32)
        batch["seed"] = tf.stack([image_id, tf.zeros_like(image_id)], axis=1)
    return batch


def _divided(terms: Dict[str, LossTerm]) -> Dict[str, tf.Tensor]:
    """Each loss's share of the global mean: the local sum over the count of all replicas."""
    return {
        name: term.total / tf.maximum(all_reduce_sum(term.count), 1.0)
        for name, term in terms.items()
    }
