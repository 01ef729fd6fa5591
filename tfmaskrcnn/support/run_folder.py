"""What lies where in the folder of a training run."""

import os
from typing import NamedTuple


class Run(NamedTuple):
    """The folder of a training run and what lies in it."""

    folder: str

    @property
    def config(self) -> str:
        """The resolved configuration."""
        return os.path.join(self.folder, "config.json")

    @property
    def weights(self) -> str:
        """Model weights of the best epoch by AP (of keypoints, else masks, else boxes).

        Of the last epoch where nothing is evaluated.
        """
        return os.path.join(self.folder, "weights.npz")

    @property
    def thresholds(self) -> str:
        """Score thresholds of the classes, once they have been chosen for these weights."""
        return os.path.join(self.folder, "thresholds.json")

    @property
    def states(self) -> str:
        """A folder of the last few states, each everything that a resumed run needs."""
        return os.path.join(self.folder, "states")

    @property
    def history(self) -> str:
        """A line of numbers an epoch."""
        return os.path.join(self.folder, "history.csv")

    @property
    def curves(self) -> str:
        """A picture of the history."""
        return os.path.join(self.folder, "curves.png")

    @property
    def first_batch(self) -> str:
        """A picture of the first images as the network is fed them, with their ground truth."""
        return os.path.join(self.folder, "first_batch.png")

    @property
    def tensorboard(self) -> str:
        """A folder of scalars and pictures for TensorBoard."""
        return os.path.join(self.folder, "tensorboard")
