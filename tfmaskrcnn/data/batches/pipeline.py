"""From COCO records to batches: a `tf.data.Dataset` of dictionaries of fixed keys and dtypes."""

from typing import Dict, Optional

import tensorflow as tf

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data.augment.user_function import Function
from tfmaskrcnn.data.batches.order import shuffled
from tfmaskrcnn.data.batches.sampler import announce, epoch_length, part_ends
from tfmaskrcnn.data.batches.samples import sample_function, static_size
from tfmaskrcnn.data.batches.sharding import Share, cut, padded_alike, size_function
from tfmaskrcnn.data.batches.telling import telling
from tfmaskrcnn.data.coco.configured import configured_coco
from tfmaskrcnn.data.coco.keypoint_annotations import check_keypoint_names
from tfmaskrcnn.data.coco.records import CocoData, limited
from tfmaskrcnn.errors import InputError, listed
from tfmaskrcnn.support.given import A_FOLDER, A_PATH, takes

# Batches kept ready: one in use by the model, this many made ahead of it.
_PREFETCH = 2


@takes(json_path=A_PATH, image_dir=A_FOLDER, config=Config)
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
@takes(data=CocoData, config=Config)
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
        sample_function(data, config, training, transform), tf.data.AUTOTUNE, deterministic=True
    )
    rows = share.rows if share else batch_size
    batches = samples.padded_batch(rows, drop_remainder=training)
    length = count // batch_size - start_step if training else -(-count // batch_size)
    batches = batches.take(length)  # a share may be whole in the last batch, though that is not
    batches = batches.apply(tf.data.experimental.assert_cardinality(length))
    if share:
        batches = _of_share(batches, share, data, config, order)
    names = {r.image_id: r.file_name for r in data.records}
    return made_ahead(batches, names, share.replicas if share else 1)


def made_ahead(
    batches: tf.data.Dataset, image_names: Dict[int, str], replicas: int = 1
) -> tf.data.Dataset:
    """The same batches, some made ahead, always in the same order, with the names of images."""
    options = tf.data.Options()
    options.deterministic = True
    # Its thread sleeps up to a minute between two looks and is not woken when the data end, for
    # which iterators wait. Without it a map runs on all cores, 16 at most, from the beginning.
    options.autotune.enabled = False
    policy = tf.data.experimental.AutoShardPolicy.DATA  # the source is no list of files
    options.experimental_distribute.auto_shard_policy = policy
    batches = telling(batches.prefetch(_PREFETCH * replicas).with_options(options))
    batches.image_names = image_names
    batches.made_right = True  # `model.batch_check` need not look at what is in them
    return batches


def _of_share(batches, share: Share, data: CocoData, config: Config, order) -> tf.data.Dataset:
    """Without an end: the batches of a share's rows, padded like the global ones, and cut."""
    if share.rows < share.batch_size and not static_size(config, training=True):
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
    check_names(data, config)
    if training:
        _check_training(data, config)
        check_sizes(config)


def check_names(data: CocoData, config: Config) -> None:
    """Refuse a set of other classes or keypoints than the model's."""
    names, model = data.class_names, config.model
    if len(names) != model.num_classes:
        told = "num_classes" in model.model_fields_set
        how = "leave it out" if told else "config = mr.data.with_classes_of(JSON, config)"
        raise InputError(
            f"{data.json_path} has {len(names)} categories ({listed(names)}), but "
            f"model.num_classes is {model.num_classes}; {how} to take the data's."
        )
    if model.class_names and tuple(model.class_names) != tuple(names):
        k = next(i for i, pair in enumerate(zip(names, model.class_names)) if pair[0] != pair[1])
        raise InputError(
            f"{data.json_path}: class {k + 1} is {names[k]!r}, but model.class_names says "
            f"{model.class_names[k]!r}."
        )
    check_keypoint_names(data.keypoints, model.keypoint_head, data.json_path)


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


def check_sizes(config: Config) -> None:
    """Refuse sizes of training images that contradict each other."""
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
