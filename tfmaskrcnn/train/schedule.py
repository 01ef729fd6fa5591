"""The learning rate over a run."""

import math
from typing import Optional, Sequence

import keras
import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.config.phases import Phases
from tfmaskrcnn.config.run import ScheduleConfig


@compat.register
class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, then steps, a cosine or nothing.

    Args:
        base: learning rate after the warm-up.
        warmup_steps: updates until `base` is reached (Goyal et al., section 2.2).
        warmup_factor: share of `base` at step 0.
        boundaries: updates after which the rate is multiplied by `gamma`.
        gamma: factor of each boundary.
        cosine_steps: length of the half cosine to 0 that begins after the warm-up; None for none.
    """

    def __init__(
        self,
        base: float,
        warmup_steps: int = 0,
        warmup_factor: float = 0.001,
        boundaries: Sequence[int] = (),
        gamma: float = 0.1,
        cosine_steps: Optional[int] = None,
    ):
        super().__init__()
        self.base, self.warmup_steps, self.warmup_factor = base, warmup_steps, warmup_factor
        self.boundaries, self.gamma, self.cosine_steps = list(boundaries), gamma, cosine_steps

    def __call__(self, step):
        """Learning rate of update `step` (0 is the first), float32 scalar."""
        step = tf.cast(step, tf.float32)
        rate = tf.constant(self.base, tf.float32)
        for boundary in self.boundaries:
            rate *= tf.where(step >= boundary, self.gamma, 1.0)
        if self.cosine_steps:
            done = (step - self.warmup_steps) / self.cosine_steps
            done = tf.clip_by_value(done, 0.0, 1.0)
            rate *= 0.5 * (1.0 + tf.cos(math.pi * done))
        ready = tf.minimum(step / max(self.warmup_steps, 1), 1.0)
        warm = self.warmup_factor + (1.0 - self.warmup_factor) * ready
        return rate * (warm if self.warmup_steps else 1.0)

    def get_config(self):
        """The constructor's arguments."""
        return {
            "base": self.base,
            "warmup_steps": self.warmup_steps,
            "warmup_factor": self.warmup_factor,
            "boundaries": self.boundaries,
            "gamma": self.gamma,
            "cosine_steps": self.cosine_steps,
        }


@compat.register
class RampSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """From `least` at update 0 to `most` at the last of `steps` updates, by equal factors."""

    def __init__(self, least: float, most: float, steps: int):
        super().__init__()
        self.least, self.most, self.steps = least, most, steps

    def __call__(self, step):
        """Learning rate of update `step` (0 is the first), float32 scalar."""
        done = tf.cast(step, tf.float32) / max(self.steps - 1, 1)
        return self.least * (self.most / self.least) ** tf.minimum(done, 1.0)

    def get_config(self):
        """The constructor's arguments."""
        return {"least": self.least, "most": self.most, "steps": self.steps}


@compat.register
class PhasedSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Another schedule, or a number, times the factor of the phase that an update is in.

    Args:
        base: a schedule or a number.
        ends: updates after which a phase ends, of all but the last.
        factors: of each phase.
    """

    def __init__(self, base, ends: Sequence[int], factors: Sequence[float]):
        super().__init__()
        self.base, self.ends, self.factors = base, list(ends), list(factors)

    def __call__(self, step):
        """Learning rate of update `step` (0 is the first), float32 scalar."""
        rate = self.base(step) if callable(self.base) else tf.constant(self.base, tf.float32)
        factor = tf.constant(self.factors[0], tf.float32)
        for end, following in zip(self.ends, self.factors[1:]):
            factor = tf.where(tf.cast(step, tf.int64) >= end, following, factor)
        return rate * factor

    def get_config(self):
        """The constructor's arguments."""
        base = keras.saving.serialize_keras_object(self.base) if callable(self.base) else self.base
        return {"base": base, "ends": self.ends, "factors": self.factors}

    @classmethod
    def from_config(cls, config):
        """A schedule from `get_config`'s result."""
        config = dict(config)
        if isinstance(config["base"], dict):
            config["base"] = keras.saving.deserialize_keras_object(config["base"])
        return cls(**config)


def with_phases(base, phases: Phases, steps_per_epoch: Optional[int]):
    """`base`, a schedule or a number, with the rates of `phases`; itself where they are all 1."""
    factors = [phase.rate for phase in phases]
    if not steps_per_epoch or set(factors) <= {1.0}:
        return base
    return PhasedSchedule(base, [phase.until * steps_per_epoch for phase in phases[:-1]], factors)


def make_schedule(config: ScheduleConfig, base: float, total_steps: Optional[int]):
    """The schedule that `config` describes for a run of `total_steps` updates.

    With `total_steps` None there is no end to count from: the rate stays after the warm-up. A rate
    that never changes is `base` itself, so that Keras's callbacks can set it.
    """
    if total_steps and config.kind == "ramp":
        return RampSchedule(base * config.warmup_factor, base, total_steps)
    arguments = {"warmup_steps": config.warmup_steps, "warmup_factor": config.warmup_factor}
    if total_steps and config.kind == "steps":
        arguments["boundaries"] = [round(share * total_steps) for share in config.milestones]
        arguments["gamma"] = config.gamma
    elif total_steps and config.kind == "cosine":
        arguments["cosine_steps"] = max(total_steps - config.warmup_steps, 1)
    elif not config.warmup_steps:
        return base
    return WarmupSchedule(base, **arguments)
