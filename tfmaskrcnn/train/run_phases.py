"""The phases of a run: which epochs each has, and what begins with it."""

import logging
from typing import List

import numpy as np

from tfmaskrcnn.config.phases import Phases
from tfmaskrcnn.model.mask_rcnn import MaskRCNN

_LOG = logging.getLogger(__name__)


def phase_ends(phases: Phases, start: int, last: int) -> List[int]:
    """The epochs after which a phase ends, of a run that goes on after `start` up to `last`.

    Args:
        phases: of the configuration; none are one phase of all epochs.
        start: epochs that are trained.
        last: epochs that shall be, above `start`.

    Returns:
        Ascending; the last one is `last`.
    """
    ends = [phase.until or last for phase in phases] or [last]
    return sorted({min(end, last) for end in ends if end > start})


def pass_phases(model: MaskRCNN, phases: Phases, start: int, steps: int) -> None:
    """Let a compiled model know the phases that are over after epoch `start`, of `steps` each."""
    for number in range(_number(phases, start) if phases else 0):
        model.set_trainable(phases[number].part, _first(phases, number) * steps)


def begin_phase(model: MaskRCNN, phases: Phases, start: int, end: int, steps: int) -> None:
    """Train what the phase of the epochs `start` + 1 to `end` says, and say so in the log.

    Args:
        model: compiled.
        phases: of the configuration; without any nothing changes.
        start: epochs that are trained, perhaps some of this phase.
        end: the last epoch of the phase.
        steps: updates an epoch.
    """
    if not phases:
        return
    number = _number(phases, start)
    phase = phases[number]
    # Not the optimizer's own count: a run that goes on within the phase has to find the same.
    model.set_trainable(phase.part, _first(phases, number) * steps)
    trained, in_all = map(_numbers, (model.trainable_variables, model.weights))
    _LOG.info(
        "Phase %d of %d, epochs %d to %d: trains %s, %.1f of %.1f million weights, at %g times the "
        "learning rate.",
        *(number + 1, len(phases), start + 1, end, phase.part, trained, in_all, phase.rate),
    )


def _number(phases: Phases, start: int) -> int:
    """Which phase, of 0, 1, ..., the epoch after `start` is in."""
    return sum(phase.until is not None and phase.until <= start for phase in phases)


def _first(phases: Phases, number: int) -> int:
    """How many epochs were trained when phase `number` began."""
    return phases[number - 1].until if number else 0


def _numbers(variables) -> float:
    """Millions of numbers in them."""
    return sum(float(np.prod(variable.shape)) for variable in variables) / 1e6
