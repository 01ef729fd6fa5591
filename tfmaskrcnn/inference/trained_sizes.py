"""How large pictures and objects were to the network in training; a run and an export keep it."""

import dataclasses
import json
import os
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.exported import exported_json
from tfmaskrcnn.support.files import read_json, replaced
from tfmaskrcnn.support.run_folder import Run
from tfmaskrcnn.support.single_file import exists

# Shares of pictures, or objects, below the low, middle and high numbers: a few odd ones decide
# nothing.
_LOW, _MIDDLE, _HIGH = 2, 50, 98
_LARGE = 95


class NetworkInput(NamedTuple):
    """What of a model's `input` decides how large, and how bright, a picture is to the network."""

    min_side: int = 800
    max_side: int = 1333
    fixed_size: Optional[Tuple[int, int]] = None
    enlarge_only: bool = False
    stretch_contrast: bool = False
    invert_bright: bool = False

    @classmethod
    def of(cls, section: Dict[str, Any]) -> "NetworkInput":
        """Of the `input` section of a configuration, as JSON has it."""
        known = {name: section[name] for name in cls._fields if section.get(name) is not None}
        if "fixed_size" in known:
            known["fixed_size"] = tuple(known["fixed_size"])
        return cls(**known)

    def scale(self, size: Sequence[int]) -> float:
        """Pixels of the network for one of a picture of `size` (height, width)."""
        short, long = min(size), max(size)
        if self.fixed_size:
            return min(side / own for side, own in zip(self.fixed_size, size))
        scale = self.min_side / short
        return min(max(scale, 1.0) if self.enlarge_only else scale, self.max_side / long)

    def tile(self, scale: float, size: Sequence[int]) -> Tuple[int, int]:
        """(height, width) of the largest square tile of a picture that is seen at `scale`.

        Where a picture of `size` is narrower than that, its tiles are longer.
        """
        if self.fixed_size:
            goal = [max(int(side / scale), 1) for side in self.fixed_size]
            return min(goal[0], size[0]), min(goal[1], size[1])
        least = scale < 1 and self.enlarge_only
        side = max(int((self.max_side if least else self.min_side) / scale), 1)
        longest = max(int(self.max_side / scale), side)
        height = side if size[1] >= side else longest
        width = side if size[0] >= side else longest
        return min(height, size[0]), min(width, size[1])


@dataclasses.dataclass(frozen=True)
class TrainedSizes:
    """The pictures and objects of a training set as the network sees them without augmentation."""

    scale_low: float  # pixels of the network for one of the picture; 2 % of pictures have less
    scale_middle: float  # of half of the objects' pictures
    scale_high: float  # 2 % of pictures have more
    object_side: float  # pixels of the network: the longer side that 95 % of objects do not exceed
    object_share: float  # the same as a share of the shorter side of its picture
    images: int = 0
    objects: int = 0

    def __post_init__(self):
        """Refuse what no training set has."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not 0 <= value < 1e9:
                raise InputError(f"{field.name} is {value!r:.60}; wanted a number from 0 on.")
        if not 0 < self.scale_low <= self.scale_high or not self.scale_middle:
            raise InputError("The scales of training are no ascending numbers above 0.")

    def to_json(self) -> str:
        """The content of the file in a run, and among the assets of an export."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


def sizes_of(records, input: NetworkInput) -> Optional[TrainedSizes]:
    """What a set of `data.coco.records.Record` is to a network; None of a set without objects."""
    scales, sides, shares, weights = [], [], [], []
    for record in records:
        size = record.height, record.width
        boxes = record.boxes[~record.crowd]
        scales.append(input.scale(size))
        weights.append(len(boxes))
        long = np.max(boxes[:, 2:] - boxes[:, :2], axis=1, initial=0.0)
        sides.append(long * scales[-1])
        shares.append(long / min(size))
    if not sum(weights):
        return None
    low, high = np.percentile(scales, [_LOW, _HIGH])
    return TrainedSizes(
        scale_low=float(low),
        scale_middle=float(np.percentile(np.repeat(scales, weights), _MIDDLE)),
        scale_high=float(high),
        object_side=float(np.percentile(np.concatenate(sides), _LARGE)),
        object_share=float(np.percentile(np.concatenate(shares), _LARGE)),
        images=len(scales),
        objects=sum(weights),
    )


def save_for_run(sizes: Optional[TrainedSizes], folder: str) -> None:
    """Keep them in a run folder."""
    if sizes is not None:
        with replaced(Run(folder).trained_sizes, "w") as file:
            file.write(sizes.to_json())


def run_sizes(folder: str) -> Optional[TrainedSizes]:
    """Those of a run; None if it is older than the file, was imported, or the file is damaged."""
    path = Run(os.fspath(folder)).trained_sizes
    try:
        return _read(read_json(path)) if exists(path) else None
    except ValueError:
        return None


def exported_sizes(folder: str) -> Optional[TrainedSizes]:
    """Those of the model inside a SavedModel; None as with a run."""
    try:
        return _read(exported_json(folder, os.path.basename(Run(folder).trained_sizes)))
    except ValueError:
        return None


def _read(found: Any) -> Optional[TrainedSizes]:
    names = [field.name for field in dataclasses.fields(TrainedSizes)]
    if not isinstance(found, dict) or not set(names[:5]) <= set(found):
        return None
    return TrainedSizes(**{name: found[name] for name in names if name in found})
