"""Examples as TensorFlow Datasets gives them: dictionaries of an image and its objects."""

import os
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

import numpy as np

from tfmaskrcnn.data.importers.building import CocoBuilder, Imported
from tfmaskrcnn.data.importers.fields import shown
from tfmaskrcnn.data.importers.image_writing import written_image
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support.progress_bar import Progress, counted


def from_tfds(
    examples: Iterable[Dict[str, Any]],
    class_names: Sequence[str],
    images: str,
    classes: Optional[Sequence[str]] = None,
    skip_invalid: bool = False,
    progress: Optional[Progress] = None,
) -> Imported:
    """Examples one by one; their images are written into the folder `images`.

    Args:
        examples: dictionaries of arrays (or of TensorFlow's tensors) with "image" (uint8 [H, W, 3],
            or the bytes of a file), optionally "image/filename" or "image/id", and "objects" with
            "bbox" [n, 4] (ymin, xmin, ymax, xmax as shares of the image), "label" [n] (0 is the
            first class), optionally "mask" [n, H, W] (or [n, H, W, 1]; not 0 is the object) and
            "is_crowd" [n]. With masks, boxes are derived from them. Without, objects are boxes
            alone, which a model with `mask_head.enabled=false` learns from.
        class_names: of label 0, 1, ...: `builder.info.features["objects"]["label"].names`.
        images: the folder to write to.
        classes: these only, in this order; None for all of `class_names`.
        skip_invalid: leave wrong objects out and count them, instead of stopping.
        progress: called with (images done, images in all), 0 where `examples` have no length.

    Raises:
        InputError: names the example and the object.
    """
    images, class_names = os.fspath(images), [str(name) for name in class_names]
    builder = CocoBuilder(images, classes, skip_invalid, class_names)
    for n, example in enumerate(counted(examples, progress)):
        where = f"example {n}"
        if not isinstance(example, dict):
            raise InputError(f"{where} is {quoted(example)}, wanted a dictionary.")
        if "image" not in example:
            keys = shown(", ".join(map(str, example)))
            raise InputError(f"{where} has no 'image', but {keys}.")
        name = _text(example.get("image/filename", example.get("image/id", f"{n:06d}")), where)
        image = _array(example["image"])
        if image.dtype.kind in "OS" and image.size == 1:  # the bytes of a file
            image = image.item()
        written = written_image(image, images, name, f"{where} ({shown(name)})")
        size = builder.image(written, where)
        _add_objects(builder, example.get("objects") or {}, size, class_names, where)
    return builder.result("The sequence of examples")


def _add_objects(builder: CocoBuilder, objects, size, class_names, where: str) -> None:
    try:
        columns = _columns(objects)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = shown(" ".join(str(error).split()))
        raise InputError(f"{where}: its 'objects' are no columns of arrays: {reason}.") from None
    if "label" not in columns:
        if columns:
            raise InputError(f"{where}: its objects have no 'label'.")
        return
    labels = columns["label"].reshape(-1).tolist()
    boxes, masks = columns.get("bbox"), columns.get("mask")
    crowd = columns.get("is_crowd", np.zeros(len(labels), bool)).reshape(-1) != 0
    for key, column in (("bbox", boxes), ("mask", masks), ("is_crowd", crowd)):
        if column is not None and len(np.atleast_1d(column)) != len(labels):
            number = len(np.atleast_1d(column))
            raise InputError(f"{where}: {len(labels)} labels, but {number} of {key!r}.")
    if boxes is None and masks is None:
        raise InputError(f"{where}: its objects have neither 'bbox' nor 'mask'.")
    for n, label in enumerate(labels):
        place = f"{where}: object {n}"
        known = isinstance(label, (int, float)) and 0 <= label < len(class_names)
        if not known or label != int(label):
            wanted = f"wanted 0 to {len(class_names) - 1}"
            builder.wrong(f"{place}: its label is {quoted(label)}, {wanted}.")
            continue
        shape = box = None
        if masks is not None:
            shape = masks[n][..., 0] != 0 if masks[n].ndim == 3 else masks[n] != 0
        else:
            box = _box(boxes[n], size)
            if box is None:
                found = quoted(boxes[n].tolist())
                builder.wrong(f"{place}: its bbox is {found}, wanted four finite numbers.")
                continue
        builder.add(class_names[int(label)], shape, place, bool(crowd[n]), box=box)


def _box(shares: np.ndarray, size: Tuple[int, int]) -> Optional[Tuple[float, ...]]:
    """Yxyx pixels of four shares of the image; None if they are none."""
    if shares.shape != (4,) or shares.dtype.kind not in "iuf" or not np.isfinite(shares).all():
        return None
    return tuple(np.float64(shares) * (*size, *size))


def _columns(objects) -> Dict[str, np.ndarray]:
    """Arrays by name, of a dictionary of arrays or of a list of dictionaries."""
    if isinstance(objects, dict):
        return {key: _array(value) for key, value in objects.items()}
    rows: List[Dict[str, Any]] = list(objects)
    return {key: np.stack([_array(row[key]) for row in rows]) for key in (rows[0] if rows else {})}


def _array(value) -> np.ndarray:
    if hasattr(value, "to_tensor"):  # ragged
        value = value.to_tensor()
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value)


def _text(value, where: str) -> str:
    value = _array(value)
    value = value.item() if value.size == 1 else value
    if isinstance(value, bytes):
        value = value.decode("utf-8", "surrogateescape")  # which no file's name may have
    if not isinstance(value, (str, int)):
        raise InputError(f"{where}: its name is {quoted(value)}, wanted a text.")
    return str(value)
