"""What evaluation during training computes on all replicas of a process at once."""

from typing import Callable, Dict, List, Optional, Sequence

import numpy as np
import tensorflow as tf

from tfmaskrcnn.instances import Instances
from tfmaskrcnn.model.predictor import Predictor
from tfmaskrcnn.ops.structures import Detections
from tfmaskrcnn.ops.tensors import as_graph


class ReplicaPredictor(Predictor):
    """A function from images to `Instances` in which each replica takes a batch at a time.

    The model is read on the replica itself. Outside of replicas, Keras 2 would sum the statistics
    of a trained batch normalisation over all workers, and wait for those that have less to do.
    """

    def __init__(self, model, strategy: tf.distribute.Strategy, replicas: int, batch_size: int):
        """Predict on the `replicas` of this process, `batch_size` images on each at a time."""
        super().__init__(model)
        self._strategy, self._replicas, self._batch_size = strategy, replicas, batch_size
        c = model.config.input
        shape = (None, *(c.static_size or (None, None)), c.channels)
        self._detect = as_graph(
            self._detect_in_graph,
            input_signature=[
                [tf.TensorSpec(shape, tf.float32)] * replicas,
                [tf.TensorSpec([None, 2], tf.float32)] * replicas,
            ],
        )

    def __call__(self, images: List[np.ndarray]) -> List[Instances]:
        """The instances of each image, in pixels of the image as given."""
        size, found = self._batch_size, []
        batches = [images[i : i + size] for i in range(0, len(images), size)]
        for start in range(0, len(batches), self._replicas):
            parts = batches[start : start + self._replicas]
            ready = [self._batch_of(part) for part in parts]
            # An idle replica repeats the last batch: none can take a batch of no images.
            filled = ready + ready[-1:] * (self._replicas - len(ready))
            sizes = [tf.constant(sizes, tf.float32) for _, sizes in filled]
            each = self._detect([batch for batch, _ in filled], sizes)
            for i, part in enumerate(parts):
                own = {name: values[i] for name, values in each.items()}
                detections = Detections(**{name: own.get(name) for name in Detections._fields})
                found += self._results(part, ready[i][1], detections)
        return found

    def _detect_in_graph(self, batches, sizes):
        """Each field of `Detections`, by name, as a list with a tensor of each replica."""

        def detect(of_replica):
            found = self._model.detect(*of_replica)._asdict()
            return {name: value for name, value in found.items() if value is not None}

        arguments = list(zip(batches, sizes))
        return on_each_replica(self._strategy, self._replicas, detect, arguments)


def on_each_replica(
    strategy: Optional[tf.distribute.Strategy],
    replicas: int,
    function: Callable,
    arguments: Sequence,
) -> Dict[str, Sequence[tf.Tensor]]:
    """`function(arguments[i])` on replica i of this process, side by side in a graph.

    Args:
        strategy: None for one device.
        replicas: of this process, as many as there are `arguments`.
        function: returns tensors by name.
        arguments: one for each replica.

    Returns:
        By name, a tensor of each replica.
    """
    if strategy is None:
        return {name: [value] for name, value in function(arguments[0]).items()}

    def of_replica():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return function(arguments[int(tf.get_static_value(replica)) % replicas])

    found = strategy.run(of_replica)
    return {name: strategy.experimental_local_results(value) for name, value in found.items()}
