"""Training runs: optimizer, schedule, state, and the loop that the command line uses."""

from tfmaskrcnn.support.run_folder import Run
from tfmaskrcnn.train.loop import train
from tfmaskrcnn.train.optimizers import make_optimizer
from tfmaskrcnn.train.progress import Speed

__all__ = ["Run", "Speed", "make_optimizer", "train"]
