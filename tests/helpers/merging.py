"""How TF Serving merges requests, for the stand-in server: its limits, its errors, its padding.

Written after reading TF Serving's `bundle_factory_util.h`, `batching_session.cc` and
`batching_util.cc`, and TensorFlow's `shared_batch_scheduler.h`; the sentences are theirs.
"""

import re
import threading
from typing import Callable, Dict, List, NamedTuple, Tuple

import numpy as np

from helpers.faults import Fault


class Batching(NamedTuple):
    """The fields of `BatchingParameters`, with the defaults of the scheduler's `QueueOptions`."""

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = 2
    allowed_batch_sizes: Tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int = 0  # 0: not given


def parsed(text: str) -> Batching:
    """The parameters in a text file; a field that TF Serving does not know is a `ValueError`."""
    text = re.sub(r"#.*", "", text)
    field = r"(\w+)\s*(?:\{\s*value\s*:\s*(\w+)\s*\}|:\s*(\w+))"
    if re.sub(field, "", text).split():
        raise ValueError(f"no BatchingParameters: {re.sub(field, '', text).split()}")
    values: Dict = {}
    for name, wrapped, plain in re.findall(field, text):
        if bool(plain) != (name in ("allowed_batch_sizes", "pad_variable_length_inputs")):
            raise ValueError(f"{name} is written in another way")
        word = wrapped or plain
        value = word == "true" if word in ("true", "false") else int(word)
        values[name] = (*values.get(name, ()), value) if name == "allowed_batch_sizes" else value
    if not set(values) <= set(Batching._fields):
        raise ValueError(f"no fields of BatchingParameters: {set(values) - set(Batching._fields)}")
    found = Batching(**values)
    sizes = found.allowed_batch_sizes
    if sizes and (sizes[-1] != found.max_batch_size or list(sizes) != sorted(set(sizes))):
        raise ValueError("Last entry in allowed_batch_sizes must match max_batch_size")
    return found


class _Task:
    """A request, or a part of one that was split; `done` when `outputs` or `fault` is there."""

    def __init__(self, inputs: Dict[str, np.ndarray]):
        self.inputs, self.rows = inputs, len(next(iter(inputs.values())))
        self.done, self.outputs, self.fault = threading.Event(), {}, None

    def split(self, sizes: List[int]) -> List["_Task"]:
        edges = np.cumsum([0, *sizes])
        return [
            _Task({name: array[a:b] for name, array in self.inputs.items()})
            for a, b in zip(edges, edges[1:])
        ]


class _Batch:
    def __init__(self):
        self.tasks, self.full = [], threading.Event()

    @property
    def rows(self):
        return sum(task.rows for task in self.tasks)


class Merged:
    """`run(key, inputs)` for the merged inputs of the requests that come at the same time.

    Requests are merged where `key` (the signature) is the same. `batches` lists the rows of each
    batch that ran, with padding; `asked` counts the requests that were taken.
    """

    def __init__(self, run: Callable, batching: Batching):
        self._run, self._batching, self.batches, self.asked = run, batching, [], 0
        self._lock, self._open, self._waiting = threading.Lock(), {}, 0
        self._threads = threading.Semaphore(batching.num_batch_threads)

    def __call__(self, key: str, inputs: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
        task, batching = _Task(inputs), self._batching
        if task.rows > batching.max_batch_size:
            text = f"Task size {task.rows} is larger than maximum input batch size "
            raise Fault("INVALID_ARGUMENT", f"{text}{batching.max_batch_size}")
        with self._lock:
            parts = self._split(key, task)
            for part in parts:
                self._enqueue(key, part)
            self.asked += 1
        for part in parts:
            part.done.wait()
        faults = [part.fault for part in parts if part.fault]
        if faults:
            raise faults[0]
        names = parts[0].outputs
        return {name: np.concatenate([part.outputs[name] for part in parts]) for name in names}

    def flush(self) -> None:
        """Let the batches that are open go, as when their time is over."""
        with self._lock:
            for batch in self._open.values():
                batch.full.set()

    def _limit(self) -> int:
        """Rows of a batch."""
        batching = self._batching
        if not batching.enable_large_batch_splitting:
            return batching.max_batch_size
        return batching.max_execution_batch_size or batching.max_batch_size

    def _split(self, key, task):
        """The parts of a task: what fills the open batch, then whole batches."""
        limit = self._limit()
        room = limit - self._open[key].rows if key in self._open else 0
        if not self._batching.enable_large_batch_splitting or task.rows <= (room or limit):
            return [task]
        sizes, left = ([room] if room else []), task.rows - room
        sizes += [limit] * (left // limit) + ([left % limit] if left % limit else [])
        return task.split(sizes)

    def _enqueue(self, key, task):
        batch = self._open.get(key)
        if batch is None or batch.rows + task.rows > self._limit():
            if self._waiting >= self._batching.max_enqueued_batches:
                text = "The batch scheduling queue to which this task was submitted is full"
                raise Fault("UNAVAILABLE", text)
            if batch is not None:
                batch.full.set()
            batch = self._open[key] = _Batch()
            self._waiting += 1
            threading.Thread(target=self._process, args=(key, batch), daemon=True).start()
        batch.tasks.append(task)
        if batch.rows == self._limit():
            batch.full.set()
            del self._open[key]

    def _process(self, key, batch):
        batch.full.wait(self._batching.batch_timeout_micros / 1e6)
        with self._threads:
            with self._lock:  # from here on nothing comes in
                self._waiting -= 1
                if self._open.get(key) is batch:
                    del self._open[key]
            try:
                self._answer(key, batch)
            except Exception as error:  # of one is of all
                for task in batch.tasks:
                    known = isinstance(error, Fault)
                    task.fault = error if known else Fault("INTERNAL", repr(error))
            for task in batch.tasks:
                task.done.set()

    def _answer(self, key, batch):
        inputs, rows = self._merged_inputs(batch), batch.rows
        padded = next((n for n in self._batching.allowed_batch_sizes if n >= rows), rows)
        for name, array in inputs.items():  # the first row of the last task's stands in
            at = rows - batch.tasks[-1].rows
            inputs[name] = np.concatenate([array, *[array[at : at + 1]] * (padded - rows)])
        self.batches.append(padded)
        outputs = self._run(key, inputs)
        if any(len(array) != padded for array in outputs.values()):
            text = "Batched output tensor's 0th dimension does not equal the sum of the 0th "
            raise Fault("FAILED_PRECONDITION", f"{text}dimension sizes of the input tensors")
        start = 0
        for task in batch.tasks:
            task.outputs = {n: array[start : start + task.rows] for n, array in outputs.items()}
            start += task.rows

    def _merged_inputs(self, batch):
        merged = {}
        for name in batch.tasks[0].inputs:
            arrays = [task.inputs[name] for task in batch.tasks]
            if self._batching.pad_variable_length_inputs:
                shape = np.max([array.shape[1:] for array in arrays], axis=0)
                arrays = [_padded(array, shape) for array in arrays]
            elif len({array.shape[1:] for array in arrays}) > 1:
                text = f"Tensors with name '{name}' from different tasks have different shapes and "
                raise Fault("FAILED_PRECONDITION", f"{text}padding is turned off.")
            merged[name] = np.concatenate(arrays)
        return merged


def _padded(array, shape):
    """`array` [B, ...] of the larger `shape`, with its first value behind."""
    widths = [(0, 0), *((0, int(goal) - side) for goal, side in zip(shape, array.shape[1:]))]
    return np.pad(array, widths, constant_values=array.flat[0])
