"""One image of a data set as an element of a batch: read, moved, coloured, normalised, padded."""

from typing import Callable, Dict, Optional, Tuple

import numpy as np
import tensorflow as tf

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data.augment.colour import random_colour
from tfmaskrcnn.data.augment.copy_paste import Paster
from tfmaskrcnn.data.augment.moved_objects import padded_instances
from tfmaskrcnn.data.augment.moving import MovingReader, call
from tfmaskrcnn.data.augment.seeds import own_seed, sample_seeds
from tfmaskrcnn.data.augment.user_function import Function, function_of
from tfmaskrcnn.data.coco.keypoint_annotations import moved_keypoints, padded_rows
from tfmaskrcnn.data.coco.records import CocoData, Record
from tfmaskrcnn.data.coco.segmentation import MASK_SIDE
from tfmaskrcnn.ops import images
from tfmaskrcnn.ops.placement import image_offset

# Keeps the draws of copy-paste apart from the others of an image.
_PASTE_SEED = 1
_GT_DTYPES = {
    "boxes": tf.float32,
    "classes": tf.int32,
    "masks": tf.uint8,
    "valid": tf.bool,
    "crowd": tf.bool,
    "keypoints": tf.float32,
}


def sample_function(
    data: CocoData, config: Config, training: bool, transform: Optional[Function]
) -> Callable:
    """(epoch, position, index) -> the dictionary of one unbatched sample."""
    input, augment = config.model.input, config.data.augment
    if training and transform is None:
        transform = function_of(config)
    reader = MovingReader(data, config, training, transform if training else None)
    static = static_size(config, training)
    dtypes = _gt_dtypes(config)
    background = training and config.data.crowds == "background"
    paste = Paster(data, config, reader, dtypes) if training and augment.copy_paste else None

    def instances(matrix, size, order, *objects):
        return _instances(reader.record(*objects), config, matrix, size, order)

    def sample(epoch, position, index):
        seed = own_seed(config.train.seed, epoch, position)
        seeds = sample_seeds(seed)
        moved = reader.moved(index, seeds[0])
        geometry, image = moved.geometry, moved.image
        order = tf.argsort(tf.random.stateless_uniform(tf.shape(moved.crowd), seeds[2]))
        if background:
            order = tf.boolean_mask(order, ~tf.gather(moved.crowd, order))
        inputs = [geometry.matrix, geometry.size, order, *moved.objects]
        if paste:
            paste_seed = tf.random.fold_in(seed, _PASTE_SEED)
            image, found = paste(moved, order, paste_seed, lambda: call(instances, inputs, dtypes))
        else:
            found = call(instances, inputs, dtypes)
        if training:
            image = random_colour(seeds[1], image, augment)
        image = images.normalize(image, input)
        padded = static or images.padded_size(*tf.unstack(geometry.size), input.pad_multiple)
        truth = _shaped(dict(zip(dtypes, found)), config)
        truth = _shifted(truth, image_offset(geometry.size, tf.stack(padded), input))
        return {
            "image": images.pad_to(image, *padded, input),
            "size": tf.cast(geometry.size, tf.float32),
            "scale": geometry.scale,
            "image_id": moved.image_id,
            "seed": seeds[3],
            **truth,
        }

    return sample


def static_size(config: Config, training: bool) -> Optional[Tuple[int, int]]:
    """(height, width) of the padded input if it is the same for all images."""
    input, crop = config.model.input, config.data.augment.crop
    if input.static_size:
        return input.static_size
    return images.padded_size(*crop, input.pad_multiple) if training and crop else None


def _shifted(truth: Dict[str, tf.Tensor], offset: tf.Tensor) -> Dict[str, tf.Tensor]:
    """`truth` with its boxes and keypoints moved by `offset` [2]; zeros stay zeros."""
    truth = dict(truth)
    boxes = truth["gt_boxes"] + tf.concat([offset, offset], axis=0)
    truth["gt_boxes"] = tf.where(truth["gt_valid"][:, tf.newaxis], boxes, 0.0)
    if "gt_keypoints" in truth:
        points = truth["gt_keypoints"]
        truth["gt_keypoints"] = tf.where(
            points[..., 2:] > 0, points + tf.pad(offset, [[0, 1]]), 0.0
        )
    return truth


def _gt_dtypes(config: Config) -> Dict[str, tf.DType]:
    """What of `_GT_DTYPES` the model learns from."""
    model = config.model
    heads = {"masks": model.mask_head.enabled, "keypoints": model.keypoint_head.enabled}
    return {name: dtype for name, dtype in _GT_DTYPES.items() if heads.get(name, True)}


def _shaped(found: Dict[str, tf.Tensor], config: Config) -> Dict[str, tf.Tensor]:
    rows = config.data.max_instances
    shapes = {
        "boxes": [rows, 4],
        "masks": [rows, MASK_SIDE, MASK_SIDE],
        "keypoints": [rows, config.model.keypoint_head.num_keypoints, 3],
    }
    return {
        f"gt_{name}": tf.ensure_shape(tensor, shapes.get(name, [rows]))
        for name, tensor in found.items()
    }


def _instances(record: Record, config: Config, matrix, size, order) -> Tuple[np.ndarray, ...]:
    window = int(size[0]), int(size[1])
    found = padded_instances(
        record,
        matrix,
        window,
        order,
        config.data.max_instances,
        config.data.augment.min_visible,
        config.model.mask_head.enabled,
    )
    head = config.model.keypoint_head
    if head.enabled:
        moved = moved_keypoints(record.keypoints, matrix, window, head.flip_pairs)
        found["keypoints"] = padded_rows(moved, found["index"], found["valid"])
    return tuple(found[name] for name in _gt_dtypes(config))
