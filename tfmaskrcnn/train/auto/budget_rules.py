"""How long and how fast: batch, epochs, learning rate."""

import math
from typing import List

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data.checking.setting_proposals import Proposal
from tfmaskrcnn.model.memory_advice import trains_norms
from tfmaskrcnn.model.memory_estimate import largest_input, training_bytes
from tfmaskrcnn.train.auto.facts import Facts, Machine
from tfmaskrcnn.train.run_memory import USABLE_SHARE

_BATCH = 4  # images on a device
_FEW_IMAGES, _SMALL_BATCH = 100, 2
_UPDATES, _LEAST_EPOCHS, _MOST_EPOCHS = 2000, 12, 100
# Optimizer -> learning rate of a batch of so many images, and the power of the batch that it goes
# by: SGD's in proportion (Goyal et al. 2017, 2.1), Adam's by the root (Malladi et al. 2022).
_RATES = {"sgd": (0.02, 16, 1.0), "sgdw": (0.02, 16, 1.0), "adamw": (0.001, 4, 0.5)}
_WARMUP, _MOST_WARMUP = 0.05, 1000  # share of the updates; Detectron2's
_EVALUATIONS = 10


def batch_size(facts: Facts, config: Config, machine: Machine) -> List[Proposal]:
    """`train.batch_size`: more updates of a small set, less where memory ends."""
    images, train = len(facts.counts), config.train
    small = images < _FEW_IMAGES
    each = _SMALL_BATCH if small else _BATCH
    reason = f"{images} images are few: more updates an epoch" if small else "usual for fine-tuning"
    fitting = each
    while fitting > 1 and not _fits(facts, config, fitting, machine):
        fitting //= 2
    if fitting < each:
        reason = f"{each} would not fit into the memory"
    step = machine.replicas * (train.accumulate or 1)
    size = max(fitting * machine.replicas // step, 1) * step
    if size > images > 0:
        size, reason = max(images // step, 1) * step, f"there are {images} images"
    return [Proposal("train.batch_size", size, train.batch_size, reason)]


def epochs(facts: Facts, config: Config, machine: Machine) -> List[Proposal]:
    """`train.epochs`: as many updates for small sets as for large ones, within bounds."""
    train, steps = config.train, _steps(facts, config)
    wanted = math.ceil(_UPDATES / steps)
    count = min(max(wanted, _LEAST_EPOCHS), _MOST_EPOCHS)
    reason = f"{count * steps:,} updates; some {_UPDATES:,} are wanted, in {_LEAST_EPOCHS} to "
    reason += f"{_MOST_EPOCHS} epochs"
    return [Proposal("train.epochs", count, train.epochs, reason)]


def learning_rate(facts: Facts, config: Config, machine: Machine) -> List[Proposal]:
    """`train.learning_rate` by optimizer and batch, and the warm-up before it is reached."""
    train = config.train
    updates = train.epochs * _steps(facts, config)
    warmup = min(max(round(_WARMUP * updates), 1), _MOST_WARMUP)
    before, reason = train.schedule.warmup_steps, f"{_WARMUP:.0%} of {updates:,} updates"
    found = [Proposal("train.schedule.warmup_steps", warmup, before, reason)]
    if train.optimizer not in _RATES:
        return found
    rate, reference, power = _RATES[train.optimizer]
    batch = train.reference_batch or train.batch_size
    value = float(f"{rate * (batch / reference) ** power:.2g}")
    reason = f"{train.optimizer}'s {rate:g} for batches of {reference}"
    if batch != reference:
        reason += f", for {batch} {'in proportion' if power == 1 else 'by the root of the share'}"
    return [Proposal("train.learning_rate", value, train.learning_rate, reason), *found]


def evaluations(facts: Facts, config: Config, machine: Machine) -> List[Proposal]:
    """`train.evaluate_every`: some ten times a run."""
    every = max(1, round(config.train.epochs / _EVALUATIONS))
    reason = f"some {_EVALUATIONS} times a run"
    return [Proposal("train.evaluate_every", every, config.train.evaluate_every, reason)]


def _steps(facts: Facts, config: Config) -> int:
    return max(len(facts.counts) // config.train.batch_size, 1)


def _fits(facts: Facts, config: Config, batch: int, machine: Machine) -> bool:
    if machine.memory is None or not trains_norms(config):
        return True  # whatever the batch, `train.run_memory` goes through it in parts
    size = largest_input(config, batch, image_sizes=facts.shapes.astype(int).tolist())
    return training_bytes(config, batch, size) <= USABLE_SHARE * machine.memory
