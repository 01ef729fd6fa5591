"""How many numbers a backbone holds: its weights, and the maps that training keeps of an image.

Counted from the layers' settings, without building them.
"""

import functools
from typing import Iterator, NamedTuple, Tuple

from tfmaskrcnn.config.model import KERAS_PREFIX, BackboneConfig
from tfmaskrcnn.model.layers.backbones import make_backbone
from tfmaskrcnn.model.layers.efficientnet_lite import EfficientNetLite
from tfmaskrcnn.model.layers.resnet import ResNet

# Gradients of these norms need their input too, which a frozen one, folded into the convolution
# before it, does not.
TRAINED_NORMS = ("bn", "sync_bn", "gn")
_STAGES = ("res2", "res3", "res4", "res5")
_NORM_VECTORS = 4  # gamma, beta, mean and variance


class Map(NamedTuple):
    """The output of a convolution with its norm and activation."""

    stage: int  # as `freeze_at` counts: 0 the stem, 1 what ends in c2, ... 4 what ends in c5
    numbers: float  # for each pixel of the image
    weights: int
    read: bool = True  # by a layer whose gradient needs it, or by its own activation's
    ends: bool = False  # a block, of which alone this is kept where blocks are recomputed


class Held(NamedTuple):
    """Numbers that a part of a network holds."""

    weights: float
    trained: float  # of the weights
    kept: float  # of an image's maps, from when they are made until their gradient is


def backbone_sizes(
    config: BackboneConfig, channels: int, pixels: int
) -> Tuple[Held, Tuple[int, ...]]:
    """What a backbone holds in training on images of `channels` and `pixels`.

    Of frozen stages nothing is kept but the last map.

    Returns:
        That, and the channels of c2 to c5.
    """
    maps, widths = _maps(config, channels)
    trained = [each for each in maps if each.stage >= config.freeze_at]
    frozen = [each for each in maps if each.stage < config.freeze_at and each.read]
    numbers = sum(_kept(each, config) for each in trained)
    numbers += frozen[-1].numbers if frozen else 0.0
    learned = sum(each.weights for each in trained)
    return Held(sum(each.weights for each in maps), learned, pixels * numbers), widths


def _kept(map: Map, config: BackboneConfig) -> float:
    """Numbers a pixel that wait for the gradient because of `map`, which is trained."""
    if config.recompute:
        return map.numbers if map.ends or map.stage == 0 else 0.0
    return map.numbers * (map.read + (config.norm in TRAINED_NORMS))


@functools.lru_cache(maxsize=16)
def _maps(config: BackboneConfig, channels: int) -> Tuple[Tuple[Map, ...], Tuple[int, ...]]:
    """The maps of a backbone's convolutions, in their order, and the channels of c2 to c5."""
    layer = make_backbone(config)
    if config.name.startswith(KERAS_PREFIX):
        maps = [Map(stage, numbers, n, ends=True) for stage, numbers, n in layer.sizes()]
    elif isinstance(layer, ResNet):
        maps = _resnet_maps(layer, channels)
    else:
        maps = _lite_maps(layer, channels)
    return tuple(maps), tuple(layer.out_channels.values())


def _conv(side: int, inputs: int, outputs: int, groups: int = 1) -> int:
    """Weights of a convolution and its norm."""
    return side * side * inputs // groups * outputs + _NORM_VECTORS * outputs


def _resnet_maps(net: ResNet, channels: int) -> Iterator[Map]:
    width = net.stem.filters
    area = 1 / 4  # of the image's
    yield Map(0, area * width, _conv(7, channels, width))
    area /= 4
    for stage, name in enumerate(_STAGES, start=1):
        for block in getattr(net, name):
            wide, area = area, area / block.strides**2
            out = net.out_channels[f"c{stage + 1}"]
            if block.strides != 1 or width != out:
                yield Map(stage, area * out, _conv(1, width, out), read=False)
            if net.depth < 50:
                yield Map(stage, area * out, _conv(3, width, out))
                yield Map(stage, area * out, _conv(3, out, out), ends=True)
            else:
                inner = block.inner
                first = area if block.stride_in_1x1 else wide
                yield Map(stage, first * inner, _conv(1, width, inner))
                yield Map(stage, area * inner, _conv(3, inner, inner, block.groups))
                yield Map(stage, area * out, _conv(1, inner, out), ends=True)
            width = out


def _lite_maps(net: EfficientNetLite, channels: int) -> Iterator[Map]:
    width = net.stem.filters
    area = 1 / 4  # of the image's
    yield Map(0, area * width, _conv(3, channels, width))
    taps = dict(zip((2, 3, 5, 7), (1, 2, 3, 4)))  # the last stage before c2, c3, ...
    for path, block in net.named_blocks():
        number = int(path[len("stage")])
        stage = min(tap for last, tap in taps.items() if number <= last)
        inner = block.expansion * width
        if block.expansion != 1:
            yield Map(stage, area * inner, _conv(1, width, inner))
        area /= block.strides**2
        side = block.kernel_size
        yield Map(stage, area * inner, _conv(side, inner, inner, inner))
        yield Map(stage, area * block.filters, _conv(1, inner, block.filters), ends=True)
        width = block.filters
