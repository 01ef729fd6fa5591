"""How well anchors fit the objects of a data set after the resize of a configuration."""

from typing import NamedTuple, Tuple

import numpy as np
import tensorflow as tf

from tfmaskrcnn.config.model import AnchorConfig, InputConfig
from tfmaskrcnn.data.coco.records import CocoData
from tfmaskrcnn.ops.anchors import cell_anchors, level_stride
from tfmaskrcnn.ops.images import padded_size, target_size
from tfmaskrcnn.ops.placement import image_offset
from tfmaskrcnn.ops.structures import PYRAMID_LEVELS


class Objects(NamedTuple):
    """All objects of a data set that are no crowd regions, as the JSON has them."""

    boxes: np.ndarray  # [n, 4] float64 yxyx pixels of the original image
    sizes: np.ndarray  # [n, 2] float64 (height, width) of the image they lie in


class Resized(NamedTuple):
    """The same in the network's input."""

    boxes: np.ndarray  # [n, 4] float64 yxyx pixels
    padded: np.ndarray  # [n, 2] float64 (height, width) of the padded input

    @property
    def sides(self) -> np.ndarray:
        """[n, 2] float64 (height, width) of the boxes, pixels."""
        return self.boxes[:, 2:] - self.boxes[:, :2]

    @property
    def scales(self) -> np.ndarray:
        """[n] float64: square roots of the boxes' areas, pixels."""
        return np.sqrt(_area(self.sides))


def objects_of(data: CocoData) -> Objects:
    """The objects of all records, in their order."""
    parts = [(r.boxes, r.crowd, (r.height, r.width)) for r in data.records]
    boxes = np.concatenate([np.zeros((0, 4)), *(own for own, _, _ in parts)])
    alone = ~np.concatenate([np.zeros(0, bool), *(crowd for _, crowd, _ in parts)])
    sizes = np.array([size for _, _, size in parts], np.float64).reshape(-1, 2)
    sizes = np.repeat(sizes, [len(crowd) for _, crowd, _ in parts], axis=0)
    return Objects(np.float64(boxes[alone]), sizes[alone])


def resized(objects: Objects, input: InputConfig) -> Resized:
    """`objects` where the pipeline puts them without augmentation."""
    if not len(objects.boxes):
        return Resized(objects.boxes, objects.sizes)
    distinct, which = _distinct(objects.sizes)
    height, width = (tf.constant(side, tf.int32) for side in distinct.T)
    target = tf.stack(target_size(height, width, input), axis=1)
    if input.static_size:
        padded = tf.zeros_like(target) + tf.constant(input.static_size, tf.int32)
    else:
        padded = tf.stack(padded_size(*tf.unstack(target, axis=1), input.pad_multiple), axis=1)
    offset = image_offset(target, tf.cast(padded, tf.float32), input).numpy()
    scale = target.numpy() / distinct  # [sizes, 2]
    boxes = objects.boxes * np.tile(scale, 2)[which] + np.tile(offset, 2)[which]
    return Resized(boxes, np.float64(padded.numpy())[which])


def _distinct(sizes: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Sizes [m, 2] that occur among `sizes` [n, 2], and [n] which; NumPy sorts pairs slowly."""
    (heights, row), (widths, column) = (np.unique(s, return_inverse=True) for s in sizes.T)
    codes, which = np.unique(row * len(widths) + column, return_inverse=True)
    row, column = np.divmod(codes, len(widths))
    return np.stack([heights[row], widths[column]], axis=1), which


def best_iou(objects: Resized, anchors: AnchorConfig) -> Tuple[np.ndarray, np.ndarray]:
    """The highest IoU of each object with any anchor.

    Of all places where an anchor of one shape lies, the one nearest to the object's centre overlaps
    it most, along each axis by itself; so one place a shape is enough.

    Returns:
        [n] float64 IoU, and [n] int index of the level (0 is p2) where it is found.
    """
    best, level_of = np.zeros(len(objects.boxes)), np.zeros(len(objects.boxes), int)
    center = (objects.boxes[:, :2] + objects.boxes[:, 2:]) / 2
    area = _area(objects.sides)
    for index, (level, sizes) in enumerate(zip(PYRAMID_LEVELS, anchors.sizes)):
        stride = level_stride(level)
        cells = np.ceil(objects.padded / stride)
        if anchors.stride_from_size:
            stride = objects.padded // cells
        cell = np.clip(np.round(center / stride - anchors.offset), 0, cells - 1)
        place = (cell + anchors.offset) * stride
        shapes = cell_anchors(sizes, anchors.ratios, anchors.whole_pixels)
        low = np.maximum(objects.boxes[:, :2], place + shapes[:, np.newaxis, :2])  # [shapes, n, 2]
        high = np.minimum(objects.boxes[:, 2:], place + shapes[:, np.newaxis, 2:])
        overlap = _area(np.maximum(high - low, 0))
        of_anchor = _area(shapes[:, np.newaxis, 2:] - shapes[:, np.newaxis, :2])
        # Not `max`: an overflow at one shape would be all that is known of an object.
        iou = np.fmax.reduce(overlap / (area + of_anchor - overlap), axis=0)
        better = iou > best
        best, level_of = np.where(better, iou, best), np.where(better, index, level_of)
    return best, level_of


def _area(sides: np.ndarray) -> np.ndarray:
    """Products of the last axis of `sides` [..., 2]; `prod` takes many times as long."""
    return sides[..., 0] * sides[..., 1]
