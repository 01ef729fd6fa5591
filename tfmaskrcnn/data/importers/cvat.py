"""CVAT: the XML "CVAT for images 1.1". Its COCO export needs no importer."""

import os
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from tfmaskrcnn.data.importers.building import CocoBuilder, Imported
from tfmaskrcnn.data.importers.fields import number, shown, whole
from tfmaskrcnn.data.importers.found_objects import Shape
from tfmaskrcnn.data.importers.outlines import ellipse, rectangle
from tfmaskrcnn.data.importers.source_files import existing_file, existing_folder, located
from tfmaskrcnn.data.importers.xml_files import read_xml
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support.progress_bar import Progress, counted

_NO_AREA = ("polyline", "points", "skeleton", "cuboid")


def from_cvat(
    path: str,
    images: Optional[str] = None,
    classes: Optional[Sequence[str]] = None,
    skip_invalid: bool = False,
    progress: Optional[Progress] = None,
) -> Imported:
    """Polygons, boxes, ellipses and masks; equal label and `group_id` are one object.

    Args:
        path: `annotations.xml`.
        images: the folder of the images; None for `images` beside `path`, or else its folder.
        classes: these only, in this order; None for the task's labels in their order.
        skip_invalid: leave wrong shapes out and count them, instead of stopping.
        progress: called with (images done, images in all).

    Raises:
        InputError: names the file, the image and the shape.
    """
    path = existing_file(path, "the file annotations.xml of the export 'CVAT for images 1.1'")
    root = read_xml(path)
    if root.tag != "annotations" or root.find("track") is not None:
        video = root.tag == "annotations"
        found = "holds tracks of a video" if video else f"is a <{shown(root.tag)}>"
        raise InputError(f"{path} {found}; wanted the export 'CVAT for images 1.1'.")
    beside = os.path.join(os.path.dirname(path), "images")
    if images is None:
        images = beside if os.path.isdir(beside) else os.path.dirname(path) or "."
    images = existing_folder(images, "image folder")
    labels = [(label.text or "").strip() for label in root.iterfind("meta//labels/label/name")]
    labels = [label for label in labels if label]  # one without a name is no object's
    builder = CocoBuilder(images, classes, skip_invalid, list(dict.fromkeys(labels)) or None)
    entries = sorted(root.iterfind("image"), key=lambda entry: entry.get("name", ""))
    for entry in counted(entries, progress):
        if "name" not in entry.attrib:
            raise InputError(f"{path}: <image> has no 'name'.")
        name = entry.get("name")
        where = f"{path}: {shown(name)}"
        size = builder.image(located(images, name), path, _size(entry, where))
        for n, shape in enumerate(entry):
            _add_shape(builder, shape, size, f"{where}: <{shown(shape.tag)}> {n}")
    return builder.result(path)


def _size(entry, where: str) -> Optional[Tuple[int, int]]:
    """(height, width) that an <image> states; None if it does not."""
    texts = [entry.get(key, "").strip() for key in ("height", "width")]
    if "" in texts:
        return None
    try:
        return tuple(whole(text, key) for text, key in zip(texts, ("height", "width")))
    except ValueError as error:
        raise InputError(f"{where}: its {error}.") from None


def _add_shape(builder: CocoBuilder, shape, size: Tuple[int, int], where: str) -> None:
    if shape.tag == "tag":  # of the whole image
        return None
    if shape.tag in _NO_AREA:
        return builder.leave_out(f"of the kind {shape.tag!r}, which is no area")
    try:
        outline = _outline(shape.tag, shape.attrib, size)
    except (KeyError, ValueError) as error:
        reason = f"has no {error}" if isinstance(error, KeyError) else f"is wrong: {error}"
        return builder.wrong(f"{where} {reason}.")
    group = shape.get("group_id")
    return builder.add(shape.get("label"), outline, where, group=None if group == "0" else group)


def _outline(kind: str, shape: Dict[str, str], size: Tuple[int, int]) -> Shape:
    rotation = number(shape.get("rotation") or 0.0, "rotation")
    if kind == "polygon":
        return [[v for pair in shape["points"].split(";") for v in _point(pair)]]
    if kind == "box":
        corners = [number(shape[key], key) for key in ("xtl", "ytl", "xbr", "ybr")]
        return [rectangle(*corners, rotation)]
    if kind == "ellipse":
        numbers = [number(shape[key], key) for key in ("cx", "cy", "rx", "ry")]
        return [ellipse(*numbers, np.deg2rad(rotation))]
    if kind == "mask":
        place = [whole(shape[key], key) for key in ("left", "top", "width", "height")]
        return _mask(_runs(shape["rle"]), *place, size)
    raise ValueError("wanted a polygon, box, ellipse or mask")


def _point(pair: str) -> Tuple[float, float]:
    x, comma, y = pair.partition(",")
    if not comma or "," in y:
        raise ValueError(f"its point {quoted(pair)} is not x,y")
    return number(x, "x"), number(y, "y")


def _runs(text: str) -> List[int]:
    try:
        return [int(run) for run in text.split(",")]
    except ValueError:
        raise ValueError(f"its rle is {quoted(text)}, wanted integers between commas") from None


def _mask(
    runs: List[int], left: int, top: int, width: int, height: int, size: Tuple[int, int]
) -> np.ndarray:
    """Run lengths along the rows of a window, the first of them outside the object."""
    if width <= 0 or height <= 0:
        raise ValueError(f"its window is {height} x {width} pixels")
    if left < 0 or top < 0 or top + height > size[0] or left + width > size[1]:
        raise ValueError(f"it leaves the image of {size[0]} x {size[1]} pixels")
    if min(runs) < 0 or sum(runs) != height * width:
        found = f"to {quoted(sum(runs))}, the least is {quoted(min(runs))}"
        raise ValueError(f"its runs add up {found}, wanted {height} * {width}, none negative")
    part = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    mask = np.zeros(size, bool)
    mask[top : top + height, left : left + width] = part
    return mask
