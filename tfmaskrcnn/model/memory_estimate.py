"""How much memory training and prediction take, by arithmetic and a few measured constants.

Peak = what Python, TensorFlow and this package take by themselves
     + the weights, their gradients and what the optimizer keeps of each
     + for each image that goes through the network at a time: the maps that wait for their gradient
     + the images that the input pipeline makes ahead.

The constants are of `examples/memory_table.py` on CPUs; docs/precision_and_memory.md says how far
off the sum was. On a GPU nothing was measured.
"""

import math
from typing import Optional, Sequence

import numpy as np

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.model.network_sizes import Size, network_sizes

_FLOAT = 4  # bytes
# Bytes of Python, TensorFlow and this package with the graphs that they make.
_PROCESS = 0.85e9
# What optimizers keep of each weight, in copies of it.
_SLOTS = {"sgd": 1, "sgdw": 1, "novograd": 1, "adamw": 2, "lamb": 2}
# Copies of each weight for a moment: folded and packed for the kernels, its gradient, its change.
_GRADIENTS = 5.0
# Memory is fullest when the gradient leaves the heads: all maps are there then, of the heads' half.
_MAPS = 1.1
_HEADS = 0.45
# Of the maps in float32, what they take where layers compute in 16 bits: RoI features, the atlas
# and the last layers stay as they are.
_HALVES = 0.6
# Of prediction: the process; copies of each weight; and what is there when the box head's RoIs are
# read, of the pyramid's maps and of the samples.
_PREDICTING_PROCESS = 0.64e9
_FOLDED = 1.0
_SEEN = 1.22
_SAMPLED = 1.2
_BATCHES = 4  # of images: the one in use, those made ahead, that being made


def training_bytes(
    config: Config, batch_size: int, size: Optional[Size] = None, gpu: bool = False
) -> int:
    """Peak memory of training, bytes: of the process on CPUs, of its device on a GPU.

    Args:
        config: the whole configuration.
        batch_size: images that one device sees for an update, in `train.accumulate` parts.
        size: (height, width) of the padded batch; None takes `largest_input`.
        gpu: of a GPU, by the same sum without the process and the input pipeline.
    """
    c = config.train
    size = size or largest_input(config, batch_size)
    images = -(-batch_size // (c.accumulate or 1))
    n = network_sizes(config.model, size)
    weights = n.weights * (2 if c.ema else 1) + n.trained * (_SLOTS[c.optimizer] + _GRADIENTS)
    maps = _MAPS * (n.backbone + n.pyramid) + _HEADS * n.heads
    maps *= 1.0 if c.precision == "float32" else _HALVES
    step = _FLOAT * (weights + images * maps)
    batches = _FLOAT * n.image * batch_size * (1 if gpu else _BATCHES)
    return round(step + batches + (0 if gpu else _PROCESS))


def prediction_bytes(
    config: Config, batch_size: int, size: Optional[Size] = None, gpu: bool = False
) -> int:
    """Peak memory of prediction of `batch_size` images at a time, bytes; else as training's."""
    size = size or largest_input(config, batch_size, training=False)
    n = network_sizes(config.model, size)
    seen = _SEEN * n.pyramid + _SAMPLED * n.samples
    step = _FLOAT * (_FOLDED * n.weights + batch_size * seen)
    return round(step + (0 if gpu else _PREDICTING_PROCESS))


def largest_input(
    config: Config,
    batch_size: int,
    training: bool = True,
    image_sizes: Sequence[Sequence[int]] = (),
) -> Size:
    """(height, width) of the largest padded batch that can occur.

    A batch of several images is as high as the highest and as wide as the widest of them.

    Args:
        config: the whole configuration.
        batch_size: images that are padded together.
        training: with augmentation; else as in evaluation and prediction.
        image_sizes: (height, width) of the images of a data set; without them they are of any
            shape.
    """
    c, augment = config.model.input, config.data.augment
    static = c.static_size or (augment.crop if training else None)
    if static:
        return padded(static, c.pad_multiple)
    sizes = np.asarray(image_sizes, np.float64).reshape(-1, 2)
    short = max((c.min_side, *augment.min_sides)) if training else c.min_side
    if not len(sizes):
        wide = (c.max_side if c.enlarge_only else short, c.max_side)
        sizes = np.array([wide, wide[::-1]], np.float64)
    scale = short / sizes.min(axis=1)
    scale = np.minimum(
        np.maximum(scale, 1.0) if c.enlarge_only else scale, c.max_side / sizes.max(axis=1)
    )
    if training:
        scale *= max(1.0, augment.scale[1])
        sizes = np.concatenate([sizes, sizes[:, ::-1]]) if augment.quarter_turns else sizes
        scale = np.resize(scale, len(sizes))
    sizes = np.rint(sizes * scale[:, np.newaxis])
    largest = sizes.max(axis=0) if batch_size > 1 else sizes[sizes.prod(axis=1).argmax()]
    return padded([int(side) for side in largest], c.pad_multiple)


def padded(size: Sequence[float], multiple: int) -> Size:
    """`size` with each side up to the next multiple."""
    height, width = (math.ceil(side / multiple) * multiple for side in size)
    return height, width
