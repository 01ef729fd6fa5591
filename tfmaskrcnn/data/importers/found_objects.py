"""Single objects as COCO annotations: exact masks, clipped boxes."""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
from pycocotools import mask as coco_mask

from tfmaskrcnn.data.coco.annotations import checked_segmentation
from tfmaskrcnn.data.coco.segmentation import as_rle
from tfmaskrcnn.errors import InputError

# Flat polygons x1, y1, x2, y2, ..., a bool mask [H, W], or a compressed RLE of the image's size;
# None is the whole of the box.
Shape = Union[Sequence[Sequence[float]], np.ndarray, Dict[str, Any]]


class FoundObject(NamedTuple):
    """An object, in one or several parts."""

    name: str  # of its class
    shapes: List[Any]  # polygons, compressed RLE or None
    box: Optional[Tuple[float, float, float, float]]  # yxyx pixels
    crowd: bool
    where: str  # names it in an error


def annotation(found: FoundObject, image: Dict[str, Any]) -> Dict[str, Any]:
    """An object as a COCO annotation without its own id and class.

    Raises:
        InputError: its outline is none, or leads far away from the image.
    """
    height, width = image["height"], image["width"]
    entry = {"image_id": image["id"], "iscrowd": int(found.crowd)}
    if found.shapes[0] is None:
        return {**entry, **_boxed(found.box, height, width)}
    if any(isinstance(shape, dict) for shape in found.shapes):
        rles = [_rle(shape, height, width) for shape in found.shapes]
        return {**entry, **_of_rle(coco_mask.merge(rles))}
    polygons = [[float(v) for v in p] for shape in found.shapes for p in shape]
    checked = checked_segmentation(polygons, height, width)
    points = np.concatenate([np.reshape(p, (-1, 2)) for p in polygons])
    low, high = points.min(axis=0), points.max(axis=0)
    area = int(coco_mask.area(as_rle(checked, height, width)))
    return {
        **entry,
        **_boxed((low[1], low[0], high[1], high[0]), height, width),
        **({"area": area} if area else {}),
        "segmentation": polygons,
    }


def packed(shape: Optional[Shape], image: Dict[str, Any]):
    """A mask as a compressed RLE, for an image may have hundreds; all else as it is."""
    if not isinstance(shape, np.ndarray):
        return shape
    size = image["height"], image["width"]
    if shape.shape != size:
        raise InputError(f"its mask is {shape.shape}, wanted the image's {size}.")
    return coco_mask.encode(np.asfortranarray(shape.astype(np.uint8)))


def _rle(shape, height: int, width: int) -> Dict[str, Any]:
    """Polygons or a compressed RLE as a compressed RLE."""
    if isinstance(shape, dict):
        return shape
    return as_rle(checked_segmentation([list(p) for p in shape], height, width), height, width)


def _of_rle(rle: Dict[str, Any]) -> Dict[str, Any]:
    """`bbox`, `area` and `segmentation` of a compressed RLE."""
    area = int(coco_mask.area(rle))
    if not area:
        raise InputError("its mask has no pixel inside the image.")
    counts, size = rle["counts"].decode("ascii"), [int(v) for v in rle["size"]]
    return {
        "bbox": [float(v) for v in coco_mask.toBbox(rle)],
        "area": area,
        "segmentation": {"size": size, "counts": counts},
    }


def _boxed(yxyx, height: int, width: int) -> Dict[str, Any]:
    """`bbox` and `area` of a box, clipped to the image."""
    y1, x1, y2, x2 = (float(v) for v in yxyx)
    if not np.isfinite([y1, x1, y2, x2]).all() or y2 <= y1 or x2 <= x1:
        raise InputError(f"its box y {y1:g}..{y2:g}, x {x1:g}..{x2:g} has no area.")
    y1, x1, y2, x2 = max(y1, 0.0), max(x1, 0.0), min(y2, float(height)), min(x2, float(width))
    if y2 <= y1 or x2 <= x1:
        raise InputError(f"its box lies outside the image of {height} x {width} pixels.")
    return {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (y2 - y1) * (x2 - x1)}


def is_box(segmentation: Any) -> bool:
    """Whether a segmentation is a single upright rectangle."""
    if not isinstance(segmentation, list) or len(segmentation) != 1 or len(segmentation[0]) != 8:
        return False
    xs, ys = segmentation[0][::2], segmentation[0][1::2]
    return len(set(xs)) == len(set(ys)) == 2 and len(set(zip(xs, ys))) == 4
