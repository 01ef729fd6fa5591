"""Stages of a training run, each of which trains a part of the network: Matterport's `layers`."""

from typing import Annotated, Literal, Optional, Tuple, get_args

from pydantic import Field

from tfmaskrcnn.config.base import Count, Section

# heads: all but the backbone; 5+, 4+, 3+: the backbone from the stage of c5, c4, c3 on, too; all:
# the whole network. Never what `backbone.freeze_at` freezes, nor a frozen norm.
Part = Literal["heads", "5+", "4+", "3+", "all"]
PARTS: Tuple[str, ...] = get_args(Part)  # each holds the one before
# Others correct averages of gradients by a count of all updates, and would move a part that begins
# late several times too far; what Adam does is undone (`model.optimized.late_factor`).
_LATE_STARTERS = ("sgd", "sgdw", "adamw")


class PhaseConfig(Section):
    """A stage of the run."""

    part: Part = "all"
    until: Optional[Count] = None  # its last epoch, counted from 1; the last phase has none
    # Times the learning rate that the schedule gives.
    rate: Annotated[float, Field(gt=0, le=1000)] = 1.0


Phases = Tuple[PhaseConfig, ...]


def checked_phases(phases: Phases, optimizer: str) -> Phases:
    """`phases`, if they follow one another and suit the optimizer.

    Raises:
        ValueError: they do not; the message is for the middle of a sentence.
    """
    ends = [phase.until for phase in phases]
    if ends and ends[-1] is not None:
        raise ValueError("the last of phases goes on to train.epochs; leave its `until` out")
    if None in ends[:-1] or sorted(set(ends[:-1])) != ends[:-1]:
        raise ValueError(
            f"phases end after the epochs {ends[:-1]}; each but the last needs an `until` above "
            "the one before"
        )
    sizes = [PARTS.index(phase.part) for phase in phases]
    if sizes and max(sizes) > sizes[0] and optimizer not in _LATE_STARTERS:
        raise ValueError(
            f"phases begin to train parts later, which {optimizer} would move at several times "
            f"their rate at first; set optimizer to {', '.join(_LATE_STARTERS)}"
        )
    return phases
