"""Masks as users have them, of full size, as RLE or polygons, in the form of a record."""

from typing import Any, Dict, List, Optional, Tuple, Union

import numpy as np
from pycocotools import mask as coco_mask

from tfmaskrcnn.data.coco.annotations import Fault, Segmentation, checked_segmentation
from tfmaskrcnn.errors import InputError, quoted

Shape = Optional[Segmentation]
_FULL = 255  # of masks of 8 bits
_WANTED = "wanted bool, 0 and 1, or 0 to 255"


def shapes_of(
    masks: Any, size: Tuple[int, int], where: str, count: int, needed: bool
) -> List[Union[Shape, Fault]]:
    """The masks of an image's objects as RLE or polygons, a `Fault` in the place of a wrong one.

    Args:
        masks: [n, H, W] of bool, 0 and 1, or 0 to 255 (of which 128 and above are the object); or
            a list of n, each [H, W], a COCO RLE, or a list of polygons; None for boxes alone.
        size: (height, width) of the image.
        where: names the image in errors.
        count: of the image's objects.
        needed: whether the model learns from masks.

    Raises:
        InputError: they are no masks of this image's objects.
    """
    if masks is None:
        if needed and count:
            raise InputError(
                f"{where} has no masks, but Mask R-CNN needs one for every object; set "
                "mask_head.enabled=false to train on boxes alone."
            )
        return [None] * count
    if isinstance(masks, dict):
        raise InputError(f"{where}: its masks are one RLE; wanted a list of one for every object.")
    if not isinstance(masks, (list, tuple)):
        masks = _stack(masks, size, where)
    return [_shape(mask, size, needed) for mask in masks]


def _stack(masks: Any, size: Tuple[int, int], where: str) -> np.ndarray:
    """[n, H, W] of any dtype, or [n] of objects."""
    try:
        found = np.asarray(masks)
    except Exception as error:  # of another library's tensor on a GPU
        raise InputError(f"{where}: its masks are no array: {error}.") from None
    if not found.size:
        return np.zeros((0, *size), bool)
    if found.ndim == 4 and found.shape[3] == 1:
        found = found[..., 0]
    if found.dtype == object or (found.ndim == 3 and found.shape[1:] == size):
        return found
    hint = ""
    if found.ndim == 3 and found.shape[:2] == size:
        hint = "; np.moveaxis(masks, -1, 0) puts the objects first"
    elif found.shape == size:
        hint = "; of an image of numbers np.stack([numbers == k for k in ...]) makes them"
    raise InputError(
        f"{where}: its masks are {found.shape}, wanted [objects, {size[0]}, {size[1]}], one of the "
        f"image's size for every object{hint}."
    )


def _shape(mask: Any, size: Tuple[int, int], needed: bool) -> Union[Shape, Fault]:
    try:
        if mask is None and not needed:
            return None
        if isinstance(mask, dict):
            return checked_segmentation(_plain_rle(mask), *size)
        if isinstance(mask, (list, tuple)):
            return checked_segmentation([_flat(polygon) for polygon in mask], *size)
        return checked_segmentation(mask, *size) if mask is None else _bitmap(mask, size)
    except Fault as fault:
        return fault


def _bitmap(mask: Any, size: Tuple[int, int]) -> Dict[str, Any]:
    """The RLE of a mask [H, W] of the image's size."""
    values = np.asarray(mask)
    values = values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values
    if values.shape != size:
        raise Fault(
            "rle-size",
            f"its mask is {values.shape}, wanted the image's {size} (height, width).",
        )
    if values.dtype.kind not in "biuf":
        raise Fault(
            "segmentation", f"its mask is {values.dtype}, wanted bool, 0 and 1, or 0 to 255."
        )
    low, high = values.min(), values.max()
    if not (low >= 0 and (high <= 1 or high == _FULL)):
        raise Fault(
            "segmentation",
            f"its mask holds {low:g} to {high:g}, {_WANTED}.",
        )
    inside = values if values.dtype == bool else values >= (0.5 if high <= 1 else (_FULL + 1) / 2)
    if not inside.any():
        raise Fault("mask-area", "its mask covers no pixel.")
    return coco_mask.encode(np.asfortranarray(inside, np.uint8))


def _plain_rle(rle: Dict[str, Any]) -> Dict[str, Any]:
    """An RLE whose numbers may be NumPy's, as a JSON has it."""
    plain = {}
    for key, value in rle.items():
        value = value.tolist() if isinstance(value, np.ndarray) else value
        numbers = isinstance(value, (list, tuple)) and key in ("size", "counts")
        plain[key] = (
            [int(v) if isinstance(v, np.integer) else v for v in value] if numbers else value
        )
    return plain


def _flat(polygon: Any) -> Any:
    """x1, y1, x2, y2, ... of a polygon of points [k, 2] or of an array; else what it is."""
    if isinstance(polygon, (int, float, np.number)):
        raise Fault(
            "polygon",
            f"its mask is a flat list that begins with {quoted(polygon)}; wanted a list of "
            "polygons, each [x1, y1, x2, y2, ...].",
        )
    try:
        points = np.asarray(polygon)
    except ValueError:  # ragged: the check says what is wrong
        return polygon
    usual = points.dtype.kind in "iuf" and points.ndim in (1, 2)
    return points.reshape(-1).tolist() if usual and points.shape[-1:] != (1,) else polygon
