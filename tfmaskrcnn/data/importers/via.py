"""VGG Image Annotator: JSON and CSV of versions 1 and 2, projects of all three."""

import os
from typing import Any, Dict, List, Optional, Sequence

from tfmaskrcnn.data.importers.building import CocoBuilder, Imported
from tfmaskrcnn.data.importers.fields import number, shown
from tfmaskrcnn.data.importers.outlines import ellipse, rectangle
from tfmaskrcnn.data.importers.source_files import existing_file, existing_folder, located
from tfmaskrcnn.data.importers.via_files import ViaImage, via_images
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support.progress_bar import Progress, counted

_SHOWN_ATTRIBUTES = 8


def from_via(
    path: str,
    images: Optional[str] = None,
    classes: Optional[Sequence[str]] = None,
    skip_invalid: bool = False,
    progress: Optional[Progress] = None,
    attribute: Optional[str] = None,
) -> Imported:
    """Polygons, rectangles, circles, ellipses and closed polylines of VIA.

    Args:
        path: "Export annotations" of VIA 1 or 2 as JSON or CSV, or a saved project, also of VIA 3.
        images: the folder of the images; None for that of `path`.
        classes: these only, in this order; None for all, sorted. A single one is also the class of
            regions that have none.
        skip_invalid: leave wrong regions out and count them, instead of stopping.
        progress: called with (images done, images in all).
        attribute: the region attribute that holds the class (a text, dropdown, radio button, or a
            checkbox of which one is set); None takes the only one there is.

    Raises:
        InputError: names the file, the image and the region.
    """
    path = existing_file(path, "a JSON or CSV of VIA")
    images = existing_folder(images or os.path.dirname(path) or ".", "image folder")
    found = via_images(path)
    builder = CocoBuilder(images, classes, skip_invalid)
    attribute = attribute or _only_attribute(found, builder.only_class, path)
    for image in counted(found, progress):
        builder.image(located(images, image.name), path)
        for key, region in image.regions:
            where = f"{path}: region {shown(key)} of {shown(image.name)}"
            _add_region(builder, region, attribute, where)
        if image.fault:
            builder.wrong(f"{path}: {shown(image.name)}: {image.fault}.")
    return builder.result(path)


def _only_attribute(images: List[ViaImage], only_class: Optional[str], path: str) -> Optional[str]:
    names, odd = set(), ""
    for image in images:
        odd = odd or (f"; of {shown(image.name)} {image.fault}" if image.fault else "")
        for key, region in image.regions:
            attributes = region.get("region_attributes") if isinstance(region, dict) else None
            if isinstance(attributes, dict):
                names.update(attributes)
            elif attributes is not None:
                found = f"; those of region {shown(key)} of {shown(image.name)} are "
                odd = odd or found + quoted(attributes)
    if len(names) == 1:
        return names.pop()
    if only_class is not None:
        return None
    if names:
        listed = ", ".join(map(shown, sorted(names)[:_SHOWN_ATTRIBUTES]))
        raise InputError(f"{path} has the region attributes {listed}; say which with --attribute.")
    raise InputError(
        f"{path} has no region attributes{odd}; give the one class with --classes NAME."
    )


def _add_region(builder: CocoBuilder, region, attribute: Optional[str], where: str) -> None:
    shape = region.get("shape_attributes") if isinstance(region, dict) else None
    if not isinstance(shape, dict):
        return builder.wrong(f"{where} has no 'shape_attributes', it is {quoted(region)}.")
    try:
        polygon = _outline(shape)
    except (KeyError, ValueError) as error:
        reason = f"has no {error}" if isinstance(error, KeyError) else f"is wrong: {error}"
        return builder.wrong(f"{where}: its {quoted(shape.get('name'))} {reason}.")
    if polygon is None:
        return builder.leave_out("points and open lines, which have no area")
    try:
        name = _class(region.get("region_attributes"), attribute, builder.only_class)
    except ValueError as error:
        return builder.wrong(f"{where}: {error}.")
    return builder.add(name, [polygon], where)


def _class(attributes: Any, attribute: Optional[str], only_class: Optional[str]) -> str:
    """The class that a region's attributes tell."""
    if attributes is not None and not isinstance(attributes, dict):
        found = f"its region_attributes are {quoted(attributes)}"
        raise ValueError(f"{found}, wanted an object of attributes and their values")
    value, asked = (attributes or {}).get(attribute), quoted(attribute)
    if isinstance(value, dict):  # of a checkbox
        chosen = [option for option, ticked in value.items() if ticked]
        if len(chosen) > 1:
            listed = shown(", ".join(map(shown, chosen[:_SHOWN_ATTRIBUTES])))
            raise ValueError(
                f"the attribute {asked} has {len(chosen)} values ({listed}), wanted one"
            )
        value = chosen[0] if chosen else None
    if value is None or (isinstance(value, str) and not value.strip()):
        if only_class is not None:
            return only_class
        raise ValueError(f"the attribute {asked} is empty, wanted a class")
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"the attribute {asked} is {quoted(value)}, wanted a class")
    return value if isinstance(value, str) else shown(value)


def _outline(shape: Dict[str, Any]) -> Optional[List[float]]:
    """The polygon of a region; None if it encloses nothing."""
    kind = shape["name"]
    if kind in ("polygon", "polyline"):
        xs, ys = (_coordinates(shape[key], key) for key in ("all_points_x", "all_points_y"))
        if len(xs) != len(ys):
            raise ValueError(f"{len(xs)} x and {len(ys)} y coordinates")
        closed = len(xs) > 3 and (xs[0], ys[0]) == (xs[-1], ys[-1])
        if kind == "polyline" and not closed:
            return None
        return [v for point in zip(xs, ys) for v in point]
    if kind == "rect":
        x, y, width, height = (number(shape[key], key) for key in ("x", "y", "width", "height"))
        return rectangle(x, y, x + width, y + height)
    if kind in ("circle", "ellipse"):
        radii = ("r", "r") if kind == "circle" else ("rx", "ry")
        numbers = [number(shape[key], key) for key in ("cx", "cy", *radii)]
        return ellipse(*numbers, number(shape.get("theta") or 0.0, "theta"))
    if kind in ("point", "line"):
        return None
    raise ValueError("wanted polygon, polyline, rect, circle, ellipse or point")


def _coordinates(values: Any, key: str) -> List[float]:
    if not isinstance(values, list):
        raise ValueError(f"{key} is {quoted(values)}, wanted a list of numbers")
    return [number(v, key) for v in values]
