"""The losses on the val split: what training minimises, on images that it does not learn from."""

from typing import Callable, Dict, Iterable, Iterator, List, Optional

import keras
import numpy as np
import tensorflow as tf

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data import from_records
from tfmaskrcnn.data.coco.records import limited
from tfmaskrcnn.data.coco.renumbering import as_classes
from tfmaskrcnn.errors import explained
from tfmaskrcnn.evaluation import CocoCallback
from tfmaskrcnn.ops.tensors import as_graph
from tfmaskrcnn.support.reproducible import sums_in_order
from tfmaskrcnn.train.distribution import Workers
from tfmaskrcnn.train.replicated import on_each_replica
from tfmaskrcnn.train.splits import validation_data


class ValidationLoss(keras.callbacks.Callback):
    """Puts `val_loss` and `val_` with each term's name into the logs of epochs that are evaluated.

    Each term is its sum over the images of the split divided by its count over them, of the
    weights that are evaluated. Images are resized and not augmented. Anchors and RoIs are sampled
    by `train.seed` and the image's place in the split, so that the same weights have the same loss
    to the bit. Nothing of the model changes.

    Goes after the `CocoCallback`, which knows when it is time.
    """

    def __init__(self, config: Config, evaluation: CocoCallback, workers: Optional[Workers] = None):
        """Read the val split of `config`, which `workers` share by batches.

        Raises:
            InputError: the split is wrong, or `config` names none.
        """
        super().__init__()
        self._evaluation, self._workers = evaluation, workers or Workers()
        data = limited(validation_data(config), config.data.limit)
        data = as_classes(data, config.model.class_names)
        self._batches = from_records(data, config, training=False)
        self._terms: Optional[Callable] = None  # it is traced once

    def on_epoch_end(self, epoch, logs=None):
        """Add the losses to `logs` if the epoch was evaluated."""
        if logs is not None and epoch + 1 in self._evaluation.results:
            prefix = self._evaluation.prefix
            logs.update({f"{prefix}{name}": value for name, value in self.compute().items()})

    def compute(self) -> Dict[str, float]:
        """The losses of the model as it is now, of its average if it keeps one: `loss` and terms.

        All workers have to call it.
        """
        names = [name for name in self.model.loss_means if name != "loss"]
        with self.model.averaged(), self.model.without_xla(), sums_in_order():
            own = self._workers.agree(lambda: self._own_sums(names))
        parts = [np.frombuffer(part) for part in self._workers.gather(own.tobytes())]
        totals, counts = np.sum(parts, axis=0).reshape(2, -1)
        each = totals / np.maximum(counts, 1.0)
        return {"loss": float(each.sum()), **dict(zip(names, each.tolist()))}

    def _own_sums(self, names: List[str]) -> np.ndarray:
        """[2, n] float64: the sum and the count of each loss over the batches of this worker."""
        workers, sums = self._workers, np.zeros([2, len(names)])
        self._terms = self._terms or self._graph()
        # Every worker reads all images: what is sampled in an image depends on its place.
        batches = self._batches.shard(workers.count, workers.index)
        tell, done = self._evaluation.progress or (lambda *_: None), 0
        try:
            for group in _groups(batches, workers.local_replicas):
                # An idle replica repeats the last batch: none can do without one.
                filled = group + group[-1:] * (workers.local_replicas - len(group))
                found = self._terms(filled)
                for replica in range(len(group)):
                    sums += np.stack([found[name][replica].numpy() for name in names], axis=1)
                done += len(group)
                tell(done, len(batches))
        except tf.errors.OpError as error:
            raise explained(error, self._batches.image_names) from None
        return sums

    def _graph(self) -> Callable:
        """From a batch for each replica to each term's [total, count], a tensor a replica."""
        model, replicas = self.model, self._workers.local_replicas

        def terms_of(batch):
            terms = model.loss_terms(batch, training=False)
            return {name: tf.stack([term.total, term.count]) for name, term in terms.items()}

        def terms(batches):
            return on_each_replica(self._workers.strategy, replicas, terms_of, batches)

        return as_graph(terms, input_signature=[[self._batches.element_spec] * replicas])


def _groups(batches: Iterable, size: int) -> Iterator[List]:
    """Lists of `size` batches in a row; the last may be shorter."""
    group: List = []
    for batch in batches:
        group.append(batch)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
