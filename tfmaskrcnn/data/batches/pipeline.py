"""From COCO records to batches: a `tf.data.Dataset` of dictionaries of fixed keys and dtypes."""

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
from tfmaskrcnn.data.batches.order import shuffled
from tfmaskrcnn.data.batches.sampler import announce, epoch_length, part_ends
from tfmaskrcnn.data.batches.sharding import Share, cut, padded_alike, size_function
from tfmaskrcnn.data.batches.telling import telling
from tfmaskrcnn.data.coco.configured import configured_coco
from tfmaskrcnn.data.coco.keypoint_annotations import (
    check_keypoint_names,
    moved_keypoints,
    padded_rows,
)
from tfmaskrcnn.data.coco.records import CocoData, Record, limited
from tfmaskrcnn.data.coco.segmentation import MASK_SIDE
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.ops import images
from tfmaskrcnn.ops.placement import image_offset

# Keeps the draws of copy-paste apart from the others of an image.
_PASTE_SEED = 1
# Batches kept ready: one in use by the model, this many made ahead of it.
_PREFETCH = 2
_GT_DTYPES = {
    "boxes": tf.float32,
    "classes": tf.int32,
    "masks": tf.uint8,
    "valid": tf.bool,
    "crowd": tf.bool,
    "keypoints": tf.float32,
}


def from_coco(
    json_path: str,
    image_dir: str,
    config: Config,
    training: bool,
    start_epoch: int = 0,
    transform: Optional[Function] = None,
) -> tf.data.Dataset:
    """`from_records` of a COCO instance JSON and the folder that its file names start from.

    The log tells of images with too many objects, and how long repeat factors make an epoch.
    """
    data = configured_coco(json_path, image_dir, config, training)
    data = limited(data, config.data.limit)
    announce(data, config, training)
    return from_records(data, config, training, start_epoch, transform=transform)


@tf.autograph.experimental.do_not_convert  # see `ops.tensors.as_graph`
def from_records(
    data: CocoData,
    config: Config,
    training: bool,
    start_epoch: int = 0,
    start_step: int = 0,
    transform: Optional[Function] = None,
    share: Optional[Share] = None,
) -> tf.data.Dataset:
    """Batches of dictionaries; every element a pure function of the seed, epoch and position.

    Keys: "image" [B, H, W, 3] float32 normalised RGB, padded; "size" [B, 2] float32 (height, width)
    without that padding; "scale" [B, 2] float32 resized / original size along the output's axes;
    "image_id" [B] int64; "seed" [B, 2] int32 for what the model draws; "gt_boxes" [B, G, 4] float32
    yxyx pixels of the padded input; "gt_classes" [B, G] int32, 1..K; "gt_masks" [B, G, 112, 112]
    uint8 in {0, 1}; "gt_valid" and "gt_crowd" [B, G] bool (crowd rows are valid rows); with a
    keypoint head "gt_keypoints" [B, G, J, 3] float32 (y, x, visibility). Without a mask branch
    there is no "gt_masks".

    Args:
        data: the records; its number of classes must be the model's.
        config: the whole configuration.
        training: shuffled, augmented, full batches of `train.batch_size`; each iteration over the
            data set is the next epoch. Otherwise the order of the file, `evaluation.batch_size`,
            the last batch may be smaller.
        start_epoch: epoch of the first iteration (to resume).
        start_step: batches of each epoch that are left out, unread.
        transform: augmentation of your own, see `user_function`; instead of `augment.function`.
        share: of each training batch, the rows to read and how to cut them; None reads all.

    Returns:
        The data set, with a length, and an attribute `image_names` (image id -> file name). Of a
        share it goes on with the next epoch without an end.

    Raises:
        InputError: classes, sizes or the number of images do not fit the configuration.
    """
    batch_size = config.train.batch_size if training else config.evaluation.batch_size
    check_fits(data, config, training)
    count = epoch_length(data, config) if training else len(data.records)
    if training:
        skipped, ends = start_step * batch_size, part_ends(data, config)
        order = count, config.train.seed, start_epoch, skipped, ends
        positions = shuffled(*order, share.holds if share else None)
    else:
        positions = tf.data.Dataset.range(count).map(lambda p: (tf.constant(0), p, p))
    samples = positions.map(
        _sample_function(data, config, training, transform), tf.data.AUTOTUNE, deterministic=True
    )
    rows = share.rows if share else batch_size
    batches = samples.padded_batch(rows, drop_remainder=training)
    length = count // batch_size - start_step if training else -(-count // batch_size)
    batches = batches.take(length)  # a share may be whole in the last batch, though that is not
    batches = batches.apply(tf.data.experimental.assert_cardinality(length))
    if share:
        batches = _of_share(batches, share, data, config, order)
    return _ahead(batches, data, share)


def _ahead(batches: tf.data.Dataset, data: CocoData, share: Optional[Share]) -> tf.data.Dataset:
    """The same batches, some made ahead, always in the same order, with the names of images."""
    options = tf.data.Options()
    options.deterministic = True
    policy = tf.data.experimental.AutoShardPolicy.DATA  # the source is no list of files
    options.experimental_distribute.auto_shard_policy = policy
    batches = batches.prefetch(_PREFETCH * (share.replicas if share else 1)).with_options(options)
    batches = telling(batches)
    batches.image_names = {r.image_id: r.file_name for r in data.records}
    return batches


def _of_share(batches, share: Share, data: CocoData, config: Config, order) -> tf.data.Dataset:
    """Without an end: the batches of a share's rows, padded like the global ones, and cut."""
    if share.rows < share.batch_size and not _static_size(config, training=True):
        if config.data.augment.function:
            raise InputError(
                "augment.function may change the size of images that other workers read; set "
                "input.fixed_size or augment.crop to train with several workers."
            )
        size = size_function(data, config)
        batches = padded_alike(batches, shuffled(*order), size, share.batch_size)
    return cut(batches, share).repeat()


def check_fits(data: CocoData, config: Config, training: bool) -> None:
    """Refuse a set of other classes than the model's or, in `training`, that cannot be learned."""
    names, model = data.class_names, config.model
    if len(names) != model.num_classes:
        shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        told = "num_classes" in model.model_fields_set
        how = "leave it out" if told else "config = mr.data.with_classes_of(JSON, config)"
        raise InputError(
            f"{data.json_path} has {len(names)} categories ({shown}), but model.num_classes is "
            f"{model.num_classes}; {how} to take the data's."
        )
    if model.class_names and tuple(model.class_names) != tuple(names):
        k = next(i for i, pair in enumerate(zip(names, model.class_names)) if pair[0] != pair[1])
        raise InputError(
            f"{data.json_path}: class {k + 1} is {names[k]!r}, but model.class_names says "
            f"{model.class_names[k]!r}."
        )
    check_keypoint_names(data.keypoints, model.keypoint_head, data.json_path)
    if training:
        _check_training(data, config)


def _check_training(data: CocoData, config: Config) -> None:
    count, batch_size = epoch_length(data, config), config.train.batch_size
    if count < batch_size:
        raise InputError(
            f"{data.json_path} has {count} images, less than one batch; "
            f"lower train.batch_size from {batch_size} to at most {count}."
        )
    if not any((~r.crowd).any() for r in data.records):
        crowds = sum(len(r.crowd) for r in data.records)
        if crowds:
            raise InputError(
                f"{data.json_path}: all {crowds} objects are crowd regions (iscrowd 1), from which "
                "no object is learned, as CVAT writes every mask; if they are single objects, "
                "`tfmaskrcnn check-data JSON IMAGES --no-crowds --fix FILE` makes them such."
            )
        raise InputError(f"{data.json_path} has no annotated object to train on.")
    augment, fixed = config.data.augment, config.model.input.fixed_size
    static = config.model.input.static_size
    if fixed and augment.min_sides:
        raise InputError(
            f"augment.min_sides {augment.min_sides} has no effect with input.fixed_size {fixed}; "
            "use augment.scale."
        )
    if static and augment.crop and (augment.crop[0] > static[0] or augment.crop[1] > static[1]):
        name = "input.fixed_size" if fixed else "the square of input.max_side,"
        raise InputError(f"augment.crop {augment.crop} is larger than {name} {static}.")


def _sample_function(
    data: CocoData, config: Config, training: bool, transform: Optional[Function]
) -> Callable:
    """(epoch, position, index) -> the dictionary of one unbatched sample."""
    input, augment = config.model.input, config.data.augment
    if training and transform is None:
        transform = function_of(config)
    reader = MovingReader(data, config, training, transform if training else None)
    static = _static_size(config, training)
    dtypes = _gt_dtypes(config)
    paste = Paster(data, config, reader, dtypes) if training and augment.copy_paste else None

    def instances(matrix, size, order, *objects):
        return _instances(reader.record(*objects), config, matrix, size, order)

    def sample(epoch, position, index):
        seed = own_seed(config.train.seed, epoch, position)
        seeds = sample_seeds(seed)
        moved = reader.moved(index, seeds[0])
        geometry, image = moved.geometry, moved.image
        order = tf.argsort(tf.random.stateless_uniform(tf.shape(moved.crowd), seeds[2]))
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


def _static_size(config: Config, training: bool) -> Optional[Tuple[int, int]]:
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
