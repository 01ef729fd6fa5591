"""Batches of images and objects that are arrays in memory: `from_coco` without files."""

import logging
from typing import Any, List, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data.augment.user_function import Function
from tfmaskrcnn.data.batches.array_objects import Given, given, mask_boxes, record_of
from tfmaskrcnn.data.batches.array_orders import refuse_other_orders
from tfmaskrcnn.data.batches.pipeline import from_records
from tfmaskrcnn.data.batches.sampler import announce
from tfmaskrcnn.data.coco.records import CocoData, Record, limited
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support.given import takes

_LOG = logging.getLogger(__name__)
_NAME = "The set of arrays"  # in the place of a JSON's path


@takes(config=Config)
def from_arrays(
    images: Sequence[Any],
    boxes: Optional[Sequence[Any]],
    classes: Sequence[Any],
    masks: Optional[Sequence[Any]],
    config: Config,
    training: bool,
    class_names: Optional[Sequence[str]] = None,
    crowd: Optional[Sequence[Any]] = None,
    start_epoch: int = 0,
    transform: Optional[Function] = None,
) -> tf.data.Dataset:
    """`from_records` of N images in memory and their objects: the batches that a JSON would give.

    The images are not copied; masks are packed. `data.limit` and `data.skip_invalid` hold.

    Args:
        images: N of uint8 [H, W, 3] RGB, of any sizes, in a list or as one array [N, H, W, 3]; also
            [H, W] grey, [H, W, 4] with alpha and uint16 grey, which are read as `read_image` does.
        boxes: N of [n, 4] (y1, x1, y2, x2) in pixels, n the objects of that image, perhaps none. A
            box is clipped to its image. None, for all or for an image, takes those of the masks.
        classes: N of [n] whole numbers, 1 for the first class.
        masks: N of [n, H, W], bool or 0 and 1 or 0 to 255 (128 and above are the object); or of
            lists of n masks [H, W], COCO's RLEs or lists of polygons [x1, y1, x2, y2, ...]. None
            without a mask branch.
        config: the whole configuration.
        training: as of `from_records`.
        class_names: of classes 1, 2, ...; those of `model.class_names` if there are any, or else
            "class 1", ...
        crowd: N of [n] bool, regions of many objects (COCO's iscrowd); None for none.
        start_epoch, transform: as of `from_records`.

    Returns:
        As `from_records`; the image ids are 1 to N, the names "images[0]", ...

    Raises:
        InputError: something is wrong with an image or an object, which it names.
    """
    data = _data(images, (boxes, classes, masks, crowd), config, class_names)
    data = limited(data, config.data.limit)
    announce(data, config, training)
    return from_records(data, config, training, start_epoch, transform=transform)


def names_of(class_names: Optional[Sequence[str]], config: Config) -> Tuple[str, ...]:
    """The names of classes 1 to K that the user gave, or those of the configuration, or numbers."""
    refuse_keypoints(config)
    if class_names is None:
        numbers = range(1, config.model.num_classes + 1)
        return config.model.class_names or tuple(f"class {k}" for k in numbers)
    listed = hasattr(class_names, "__len__") and not isinstance(class_names, str)
    if not listed or not all(isinstance(name, str) for name in class_names):
        raise InputError(f"class_names are {quoted(class_names)}; wanted a list of texts.")
    if len(class_names) != config.model.num_classes:
        raise InputError(
            f"class_names has {len(class_names)} names, but model.num_classes is "
            f"{config.model.num_classes}; set model.num_classes={len(class_names)}."
        )
    return tuple(class_names)


def refuse_keypoints(config: Config) -> None:
    """Raise an `InputError` if the model learns keypoints, which arrays do not carry."""
    if config.model.keypoint_head.enabled:
        raise InputError(
            "Arrays carry no keypoints, but keypoint_head.enabled is true; write them as COCO JSON "
            "and use from_coco."
        )


class LeftOut:
    """Told of wrong objects, it stops at the first, or leaves them out and counts them."""

    def __init__(self, skip: bool):
        self._skip, self.count, self.first = skip, 0, ""

    def __call__(self, message: str) -> None:
        """Raise an `InputError` unless wrong objects are skipped."""
        if not self._skip:
            raise InputError(message)
        self.count, self.first = self.count + 1, self.first or message


def _data(
    images: Any, objects: Sequence[Any], config: Config, class_names: Optional[Sequence[str]]
) -> CocoData:
    names = names_of(class_names, config)
    columns = _columns(images, dict(zip(("boxes", "classes", "masks", "crowd"), objects)))
    sets = [
        given(f"images[{i}]", image, parts, config) for i, (image, *parts) in enumerate(columns)
    ]
    _check_orders(sets)
    left_out = LeftOut(config.data.skip_invalid)
    classes = config.model.num_classes
    records: List[Record] = [
        record_of(found, number, classes, left_out) for number, found in enumerate(sets, start=1)
    ]
    if left_out.count and not any(len(r.classes) for r in records):
        raise InputError(f"All {left_out.count} objects are wrong, the first: {left_out.first}")
    if left_out.count:
        text = "%s: left out %d wrong objects, the first: %s"
        _LOG.warning(text, _NAME, left_out.count, left_out.first)
    return CocoData(records, names, tuple(range(1, len(names) + 1)), _NAME)


def _check_orders(sets: Sequence[Given]) -> None:
    boxed = [found for found in sets if found.boxes is not None]
    if not boxed:
        return
    sizes = np.concatenate([np.tile(found.size, (len(found.boxes), 1)) for found in boxed])
    boxes = np.concatenate([found.boxes for found in boxed])
    try:
        refuse_other_orders(boxes, sizes, mask_boxes(boxed))
    except InputError as error:
        raise InputError(f"{_NAME}: {error}") from None


def _columns(images: Any, objects) -> List[Tuple[Any, ...]]:
    """(image, boxes, classes, masks, crowd) of each image."""
    shape = getattr(images, "shape", ())
    if len(shape) == 3 and shape[2] in (1, 3, 4):
        raise InputError(f"images are {tuple(shape)}; put the one image in a list, as all else.")
    if objects["classes"] is None:
        raise InputError("classes is None; wanted whole numbers for the objects of every image.")
    for name, column in {"images": images, **objects}.items():
        if column is not None and not (hasattr(column, "__len__") and hasattr(column, "__iter__")):
            wanted = "wanted a list with an entry for every image"
            raise InputError(f"{name} is {quoted(column)}; {wanted}.")
    count = len(images)
    if not count:
        raise InputError("images is empty; wanted at least one.")
    for name, column in objects.items():
        if column is not None and (isinstance(column, dict) or len(column) != count):
            raise InputError(
                f"{name} has {len(column)} entries, but there are {count} images; wanted one entry "
                "for every image, an empty one where there is no object."
            )
    nothing = [None] * count
    return list(zip(images, *(nothing if c is None else c for c in objects.values())))
