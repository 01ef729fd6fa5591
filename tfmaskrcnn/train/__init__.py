"""Training runs: optimizer, schedule, state, and the loop that the command line uses."""

from tfmaskrcnn.support.run_folder import Run
from tfmaskrcnn.train.auto.auto_config import auto_config
from tfmaskrcnn.train.loop import train
from tfmaskrcnn.train.optimizers import make_optimizer
from tfmaskrcnn.train.progress import Speed

__all__ = ["Run", "Speed", "auto_config", "make_optimizer", "train"]
