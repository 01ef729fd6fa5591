"""The workers (processes) and replicas (devices) that train one model together.

With `loop.py` all of training that knows `tf.distribute`, but for the sums over replicas in
`ops/replicas.py`.
"""

import contextlib
import json
import logging
import os
import tempfile
from typing import Any, Callable, Iterator, List, Optional

import numpy as np
import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.data.batches.sharding import Share, share_of
from tfmaskrcnn.errors import InputError, explained, quoted
from tfmaskrcnn.ops.tensors import as_graph
from tfmaskrcnn.support.files import writable_folder
from tfmaskrcnn.train.replicated import ReplicaPredictor

_LOG = logging.getLogger(__name__)
_CHUNK = 1 << 22  # bytes of a file that go from worker to worker at a time


def make_strategy(kind: str) -> Optional[tf.distribute.Strategy]:
    """The strategy that `train.strategy` names; None for one device.

    For several workers it must be made before TensorFlow computes anything.
    """
    if kind == "mirrored":
        # On CPUs Keras 3 mixes up the default's sums when a process has had two strategies.
        gpus = tf.config.list_logical_devices("GPU")
        return tf.distribute.MirroredStrategy(
            cross_device_ops=None if gpus else tf.distribute.ReductionToOneDevice()
        )
    if kind == "multi_worker":
        _check_tf_config()
        return tf.distribute.MultiWorkerMirroredStrategy()
    return None


def _check_tf_config() -> None:
    text = os.environ.get("TF_CONFIG", "")
    wanted = '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
    if not text:
        raise InputError(
            f"train.strategy=multi_worker needs the environment variable TF_CONFIG: {wanted}."
        )
    try:
        found = json.loads(text)
        hosts = found["cluster"][found["task"]["type"]]
        fits = found["task"]["type"] in ("chief", "worker") and isinstance(hosts, list)
        fits &= 0 <= int(found["task"]["index"]) < len(hosts)
    except (ValueError, KeyError, TypeError, RecursionError):
        fits = False
    if not fits:
        raise InputError(
            f"TF_CONFIG is {quoted(text, 200)}, wanted {wanted} with the index of a host listed."
        )


class Workers:
    """The processes of a run, or the only one, with the strategy that joins them.

    What reads or sums variables has to be called by all workers in the same order: the others wait.
    """

    def __init__(self, strategy: Optional[tf.distribute.Strategy] = None):
        self.strategy = strategy
        self.index, self.count = 0, 1
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            compat.check_multi_worker()
            self._find_place(strategy.cluster_resolver)
        replicas = strategy.num_replicas_in_sync if strategy else 1
        self.replicas, self.local_replicas = replicas, replicas // self.count
        self._sum = as_graph(self._sum_in_graph, input_signature=[tf.TensorSpec([None], tf.int64)])

    def _find_place(self, resolver) -> None:
        cluster = resolver.cluster_spec().as_dict()
        chiefs, workers = (len(cluster.get(job, ())) for job in ("chief", "worker"))
        if chiefs + workers > 1:
            self.count = chiefs + workers
            self.index = resolver.task_id + (chiefs if resolver.task_type == "worker" else 0)

    @property
    def chief(self) -> bool:
        """Whether this is the worker that writes the run's files."""
        return self.index == 0

    def scope(self):
        """Where the model and the optimizer are made."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()

    # What workers tell each other.

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Element by element, the sum over all workers of an int64 vector of the same length."""
        if self.count == 1:
            return np.asarray(values)
        try:
            return self._sum(tf.constant(values, tf.int64)).numpy()
        except tf.errors.OpError as error:
            raise explained(error, {}) from None

    def _sum_in_graph(self, values):
        def of_replica():
            context = tf.distribute.get_replica_context()
            first = context.replica_id_in_sync_group % self.local_replicas == 0
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.where(first, values, 0))

        return self.strategy.experimental_local_results(self.strategy.run(of_replica))[0]

    def wait(self) -> None:
        """Return when all workers have come here."""
        self.sum(np.zeros(1, np.int64))

    def broadcast(self, content: bytes, source: int = 0) -> bytes:
        """What worker `source` gave as `content`; that of the others is not looked at."""
        mine = content if self.index == source else b""
        length = int(self.sum(np.array([len(mine)]))[0])
        parts = []
        for start in range(0, length, _CHUNK):
            whole = min(_CHUNK, length - start)
            part = mine[start : start + whole].ljust(-(-whole // 8) * 8, b"\0")
            part = np.frombuffer(part, np.int64) if mine else np.zeros(-(-whole // 8), np.int64)
            parts.append(self.sum(part).tobytes()[:whole])
        return b"".join(parts)

    def gather(self, content: bytes) -> List[bytes]:
        """What each worker gave, by index."""
        return [self.broadcast(content, source) for source in range(self.count)]

    def agree(self, function: Callable[[], Any]) -> Any:
        """`function()`; an `InputError` that it raises on one worker is raised on all of them."""
        result, error = None, None
        try:
            result = function()
        except InputError as raised:
            error = raised
        if self.count == 1:
            if error:
                raise error
            return result
        told = self.gather(str(error).encode() if error else b"")
        for index, text in enumerate(told):
            if text:
                where = f"Worker {index}: " if index != self.index else ""
                raise InputError(where + text.decode())
        return result

    def check_same(self, what: str, value: str) -> None:
        """Raise an `InputError` on all workers unless `value` is the same on all of them."""
        others = sum(found != value.encode() for found in self.gather(value.encode()))
        if self.sum(np.array([others]))[0]:
            raise InputError(f"The workers of this run differ in {what}; give all the same.")

    # What a run does on each of them.

    @contextlib.contextmanager
    def own_folder(self, folder: str) -> Iterator[str]:
        """The run's folder for the chief, a temporary one for each of the other workers."""
        if self.count > 1:
            _LOG.info("Worker %d of %d, %d replicas each.", *self._about)
        with contextlib.ExitStack() as stack:
            if self.chief:
                folder = self.agree(lambda: writable_folder(folder))
            else:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tfmaskrcnn_"))
                self.agree(lambda: None)
                stack.enter_context(_quiet(logging.getLogger("tfmaskrcnn")))
            yield folder

    @property
    def _about(self):
        return self.index, self.count, self.local_replicas

    def share(self, batch_size: int, accumulate: int = 1) -> Optional[Share]:
        """The rows of a global batch that this worker reads; None without a strategy.

        Raises:
            InputError: there are more replicas than images in a batch, or a replica's images do
                not divide into `accumulate` equal parts.
        """
        if not self.strategy:
            return None
        if batch_size < self.replicas:
            raise InputError(
                f"train.batch_size is {batch_size} for all devices together, wanted at least one "
                f"image for each of the {self.replicas}."
            )
        if accumulate > 1 and batch_size % (self.replicas * accumulate):
            raise InputError(
                f"train.batch_size is {batch_size} for all devices together, wanted a multiple of "
                f"{self.replicas} devices times {accumulate} parts each (train.accumulate)."
            )
        first = self.index * self.local_replicas
        return share_of(batch_size, self.replicas, first, self.local_replicas)

    def distributed(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """What `fit` takes: a data set of this worker's share, an element for each replica."""
        if not self.strategy:
            return dataset
        spread = self.strategy.distribute_datasets_from_function(lambda context: dataset)
        spread.image_names = dataset.image_names
        return spread

    def predictor(self, model, batch_size: int) -> Callable:
        """A function from images to `Instances` that uses all replicas of this worker."""
        return ReplicaPredictor(model, self.strategy, self.local_replicas, batch_size)


@contextlib.contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """The chief tells how the run goes; of the other workers warnings are enough."""
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
