"""CVAT: the XML "CVAT for images 1.1". Its COCO export needs no importer."""

import os
from typing import Dict, List, Optional, Sequence, Tuple
from xml.etree import ElementTree
from xml.parsers import expat

import numpy as np

from tfmaskrcnn.data.importers.building import CocoBuilder, Imported
from tfmaskrcnn.data.importers.found_objects import Shape
from tfmaskrcnn.data.importers.outlines import ellipse, rectangle
from tfmaskrcnn.data.importers.source_files import existing_folder, located
from tfmaskrcnn.errors import InputError
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
    path = os.fspath(path)
    root = read_xml(path)
    if root.tag != "annotations" or root.find("track") is not None:
        found = "holds tracks of a video" if root.tag == "annotations" else f"is a <{root.tag}>"
        raise InputError(f"{path} {found}; wanted the export 'CVAT for images 1.1'.")
    beside = os.path.join(os.path.dirname(path), "images")
    if images is None:
        images = beside if os.path.isdir(beside) else os.path.dirname(path) or "."
    images = existing_folder(images, "image folder")
    labels = [label.text.strip() for label in root.iterfind("meta//labels/label/name")]
    builder = CocoBuilder(images, classes, skip_invalid, list(dict.fromkeys(labels)) or None)
    entries = sorted(root.iterfind("image"), key=lambda entry: entry.get("name", ""))
    for entry in counted(entries, progress):
        name = _attribute(entry, "name", path)
        where = f"{path}: {name}"
        size = [int(_attribute(entry, key, where)) for key in ("height", "width")]
        size = builder.image(located(images, name), path, tuple(size))
        for n, shape in enumerate(entry):
            _add_shape(builder, shape, size, f"{where}: <{shape.tag}> {n}")
    return builder.result(path)


def read_xml(path: str) -> ElementTree.Element:
    """The tree of an XML file; one with a DOCTYPE is refused, for entities can grow without end.

    Raises:
        InputError: it cannot be read, is no XML or has a DOCTYPE.
    """

    def refuse(*_):
        raise InputError(f"{path} has a DOCTYPE, which is not read; CVAT writes none.")

    builder, parser = ElementTree.TreeBuilder(), expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        with open(path, "rb") as file:
            parser.ParseFile(file)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from None
    except expat.ExpatError as error:
        raise InputError(f"{path} is not valid XML: {error}.") from None
    return builder.close()


def _attribute(entry: ElementTree.Element, key: str, where: str) -> str:
    if key not in entry.attrib:
        raise InputError(f"{where}: <{entry.tag}> has no {key!r}.")
    return entry.get(key)


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
    return builder.add(shape.get("label"), outline, where, group=shape.get("group_id"))


def _outline(kind: str, shape: Dict[str, str], size: Tuple[int, int]) -> Shape:
    rotation = float(shape.get("rotation", 0.0))
    if kind == "polygon":
        pairs = [pair.split(",") for pair in shape["points"].split(";")]
        return [[float(v) for x, y in pairs for v in (x, y)]]
    if kind == "box":
        corners = [float(shape[key]) for key in ("xtl", "ytl", "xbr", "ybr")]
        return [rectangle(*corners, rotation)]
    if kind == "ellipse":
        numbers = [float(shape[key]) for key in ("cx", "cy", "rx", "ry")]
        return [ellipse(*numbers, np.deg2rad(rotation))]
    if kind == "mask":
        place = [int(shape[key]) for key in ("left", "top", "width", "height")]
        return _mask([int(run) for run in shape["rle"].split(",")], *place, size)
    raise ValueError("wanted a polygon, box, ellipse or mask")


def _mask(
    runs: List[int], left: int, top: int, width: int, height: int, size: Tuple[int, int]
) -> np.ndarray:
    """Run lengths along the rows of a window, the first of them outside the object."""
    if min(runs) < 0 or sum(runs) != height * width:
        raise ValueError(f"its runs add up to {sum(runs)}, wanted {height} * {width}")
    if left < 0 or top < 0 or top + height > size[0] or left + width > size[1]:
        raise ValueError(f"it leaves the image of {size[0]} x {size[1]} pixels")
    part = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    mask = np.zeros(size, bool)
    mask[top : top + height, left : left + width] = part
    return mask
