"""What the rules look at: numbers of a data set and of the machine, read once."""

from typing import NamedTuple, Optional, Sequence

import numpy as np
import tensorflow as tf

from tfmaskrcnn.config.model import InputConfig
from tfmaskrcnn.data.checking.coverage import Objects, objects_of
from tfmaskrcnn.data.coco.image_files import read_image
from tfmaskrcnn.data.coco.records import CocoData, Record
from tfmaskrcnn.ops.limits import STRETCH_HIGH, STRETCH_LOW
from tfmaskrcnn.train.run_memory import device_memory

_LOOKED_AT = 32  # images whose pixels are read
_MOST_PIXELS = 1 << 24  # of such an image: half a second, and 50 MB


class Looks(NamedTuple):
    """Levels, 0..255, of the n images whose pixels were read."""

    low: np.ndarray  # [n] float64, where `input.stretch_contrast` would put 0
    median: np.ndarray  # [n] float64
    high: np.ndarray  # [n] float64, where it would put 255


class Facts(NamedTuple):
    """A data set in numbers, n objects in m images."""

    objects: Objects  # no crowd regions
    counts: np.ndarray  # [m] int, objects of each image
    rows: np.ndarray  # [m] int, the same with crowd regions
    shapes: np.ndarray  # [m, 2] float64 (height, width), pixels
    looks: Looks


class Machine(NamedTuple):
    """What a run is trained on."""

    gpu: bool
    replicas: int = 1  # devices that share a batch
    memory: Optional[int] = None  # bytes of a device, None where the system does not tell

    @classmethod
    def here(cls, replicas: int = 1, local_replicas: int = 1) -> "Machine":
        """This machine, which has so many of the devices."""
        memory = device_memory(local_replicas)
        gpu = bool(tf.config.list_logical_devices("GPU"))
        return cls(gpu, replicas, memory.total if memory else None)


def facts_of(data: CocoData, input: InputConfig) -> Facts:
    """The numbers of `data`, with a look into some of its images.

    Raises:
        InputError: an image cannot be read, or is of another size than the JSON says.
    """
    return Facts(
        objects_of(data),
        np.array([np.count_nonzero(~r.crowd) for r in data.records], int),
        np.array([len(r.crowd) for r in data.records], int),
        np.array([(r.height, r.width) for r in data.records], float).reshape(-1, 2),
        looks_of(data.records, input),
    )


def looks_of(records: Sequence[Record], input: InputConfig) -> Looks:
    """The levels of images from all over the set; very large ones are left out."""
    count = min(len(records), _LOOKED_AT)
    found = [np.zeros((0, 3))]
    for index in np.linspace(0, len(records) - 1, count).astype(int):
        record = records[index]
        size = record.height, record.width
        if size[0] * size[1] <= _MOST_PIXELS:
            pixels = read_image(record.path, size, input.channels, input.exif)
            found.append(_levels(pixels)[None])
    return Looks(*np.concatenate(found).T)


def _levels(pixels: np.ndarray) -> np.ndarray:
    """[3] float64 low, median and high level of uint8 pixels."""
    below = np.bincount(pixels.ravel(), minlength=256).cumsum() / pixels.size
    return np.searchsorted(below, [STRETCH_LOW, 0.5, STRETCH_HIGH]).astype(float)
