"""LabelMe: a folder with a JSON file for each image."""

import base64
import io
import os
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from tfmaskrcnn.data.coco.image_files import PILLOW_FORMATS
from tfmaskrcnn.data.importers.building import CocoBuilder, Imported
from tfmaskrcnn.data.importers.fields import number, shown, whole
from tfmaskrcnn.data.importers.found_objects import Shape
from tfmaskrcnn.data.importers.outlines import ellipse, rectangle
from tfmaskrcnn.data.importers.source_files import (
    contents,
    existing_folder,
    files_below,
    located,
    other_format,
)
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support.files import read_json
from tfmaskrcnn.support.progress_bar import Progress, counted

_NO_AREA = ("point", "points", "line", "linestrip")


def from_labelme(
    folder: str,
    images: Optional[str] = None,
    classes: Optional[Sequence[str]] = None,
    skip_invalid: bool = False,
    progress: Optional[Progress] = None,
) -> Imported:
    """Polygons, rectangles, circles and masks; equal label and `group_id` are one object.

    Args:
        folder: the JSON files, also in folders below. JSON files of other kinds are passed over.
        images: the folder of the images; None for `folder`, where each file lies as its JSON says.
        classes: these only, in this order; None for all, sorted.
        skip_invalid: leave wrong shapes out and count them, instead of stopping.
        progress: called with (images done, images in all).

    Raises:
        InputError: names the file and the shape.
    """
    folder = existing_folder(folder)
    image_dir = existing_folder(images or folder, "image folder")
    names = files_below(folder, (".json",))
    if not names:
        raise InputError(f"{folder} holds no JSON file of LabelMe, but {contents(folder)}.")
    builder, other = CocoBuilder(image_dir, classes, skip_invalid), ""
    for name in counted(names, progress):
        path = os.path.join(folder, name)
        raw = read_json(path)
        if isinstance(raw, dict) and "imagePath" in raw and "shapes" in raw:
            below = "" if images else os.path.dirname(name)
            _add_image(builder, raw, path, below)
        else:
            other = other or other_format(raw, shown(path, 200)) or ""
    return builder.result(f"{folder}: {other} It" if other else folder)


def _add_image(builder: CocoBuilder, raw: Dict[str, Any], path: str, below: str) -> None:
    image_path, path = raw["imagePath"], shown(path, 200)
    for key, kind, wanted in (("imagePath", str, "a text"), ("shapes", list, "a list")):
        if not isinstance(raw[key], kind):
            raise InputError(f"{path}: its {key!r} is {quoted(raw[key])}, wanted {wanted}.")
    found = os.path.normpath(os.path.join(below, image_path.replace("\\", "/")))
    found = located(builder.image_dir, found)
    beside = os.path.join(below, os.path.basename(found))  # moved together with its JSON
    if not os.path.isfile(os.path.join(builder.image_dir, found)):
        found = beside
    size = builder.image(found, path, _size(raw, path))
    for n, shape in enumerate(raw["shapes"]):
        where = f"{path}: shape {n}"
        if not isinstance(shape, dict):
            builder.wrong(f"{where} is {quoted(shape)}, wanted an object.")
            continue
        kind = shape.get("shape_type") or "polygon"  # which old versions do not write
        if kind in _NO_AREA:
            builder.leave_out("points and lines, which have no area")
            continue
        try:
            outline = _outline(kind, shape, size)
        except Exception as error:  # a mask is a file in itself
            builder.wrong(f"{where}: its {shown(kind)} cannot be read: {_reason(error)}.")
            continue
        builder.add(shape.get("label"), outline, where, group=shape.get("group_id"))


def _size(raw: Dict[str, Any], path: str) -> Optional[Tuple[int, int]]:
    """(height, width) that a JSON says; None if it does not."""
    sides = [raw.get(key) for key in ("imageHeight", "imageWidth")]
    if None in sides:
        return None
    try:
        return tuple(whole(v, key) for v, key in zip(sides, ("imageHeight", "imageWidth")))
    except ValueError as error:
        raise InputError(f"{path}: its {error}.") from None


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no {error}"
    return shown(" ".join(str(error).split()) or type(error).__name__, 160)


def _outline(kind: str, shape: Dict[str, Any], size: Tuple[int, int]) -> Shape:
    points = _points(shape["points"])
    if kind == "mask":
        return _mask(shape["mask"], points, size)
    if kind == "circle":
        if len(points) != 2:
            raise ValueError(f"{len(points)} points, wanted the centre and one on the circle")
        radius = float(np.hypot(*(points[1] - points[0])))
        return [ellipse(*points[0], radius, radius)]
    if kind == "rectangle" and len(points) == 2:
        return [rectangle(*points[0], *points[1])]
    if kind in ("polygon", "rectangle", "rotation", "oriented_rectangle"):
        return [points.reshape(-1).tolist()]
    raise ValueError("wanted a polygon, rectangle, circle or mask")


def _points(given: Any) -> np.ndarray:
    """[n, 2] float64 xy."""
    if not isinstance(given, list) or not all(isinstance(p, list) and len(p) == 2 for p in given):
        raise ValueError(f"its points are {quoted(given)}, wanted a list of [x, y]")
    points: List[float] = [number(v, "a coordinate") for point in given for v in point]
    return np.array(points, np.float64).reshape(-1, 2)


def _mask(text: Any, points: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """A PNG, as base64, that lies with its first pixel at the first point."""
    if not isinstance(text, str) or not len(points):
        raise ValueError(f"wanted a PNG as base64 and the corners of its place, not {quoted(text)}")
    left, top = (int(v) for v in np.round(points.min(axis=0)))
    with Image.open(io.BytesIO(base64.b64decode(text)), formats=PILLOW_FORMATS) as image:
        wide, high = image.size  # of its header: nothing is decoded that the image has no room for
        if left < 0 or top < 0 or top + high > size[0] or left + wide > size[1]:
            raise ValueError(
                f"{high} x {wide} pixels from y {top:g}, x {left:g} on leave the image of {size[0]}"
                f" x {size[1]}"
            )
        part = np.asarray(image.convert("L")) > 0
    mask = np.zeros(size, bool)
    mask[top : top + high, left : left + wide] = part
    return mask
