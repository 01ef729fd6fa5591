"""Augmentation by a function of the user's: plain arrays in, plain arrays out.

The function is called with keywords, for every training image and epoch:

    image    [H, W, C] uint8, RGB if C is 3
    boxes    [n, 4] float32, yxyx pixels
    masks    [n, H, W] uint8 in {0, 1}; not there with mask_head.enabled=false
    classes  [n] int32, 1..K
    crowd    [n] bool, regions of many objects that are not told apart
    seed     an int, all that its random numbers may depend on

and returns a dict of what it changed: any size of the image, any number of objects. Masks without
boxes get the tight ones. Several threads may call it at once.
"""

import importlib
import os
import random
import sys
import threading
from collections.abc import Mapping
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np
from pycocotools import mask as coco_mask

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.trust import check_code
from tfmaskrcnn.data.augment.seeds import int32
from tfmaskrcnn.data.coco.records import Record
from tfmaskrcnn.data.coco.segmentation import decode
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.given import Kind, takes

Function = Callable[..., Mapping]


def function_of(config: Config) -> Optional[Function]:
    """The function that `config` names, if it names one.

    Raises:
        InputError: it cannot be imported, or a run's folder names it and nobody asked for it.
    """
    name = config.data.augment.function
    if not name:
        return None
    check_code(config)
    return find_function(name)


def find_function(name: str) -> Function:
    """The function that `name` ("module:function") means, of Python's path or this folder."""
    module_name, _, function_name = name.partition(":")
    if os.getcwd() not in sys.path:  # the command line's path begins with its own folder
        sys.path.append(os.getcwd())
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except Exception as error:  # importing runs any code
        reason = " ".join(str(error).split())
        raise InputError(
            f"augment.function {name!r} cannot be imported: {type(error).__name__}: {reason}."
        ) from None
    if not callable(function):
        raise InputError(f"augment.function {name!r} is {function!r:.60}, wanted a function.")
    return function


@takes(compose=Kind(callable, "an albumentations.Compose"))
def albumentations_transform(compose) -> Function:
    """A function for `augment.function` of an `albumentations.Compose` without `bbox_params`.

    Boxes follow from the masks, and objects that leave the image are left out. Calls wait for one
    another: a `Compose` keeps its random state in itself.
    """
    turn = threading.Lock()

    def transform(image, seed, masks=None, **others):
        if masks is None:
            raise InputError("albumentations_transform wants masks; mask_head.enabled is false.")
        given = {"image": image, **({"masks": list(masks)} if len(masks) else {})}
        with turn:
            _seed(compose, seed)
            found = compose(**given)
        image = np.reshape(found["image"], (*found["image"].shape[:2], -1))  # grey may be [H, W]
        masks = found["masks"] if len(masks) else np.zeros((0, *image.shape[:2]), np.uint8)
        return {"image": image, "masks": np.asarray(masks)}

    return transform


def called(
    function: Function, image: np.ndarray, record: Record, seed: int, num_classes: int, masks: bool
) -> Tuple[np.ndarray, Record]:
    """What `function` makes of an image and its objects.

    Args:
        function: see the module.
        image: [H, W, C] uint8.
        record: its objects; keypoints are not carried over.
        seed: any integer.
        num_classes: K.
        masks: whether masks are handed over and wanted back.

    Returns:
        The image and a record of its objects, whose masks are RLE; objects without a pixel or
        without an area in the image are left out.

    Raises:
        InputError: the function failed, or what it returned does not fit together.
    """
    where = f"image {record.image_id} ({record.file_name})"
    sample: Dict[str, Any] = {"image": image, "boxes": record.boxes.copy()}
    sample.update(classes=record.classes.copy(), crowd=record.crowd.copy())
    if masks:
        sample["masks"] = _masks_of(record)
    try:
        found = function(**sample, seed=int32(seed))
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{_name(function)} failed on {where}: {type(error).__name__}: {reason}."
        ) from None
    try:
        return _checked(found, sample, record, num_classes)
    except InputError as error:
        raise InputError(f"{_name(function)}, {where}: {error}") from None


def packed(record: Record) -> Tuple[np.ndarray, ...]:
    """Boxes, crowd, classes and the RLE's counts ([n] bytes, empty without masks) of `called`."""
    counts = [b"" if s is None else s["counts"] for s in record.segmentations]
    return record.boxes, record.crowd, record.classes, np.array(counts, object)


def unpacked(record: Record, size, boxes, crowd, classes, counts) -> Record:
    """`record` of an image of `size` with the objects of `packed`."""
    height, width = map(int, size)
    rles = [{"size": [height, width], "counts": c} if c else None for c in counts]
    return _changed(record, (height, width), boxes, crowd, classes, rles)


def _masks_of(record: Record) -> np.ndarray:
    size = record.height, record.width
    out = np.zeros((len(record.classes), *size), np.uint8)
    for i, (mask, segmentation) in enumerate(zip(out, record.segmentations)):
        try:
            mask[...] = decode(segmentation, *size)
        except InputError as error:
            where = f"annotation {record.annotation_ids[i]} of image {record.image_id}"
            raise InputError(f"{where} ({record.file_name}): {error}") from None
    return out


def _checked(
    found: Any, sample: Dict[str, Any], record: Record, num_classes: int
) -> Tuple[np.ndarray, Record]:
    if not isinstance(found, Mapping) or set(found) - set(sample):
        got = sorted(map(str, found)) if isinstance(found, Mapping) else type(found).__name__
        raise InputError(f"it returned {got}, wanted a dict of {', '.join(sample)}.")
    out = {key: np.asarray(value) for key, value in {**sample, **found}.items()}
    image, masks, boxes = out["image"], out.get("masks"), out["boxes"]
    channels = sample["image"].shape[2]
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != channels or not image.size:
        raise InputError(
            f"its image is {image.dtype} {image.shape}, wanted uint8 [height, width, {channels}]."
        )
    if masks is not None and (masks.ndim != 3 or masks.shape[1:] != image.shape[:2]):
        raise InputError(f"its masks are {masks.shape} for an image {image.shape[:2]}.")
    if "masks" in found and "boxes" not in found:
        boxes = _tight_boxes(masks)
    classes, crowd = out["classes"], out["crowd"]
    if "crowd" not in found and not crowd.any():
        crowd = np.zeros(len(classes), bool)
    counts = {"boxes": len(boxes), "classes": len(classes), "crowd": len(crowd)}
    if masks is not None:
        counts["masks"] = len(masks)
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{count} {key}" for key, count in counts.items())
        raise InputError(f"it returned {shown}; wanted one of each for every object.")
    if boxes.shape != (len(boxes), 4) and boxes.size:
        raise InputError(f"its boxes are {boxes.shape}, wanted [n, 4].")
    boxes = np.reshape(boxes, (-1, 4)).astype(np.float32)
    if not np.isfinite(boxes).all():
        raise InputError("its boxes must be finite numbers only.")
    if not np.isin(classes, np.arange(1, num_classes + 1)).all():
        raise InputError(f"its classes are {classes.tolist()}, wanted 1 to {num_classes}.")
    size = image.shape[:2]
    boxes = np.clip(boxes, 0, [*size, *size]).astype(np.float32)
    kept = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
    rles: List = [None] * len(boxes)
    if masks is not None:
        kept &= masks.any(axis=(1, 2))
        rles = [coco_mask.encode(np.asfortranarray(m != 0, np.uint8)) for m in masks]
    rles = [rle for rle, keep in zip(rles, kept) if keep]
    return image, _changed(record, size, boxes[kept], crowd[kept], classes[kept], rles)


def _changed(record: Record, size: Tuple[int, int], boxes, crowd, classes, rles: List) -> Record:
    return record._replace(
        height=size[0],
        width=size[1],
        boxes=boxes,
        classes=classes.astype(np.int32),
        crowd=crowd.astype(bool),
        segmentations=rles,
        annotation_ids=list(range(len(boxes))),
        keypoints=None,
    )


def _tight_boxes(masks: np.ndarray) -> np.ndarray:
    """[n, 4] float32 yxyx of `masks` [n, H, W]; zeros for an empty one."""
    out = np.zeros((len(masks), 4), np.float32)
    for box, mask in zip(out, masks):
        rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if rows.size:
            box[:] = rows[0], cols[0], rows[-1] + 1, cols[-1] + 1
    return out


def _seed(compose, seed: int) -> None:
    if hasattr(compose, "set_random_seed"):  # from albumentations 1.4.19 on
        compose.set_random_seed(seed)
    else:
        random.seed(seed)
        np.random.seed(seed)


def _name(function: Function) -> str:
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    return f"augment.function {module}:{name}" if name else f"augment.function {function!r:.60}"
