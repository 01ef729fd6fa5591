"""Whether a run fits into the memory of its device: what is chosen for it, and what is said."""

import logging
from typing import Iterator, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.yaml_files import load_config
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model.memory_advice import Step, as_gigabytes, counted, shown, trains_norms
from tfmaskrcnn.model.memory_estimate import largest_input
from tfmaskrcnn.support.machine_memory import MachineMemory, machine_memory
from tfmaskrcnn.support.run_folder import Run
from tfmaskrcnn.train.distribution import Workers
from tfmaskrcnn.train.saving import states_in

_LOG = logging.getLogger(__name__)
# Of a device's memory, what a run may take by the estimate, which may be so far off.
USABLE_SHARE = 0.8


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
    step = Step(config, size, workers.replicas, bool(_gpus()))
    if config.train.accumulate is None:
        parts = before = 0
        if workers.chief:
            before = _parts_before(run) if run else 0
            parts = before or _chosen(step, device)
        parts = int(workers.sum(np.array([parts]))[0])
        if workers.chief and parts > 1 and not before:
            _LOG.info(
                "train.accumulate=%d is chosen: %d images at once would take some %s. They go "
                "through the network in %d parts, and the update is that of all of them.",
                *(parts, images, as_gigabytes(step.taken()), parts),
            )
        step = step.with_train(accumulate=parts)
    if workers.chief:
        for level, line in _lines(step, device, begun=bool(run and states_in(run.states))):
            _LOG.log(level, "%s", line)
    return step.config


def device_memory(replicas: int = 1) -> Optional[MachineMemory]:
    """Bytes for each of a process's `replicas`: of the smallest GPU, else their share of the host.

    None where the system does not tell.
    """
    if _gpus():
        limits = _gpu_limits()
        return MachineMemory(min(limits), min(limits), "the GPU") if limits else None
    host = machine_memory()
    if host is None:
        return None
    return MachineMemory(host.total // replicas, host.free // replicas, host.where)


def _gpus():
    return tf.config.list_logical_devices("GPU")


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


def _chosen(step: Step, device: Optional[MachineMemory]) -> int:
    """Parts of a batch that let it fit; as many as can be if none does; 1 where they would matter.

    Which is where batch normalisation is trained: its statistics are those of a part.
    """
    if device is None or trains_norms(step.config):
        return 1
    even = step.config.train.batch_size % step.replicas == 0
    return step.fitting_parts(USABLE_SHARE * device.total) or (step.images if even else 1)


def _lines(step: Step, device: Optional[MachineMemory], begun: bool) -> Iterator[Tuple[int, str]]:
    """Level and text of what is said; a run that has `begun` cannot change its settings."""
    taken, images = step.taken(), -(-step.images // step.config.train.accumulate)
    about = f"{counted(images)} of up to {shown(step.size)} at a time"
    known = "" if device is None else f"; {_has(device)}"
    yield logging.INFO, f"Memory: a step takes some {as_gigabytes(taken)} ({about}){known}."
    if device is None or taken <= device.free:
        return
    ways = [] if begun else step.ways_to_fit(USABLE_SHARE * device.free)
    how = f"set {', or '.join(ways)}" if ways else "take a smaller network, or a machine with more"
    if begun:
        how = "end other programs, or go on where there is more"
    free = as_gigabytes(device.free)
    yield logging.WARNING, f"That is more than the {free} that are free and may end the run: {how}."


def _has(device: MachineMemory) -> str:
    free, total = as_gigabytes(device.free), as_gigabytes(device.total)
    return f"{device.where} has {total}, of which {free} are free"
