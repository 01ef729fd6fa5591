"""The ResNets of all sources: what names and shapes tell about one, and one table for all.

Names here are Detectron2's below the backbone, such as "res2.0.conv1.norm.weight"; a function for
each other source says what it calls the same weight.
"""

import re
from typing import Callable, Iterator, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from tfmaskrcnn.checkpoints.weight_table import Weight, conv_rows, norm_of
from tfmaskrcnn.model.layers.resnet import BLOCKS, RESNETS, Shape

Names = Callable[[str], str]
_STAGES = (2, 3, 4, 5)
# Blocks of the four stages and whether they are bottlenecks -> the layers of the ResNet.
DEPTHS = {(blocks, depth >= 50): depth for depth, blocks in BLOCKS.items()}
_TORCHVISION = (
    (r"^stem\.", ""),
    (r"^res(\d)", lambda match: f"layer{int(match.group(1)) - 1}"),
    (r"conv(\d)\.norm\.", r"bn\1."),
    (r"shortcut\.norm\.", "downsample.1."),
    (r"shortcut\.", "downsample.0."),
)


class Backbone(NamedTuple):
    """A ResNet or ResNeXt of a checkpoint."""

    name: str  # of the configuration
    norm: str  # "bn" or "gn"


def torchvision_name(name: str) -> str:
    """What torchvision's classifiers call the weight `name`."""
    for pattern, theirs in _TORCHVISION:
        name = re.sub(pattern, theirs, name)
    return name


def backbone_of(tensors: Mapping[str, np.ndarray], names: Names) -> Optional[Backbone]:
    """The backbone among `tensors`; None if there is none of those that can be configured."""
    bottleneck = names("res2.0.conv3.weight") in tensors
    depth = DEPTHS.get((tuple(_blocks(tensors, names, s) for s in _STAGES), bottleneck))
    out, width = np.shape(tensors.get(names("res2.0.conv2.weight"), ((0, 1),)))[:2]
    shape = Shape(depth, out // width, width)
    name = next((name for name, known in RESNETS.items() if known == shape), None)
    return None if name is None else Backbone(name, norm_of(tensors, names("stem.conv1.norm.")))


def backbone_table(backbone: Backbone, names: Names) -> Iterator[Weight]:
    """Every weight of the model's backbone."""
    yield from _rows("stem", "stem.conv1", backbone, names)
    for stage, i, layer in block_layers(backbone.name):
        ours, theirs = f"res{stage}/{i}/{layer}", f"res{stage}.{i}.{layer}"
        yield from _rows(ours, theirs, backbone, names)


def block_layers(name: str) -> Iterator[Tuple[int, int, str]]:
    """(stage, block, layer), such as (2, 0, "conv1"), of all blocks of the backbone `name`."""
    depth = RESNETS[name].depth
    for stage, number in zip(_STAGES, BLOCKS[depth]):
        for i in range(number):
            layers = [f"conv{k}" for k in range(1, 4 if depth >= 50 else 3)]
            # The shape changes at a stage's first block; in ResNet-18 and -34's first stage not.
            layers += ["shortcut"] if i == 0 and (depth >= 50 or stage > 2) else []
            yield from ((stage, i, layer) for layer in layers)


def _rows(ours: str, theirs: str, backbone: Backbone, names: Names) -> Iterator[Weight]:
    conv, norm = names(f"{theirs}."), names(f"{theirs}.norm.")
    yield from conv_rows(f"backbone/{ours}", conv, norm, backbone.norm)


def _blocks(tensors: Mapping[str, np.ndarray], names: Names, stage: int) -> int:
    number = 0
    while names(f"res{stage}.{number}.conv1.weight") in tensors:
        number += 1
    return number
