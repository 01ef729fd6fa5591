"""Whether a run fits into the memory of its device: what is chosen for it, and what is said."""

import logging
from typing import Iterator, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.yaml_files import load_config
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model.memory_advice import (
    as_gigabytes,
    fitting_parts,
    trains_norms,
    ways_to_fit,
    with_train,
)
from tfmaskrcnn.model.memory_estimate import Size, largest_input, training_bytes
from tfmaskrcnn.support.machine_memory import MachineMemory, machine_memory
from tfmaskrcnn.support.run_folder import Run
from tfmaskrcnn.train.distribution import Workers
from tfmaskrcnn.train.saving import states_in

_LOG = logging.getLogger(__name__)
# Of a device's memory, what a run may take by the estimate, which may be so far off.
_SHARE = 0.8


def with_parts(config: Config, run: Optional[Run], records: Sequence, workers: Workers) -> Config:
    """`config` with `train.accumulate` chosen, if it is not set; the log tells what a step takes.

    The choice is the chief's. It hangs on the whole memory of the machine and not on what is free
    of it, so that a run can be repeated; one that goes on keeps what it began with.

    Args:
        config: the whole configuration.
        run: its folder; None of what is kept nowhere.
        records: of the training images; their sizes say how large the network's input becomes.
        workers: that train.
    """
    images = -(-config.train.batch_size // workers.replicas)
    size = largest_input(config, images, image_sizes=[(r.height, r.width) for r in records])
    device = device_memory(workers.local_replicas)
    if config.train.accumulate is None:
        parts = 0
        if workers.chief:
            before = _parts_before(run) if run else 0
            parts = before or _chosen(config, workers.replicas, size, device)
        parts = int(workers.sum(np.array([parts]))[0])
        config = with_train(config, accumulate=parts)
    if workers.chief:
        for level, line in _lines(config, workers.replicas, size, device):
            _LOG.log(level, "%s", line)
    return config


def device_memory(replicas: int = 1) -> Optional[MachineMemory]:
    """Bytes for each of a process's `replicas`: of the smallest GPU, else their share of the host.

    None where the system does not tell.
    """
    if tf.config.list_logical_devices("GPU"):
        limits = _gpu_limits()
        return MachineMemory(min(limits), min(limits), "the GPU") if limits else None
    host = machine_memory()
    if host is None:
        return None
    return MachineMemory(host.total // replicas, host.free // replicas, host.where)


def _gpu_limits() -> Sequence[int]:
    """What TensorFlow's allocator may take of each GPU.

    No public function tells; of a TensorFlow without this one nothing is known.
    """
    try:
        from tensorflow.python.client import device_lib
    except ImportError:
        return []
    devices = device_lib.list_local_devices()
    return [device.memory_limit for device in devices if device.device_type == "GPU"]


def _parts_before(run: Run) -> int:
    """`train.accumulate` of the run that goes on in the folder, 0 if there is none."""
    if not states_in(run.states):
        return 0
    try:
        return load_config(run.config).train.accumulate or 1
    except InputError:  # gone or damaged; the states say whether what is chosen is the same
        return 0


def _chosen(config: Config, replicas: int, size: Size, device: Optional[MachineMemory]) -> int:
    """Parts of a batch that let it fit; as many as can be if none does; 1 where they would matter.

    Which is where batch normalisation is trained: its statistics are those of a part.
    """
    if device is None or trains_norms(config):
        return 1
    images, single = config.train.batch_size // replicas, config.train.batch_size % replicas == 0
    return fitting_parts(config, replicas, size, _SHARE * device.total) or (images if single else 1)


def _lines(
    config: Config, replicas: int, size: Size, device: Optional[MachineMemory]
) -> Iterator[Tuple[int, str]]:
    """Level and text of what is said."""
    batch, parts = config.train.batch_size, config.train.accumulate
    images = -(-batch // replicas)
    taken = training_bytes(config, images, size)
    about = f"up to {-(-images // parts)} images of {size[0]} x {size[1]} at a time"
    if device is None:
        yield logging.INFO, f"Memory: a step takes some {as_gigabytes(taken)} ({about})."
        return
    has = f"{device.where} has {as_gigabytes(device.total)}, {as_gigabytes(device.free)} are free"
    yield logging.INFO, f"Memory: a step takes some {as_gigabytes(taken)} ({about}); {has}."
    if taken <= device.free:
        return
    ways = ways_to_fit(config, replicas, size, _SHARE * device.free)
    how = f"set {', or '.join(ways)}" if ways else "take a smaller backbone or another machine"
    yield (
        logging.WARNING,
        f"That is more than {as_gigabytes(device.free)} and may end the run: {how}.",
    )
