"""VGG Image Annotator: its JSON of versions 1 and 2, plain or a whole project."""

import os
from typing import Any, Dict, List, Optional, Sequence

from tfmaskrcnn.data.importers.building import CocoBuilder, Imported
from tfmaskrcnn.data.importers.outlines import ellipse, rectangle
from tfmaskrcnn.data.importers.source_files import existing_folder, located
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.files import read_json
from tfmaskrcnn.support.progress_bar import Progress, counted


def from_via(
    path: str,
    images: Optional[str] = None,
    classes: Optional[Sequence[str]] = None,
    skip_invalid: bool = False,
    progress: Optional[Progress] = None,
    attribute: Optional[str] = None,
) -> Imported:
    """Polygons, rectangles, circles, ellipses and closed polylines of a VIA JSON.

    Args:
        path: "Export annotations (as JSON)" or a saved project.
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
    path = os.fspath(path)
    images = existing_folder(images or os.path.dirname(path) or ".", "image folder")
    entries = _entries(path)
    builder = CocoBuilder(images, classes, skip_invalid)
    attribute = attribute or _only_attribute(entries, builder.only_class, path)
    for entry in counted(entries, progress):
        name = entry["filename"]
        builder.image(located(images, name), path)
        for key, region in _regions(entry, path):
            _add_region(builder, region, attribute, f"{path}: region {key} of {name}")
    return builder.result(path)


def _entries(path: str) -> List[Dict[str, Any]]:
    """The images' entries, sorted by file name."""
    raw = read_json(path)
    if isinstance(raw, dict) and isinstance(raw.get("_via_img_metadata"), dict):
        raw = raw["_via_img_metadata"]
    elif isinstance(raw, dict) and {"project", "metadata", "file"} <= set(raw):
        raise InputError(f"{path} is of VIA 3, which has no regions of images; wanted VIA 1 or 2.")
    entries = list(raw.values()) if isinstance(raw, dict) else []
    if not entries or not all(
        isinstance(e, dict) and isinstance(e.get("filename"), str) for e in entries
    ):
        raise InputError(
            f"{path} is no JSON of VIA: wanted an object for each image with 'filename' and "
            "'regions'."
        )
    return sorted(entries, key=lambda entry: entry["filename"])


def _regions(entry: Dict[str, Any], path: str):
    """(key, region) of an image; version 1 has an object of them, version 2 a list."""
    regions = entry.get("regions") or []
    pairs = list(regions.items() if isinstance(regions, dict) else enumerate(regions))
    for key, region in pairs:
        if not isinstance(region, dict) or not isinstance(region.get("shape_attributes"), dict):
            raise InputError(
                f"{path}: region {key} of {entry['filename']} has no 'shape_attributes'."
            )
    return pairs


def _only_attribute(entries, only_class: Optional[str], path: str) -> Optional[str]:
    names = set()
    for entry in entries:
        for _, region in _regions(entry, path):
            names.update(region.get("region_attributes") or {})
    if len(names) == 1:
        return names.pop()
    if only_class is not None:
        return None
    if names:
        shown = ", ".join(sorted(names))
        raise InputError(f"{path} has the region attributes {shown}; say which with --attribute.")
    raise InputError(f"{path} has no region attributes; give the one class with --classes NAME.")


def _add_region(builder: CocoBuilder, region, attribute: Optional[str], where: str) -> None:
    shape = region["shape_attributes"]
    try:
        polygon = _outline(shape)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"has no {error}" if isinstance(error, KeyError) else f"is wrong: {error}"
        return builder.wrong(f"{where}: its {shape.get('name')!r} {reason}.")
    if polygon is None:
        return builder.leave_out("points and open lines, which have no area")
    name = (region.get("region_attributes") or {}).get(attribute) or builder.only_class
    if isinstance(name, dict):  # of a checkbox
        chosen = [option for option, value in name.items() if value]
        if len(chosen) > 1:
            found = f"has {len(chosen)} values ({', '.join(chosen)})"
            return builder.wrong(f"{where}: the attribute {attribute!r} {found}, wanted one.")
        name = chosen[0] if chosen else builder.only_class
    if not name:
        return builder.wrong(f"{where}: the attribute {attribute!r} is empty, wanted a class.")
    return builder.add(str(name), [polygon], where)


def _outline(shape: Dict[str, Any]) -> Optional[List[float]]:
    """The polygon of a region; None if it encloses nothing."""
    kind = shape["name"]
    if kind in ("polygon", "polyline"):
        xs, ys = shape["all_points_x"], shape["all_points_y"]
        if len(xs) != len(ys):
            raise ValueError(f"{len(xs)} x and {len(ys)} y coordinates")
        closed = len(xs) > 3 and (xs[0], ys[0]) == (xs[-1], ys[-1])
        if kind == "polyline" and not closed:
            return None
        return [float(v) for point in zip(xs, ys) for v in point]
    if kind == "rect":
        x, y = float(shape["x"]), float(shape["y"])
        return rectangle(x, y, x + float(shape["width"]), y + float(shape["height"]))
    if kind in ("circle", "ellipse"):
        radii = ("r", "r") if kind == "circle" else ("rx", "ry")
        numbers = [float(shape[key]) for key in ("cx", "cy", *radii)]
        return ellipse(*numbers, float(shape.get("theta") or 0.0))
    if kind in ("point", "line"):
        return None
    raise ValueError(f"wanted polygon, polyline, rect, circle, ellipse or point, not {kind!r}")
