"""What lies where in the folder of a training run."""

import contextlib
import json
import os
from typing import Iterator, NamedTuple, Optional

from tfmaskrcnn.support import storage
from tfmaskrcnn.support.files import read_json, replaced


class Run(NamedTuple):
    """The folder of a training run and what lies in it."""

    folder: str

    @property
    def config(self) -> str:
        """The resolved configuration."""
        return os.path.join(self.folder, "config.json")

    @property
    def choices(self) -> str:
        """What `train.auto` chose from the data, a line a setting with its reason."""
        return os.path.join(self.folder, "choices.txt")

    @property
    def origin(self) -> str:
        """Where the run was trained, and whether it is finished; see `Origin`."""
        return os.path.join(self.folder, "origin.json")

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
    def trained_sizes(self) -> str:
        """How large pictures and objects were to the network in training."""
        return os.path.join(self.folder, "trained_sizes.json")

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


class Origin(NamedTuple):
    """What a run tells of itself beside its configuration."""

    folder: str  # absolute: where it was trained, from which relative paths start
    finished: Optional[int] = None  # train.epochs, once there is no more to train


def read_origin(folder: str) -> Optional[Origin]:
    """What the run in `folder` tells; None if it is older than this file, or the file is damaged.

    A run can do without it.
    """
    path = Run(os.fspath(folder)).origin
    if not storage.is_file(path):
        return None
    try:
        found = read_json(path)
    except ValueError:
        return None
    place, epochs = (found.get(k) if isinstance(found, dict) else None for k in Origin._fields)
    if not isinstance(place, str) or "\0" in place:
        return None
    return Origin(place, epochs if type(epochs) is int else None)


def write_origin(folder: str, origin: Origin) -> None:
    """Note what the run in `folder` tells of itself."""
    with replaced(Run(folder).origin, "w") as file:
        file.write(json.dumps(origin._asdict(), indent=2) + "\n")


@contextlib.contextmanager
def removed_if_empty(folder: str) -> Iterator[None]:
    """Remove what folders the block has made on the way to `folder`, if it leaves them empty.

    Remote ones stay: where there are only objects there are no folders.
    """
    missing, path = [], storage.absolute(folder)
    with contextlib.suppress(ValueError):  # of a name that no folder can have
        while not storage.is_remote(path) and not os.path.lexists(path):
            missing.append(path)
            path = os.path.dirname(path)
    try:
        yield
    finally:
        # OSError is of the first that is not empty.
        with contextlib.suppress(OSError, ValueError):
            for path in missing:
                os.rmdir(path)
