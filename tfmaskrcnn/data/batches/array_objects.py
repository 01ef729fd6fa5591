"""One image and its objects as plain arrays, checked, and the record of them."""

from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
from pycocotools import mask as coco_mask

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data.batches.array_masks import Shape, shapes_of
from tfmaskrcnn.data.coco.annotations import Fault, clipped_box
from tfmaskrcnn.data.coco.image_arrays import ImageArray, checked_array
from tfmaskrcnn.data.coco.records import Record
from tfmaskrcnn.data.coco.segmentation import as_rle
from tfmaskrcnn.errors import InputError, quoted

# Objects with box and mask that are compared to see the order of the boxes: drawing the masks of
# all of a large set takes its time.
_COMPARED = 200
OnWrong = Callable[[str], None]  # told of each wrong object; if it returns, that is left out


class Given(NamedTuple):
    """An image and its n objects, each part of the right form and length."""

    where: str  # names the image in errors
    image: ImageArray
    size: Tuple[int, int]  # height, width
    classes: np.ndarray  # [n], any integers
    crowd: np.ndarray  # [n] bool
    boxes: Optional[np.ndarray]  # [n, 4] float64, any numbers; None takes those of the masks
    shapes: List[Union[Shape, Fault]]  # n masks, or what is wrong with them


def given(where: str, image: Any, objects: Sequence[Any], config: Config) -> Given:
    """The parts of one image.

    Args:
        where: names the image in errors, and is its file name in the record.
        image: see `image_arrays.checked_array`.
        objects: boxes, classes, masks and crowd of its n objects; all but the classes may be None.
        config: the whole configuration.

    Raises:
        InputError: one is of another form, or they are not of the same length.
    """
    boxes, classes, masks, crowd = objects
    image = checked_array(image, where, config.model.input.channels)
    size = image.pixels.shape[:2]
    classes = _integers(classes, where)
    if boxes is None and masks is None and len(classes):
        raise InputError(f"{where} has {len(classes)} classes, but neither boxes nor masks.")
    boxes = None if boxes is None else _numbers(boxes, where)
    crowd = np.zeros(len(classes), bool) if crowd is None else _flags(crowd, where)
    shapes = shapes_of(masks, size, where, len(classes), config.model.mask_head.enabled)
    counts = {"classes": len(classes), "crowd": len(crowd), "masks": len(shapes)}
    counts["boxes"] = len(classes if boxes is None else boxes)
    for part, count in counts.items():
        if count != len(classes):
            raise InputError(
                f"{where} has {count} {part}, but {len(classes)} classes; wanted one of each for "
                "every object."
            )
    return Given(where, image, size, classes, crowd, boxes, shapes)


def record_of(found: Given, number: int, num_classes: int, on_wrong: OnWrong) -> Record:
    """The record of an image, its id `number`, without the objects that `on_wrong` lets pass."""
    kept, boxes = [], []
    for i, shape in enumerate(found.shapes):
        try:
            _check_class(found.classes[i], num_classes)
            if isinstance(shape, Fault):
                raise shape
            boxes.append(_box(None if found.boxes is None else found.boxes[i], shape, found.size))
            kept.append(i)
        except InputError as error:
            on_wrong(f"{found.where}, object {i}: {error}")
    return Record(
        image_id=number,
        path=found.image,
        file_name=found.image.name,
        height=found.size[0],
        width=found.size[1],
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        classes=found.classes[kept].astype(np.int32),
        crowd=found.crowd[kept],
        segmentations=[found.shapes[i] for i in kept],
        annotation_ids=kept,
    )


def mask_boxes(sets: Sequence[Given]) -> np.ndarray:
    """[n, 4] float64 yxyx boxes of the masks of all objects that have a box, NaN where unknown."""
    out, compared = [], 0
    for found in sets:
        for shape in found.shapes if found.boxes is not None else ():
            known = shape is not None and not isinstance(shape, Fault) and compared < _COMPARED
            out.append(_mask_box(shape, found.size) if known else [np.nan] * 4)
            compared += known
    return np.array(out, np.float64).reshape(-1, 4)


def _mask_box(shape, size: Tuple[int, int]) -> List[float]:
    x, y, w, h = coco_mask.toBbox(as_rle(shape, *size)).tolist()
    return [y, x, y + h, x + w]


def _box(box: Optional[np.ndarray], shape, size: Tuple[int, int]) -> List[float]:
    """The box of an object, clipped to the image; that of its mask if it has none."""
    if box is None:
        return clipped_box(_mask_box(shape, size), "the box of its mask", "", *size)
    values = box.tolist()
    if not np.isfinite(box).all():
        raise InputError(f"its box is {quoted(values)}; wanted finite numbers.")
    if (box[2:] <= box[:2]).any():
        raise InputError(
            f"its box {quoted(values)} has no area; wanted (y1, x1, y2, x2) with y2 above y1 and "
            "x2 above x1."
        )
    return clipped_box(values, "its box", values, *size)


def _check_class(number: int, num_classes: int) -> None:
    if not 1 <= number <= num_classes:
        hint = "; 0 is the background, add 1 if yours count from 0" if number == 0 else ""
        raise InputError(f"its class is {number}, wanted 1 to {num_classes}{hint}.")


def _integers(classes: Any, where: str) -> np.ndarray:
    """[n] int64."""
    found = _array(classes, where, "classes")
    if not found.size:
        return np.zeros(0, np.int64)
    whole = found.dtype.kind in "iu" or (found.dtype.kind == "f" and (found == found // 1).all())
    if found.ndim != 1 or not whole:
        raise InputError(
            f"{where}: its classes are {quoted(found.tolist())}; wanted a whole number for every "
            "object, 1 for the first class."
        )
    return found.astype(np.int64)


def _numbers(boxes: Any, where: str) -> np.ndarray:
    """[n, 4] float64."""
    found = _array(boxes, where, "boxes")
    if not found.size:
        return np.zeros((0, 4))
    if found.dtype.kind not in "iuf" or found.ndim != 2 or found.shape[1] != 4:
        raise InputError(
            f"{where}: its boxes are {found.dtype} {found.shape}; wanted [objects, 4] numbers "
            "(y1, x1, y2, x2) in pixels."
        )
    return found.astype(np.float64)


def _flags(crowd: Any, where: str) -> np.ndarray:
    """[n] bool."""
    found = _array(crowd, where, "crowd").reshape(-1)
    if not np.isin(found, (0, 1)).all():
        raise InputError(f"{where}: its crowd is {quoted(found.tolist())}; wanted true or false.")
    return found.astype(bool)


def _array(value: Any, where: str, what: str) -> np.ndarray:
    try:
        return np.asarray(value)
    except Exception as error:  # of a ragged list, or of another library's tensor on a GPU
        raise InputError(f"{where}: its {what} are no array: {error}.") from None
