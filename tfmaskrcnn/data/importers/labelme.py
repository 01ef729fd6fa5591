"""LabelMe: a folder with a JSON file for each image."""

import base64
import io
import os
from typing import Any, Dict, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from tfmaskrcnn.data.importers.building import CocoBuilder, Imported
from tfmaskrcnn.data.importers.found_objects import Shape
from tfmaskrcnn.data.importers.outlines import ellipse, rectangle
from tfmaskrcnn.data.importers.source_files import existing_folder, files_below, located
from tfmaskrcnn.errors import InputError
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
    builder = CocoBuilder(image_dir, classes, skip_invalid)
    for name in counted(names, progress):
        path = os.path.join(folder, name)
        raw = read_json(path)
        if isinstance(raw, dict) and "imagePath" in raw and "shapes" in raw:
            below = "" if images else os.path.dirname(name)
            _add_image(builder, raw, path, below)
    return builder.result(folder)


def _add_image(builder: CocoBuilder, raw: Dict[str, Any], path: str, below: str) -> None:
    image_path = raw["imagePath"]
    if not isinstance(image_path, str) or not isinstance(raw["shapes"], list):
        raise InputError(f"{path}: wanted a text 'imagePath' and a list 'shapes'.")
    found = os.path.normpath(os.path.join(below, image_path.replace("\\", "/")))
    found = located(builder.image_dir, found)
    beside = os.path.join(below, os.path.basename(found))  # moved together with its JSON
    if not os.path.isfile(os.path.join(builder.image_dir, found)):
        found = beside
    size = raw.get("imageHeight"), raw.get("imageWidth")
    size = builder.image(found, path, size if None not in size else None)
    for n, shape in enumerate(raw["shapes"]):
        where = f"{path}: shape {n}"
        if not isinstance(shape, dict):
            builder.wrong(f"{where} is {shape!r:.60}, wanted an object.")
            continue
        kind = shape.get("shape_type") or "polygon"  # which old versions do not write
        if kind in _NO_AREA:
            builder.leave_out("points and lines, which have no area")
            continue
        try:
            outline = _outline(kind, shape, size)
        except Exception as error:  # a mask is a file in itself
            reason = " ".join(str(error).split()) or type(error).__name__
            builder.wrong(f"{where}: its {kind} cannot be read: {reason}.")
            continue
        builder.add(shape.get("label"), outline, where, group=shape.get("group_id"))


def _outline(kind: str, shape: Dict[str, Any], size: Tuple[int, int]) -> Shape:
    points = np.array(shape["points"], np.float64).reshape(-1, 2)
    if kind == "mask":
        return _mask(shape["mask"], points, size)
    if kind == "circle":
        if len(points) != 2:
            raise ValueError(f"{len(points)} points, wanted the centre and one on the circle")
        radius = float(np.linalg.norm(points[1] - points[0]))
        return [ellipse(*points[0], radius, radius)]
    if kind == "rectangle" and len(points) == 2:
        return [rectangle(*points[0], *points[1])]
    if kind in ("polygon", "rectangle", "rotation", "oriented_rectangle"):
        return [points.reshape(-1).tolist()]
    raise ValueError("wanted a polygon, rectangle, circle or mask")


def _mask(text: str, points: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """A PNG, as base64, that lies with its first pixel at the first point."""
    with Image.open(io.BytesIO(base64.b64decode(text))) as image:
        part = np.asarray(image.convert("L")) > 0
    left, top = np.round(points.min(axis=0)).astype(int).tolist()
    height, width = size
    if left < 0 or top < 0 or top + part.shape[0] > height or left + part.shape[1] > width:
        raise ValueError(
            f"{part.shape[0]} x {part.shape[1]} pixels from y {top}, x {left} on leave the image "
            f"of {height} x {width}"
        )
    mask = np.zeros(size, bool)
    mask[top : top + part.shape[0], left : left + part.shape[1]] = part
    return mask
