"""Projects of VIA 3, whose regions of images are lists of numbers, in the form of VIA 2."""

from typing import Any, Dict, List, Optional

from tfmaskrcnn.data.importers.fields import number, shown
from tfmaskrcnn.errors import InputError, quoted

_IMAGE = 2  # of `type` of a file; 4 is a video, 8 a sound
# The first number of "xy", and what its shape is called in VIA 2 with the names of its numbers.
_PLACED = {
    1: ("point", ("cx", "cy")),
    2: ("rect", ("x", "y", "width", "height")),
    3: ("circle", ("cx", "cy", "r")),
    4: ("ellipse", ("cx", "cy", "rx", "ry")),
}
_LINE, _DRAWN = 5, {6: "polyline", 7: "polygon"}
_EXTREME_RECTANGLE, _EXTREME_CIRCLE = 8, 9  # of four and of three points on the outline


def of_version_three(raw: Dict[str, Any], path: str) -> Dict[str, Any]:
    """The entries of VIA 2, key -> {"filename", "regions"}, of a project of VIA 3.

    Raises:
        InputError: it is of videos or sounds, or no such project.
    """
    files, metadata = raw["file"], raw["metadata"]
    attributes = raw.get("attribute")
    for key, part in (("file", files), ("metadata", metadata)):
        if not isinstance(part, dict):
            raise InputError(f"{path}: its {key!r} is {quoted(part)}, wanted an object.")
    views = raw["view"] if isinstance(raw.get("view"), dict) else {}
    entries = {
        key: {"filename": file.get("fname") or file.get("src"), "regions": []}
        for key, file in files.items()
        if isinstance(file, dict) and file.get("type", _IMAGE) in (_IMAGE, str(_IMAGE))
    }
    if not entries:
        raise InputError(
            f"{path} is a project of VIA 3 without images (it has {len(files)} files, of videos or "
            "sounds, perhaps); wanted one of images."
        )
    for key, region in metadata.items():
        image = _image_of(region, views, entries)
        if image is None:
            raise InputError(
                f"{path}: the region {shown(key)} is {quoted(region)}, wanted an object whose "
                "'vid' names the view of one image."
            )
        if region.get("xy") or not region.get("z"):  # else a time without a place
            shape, names = _shape(region.get("xy")), _names(region.get("av"), attributes)
            if shape:
                found = {"shape_attributes": shape, "region_attributes": names}
                image["regions"].append(found)
    return entries


def _image_of(region: Any, views: Dict[str, Any], entries: Dict[str, Any]) -> Optional[Dict]:
    """The entry of the image that a region lies on."""
    view = region.get("vid") if isinstance(region, dict) else None
    if not isinstance(view, (str, int)):
        return None
    found = views.get(str(view))
    names = found.get("fid_list") if isinstance(found, dict) else [view]
    if not isinstance(names, list) or len(names) != 1 or not isinstance(names[0], (str, int)):
        return None
    return entries.get(str(names[0]))


def _shape(xy: Any) -> Optional[Dict[str, Any]]:
    """`shape_attributes` of VIA 2; None for what concerns the whole image."""
    if xy is None or xy == []:
        return None
    if not isinstance(xy, list):
        return {"name": xy}  # which no shape is called
    kind, numbers = xy[0], xy[1:]
    if isinstance(kind, bool) or not isinstance(kind, int):
        return {"name": kind}
    if kind in _PLACED:
        name, keys = _PLACED[kind]
        return {"name": name, **dict(zip(keys, numbers))}
    if kind in _DRAWN:
        xs, ys = numbers[::2], numbers[1::2]
        return {"name": _DRAWN[kind], "all_points_x": xs, "all_points_y": ys}
    if kind == _LINE:
        return {"name": "line"}
    if kind in (_EXTREME_RECTANGLE, _EXTREME_CIRCLE):
        return _extreme(kind, numbers)
    return {"name": f"shape {shown(kind)} of VIA 3"}


def _extreme(kind: int, numbers: List[Any]) -> Dict[str, Any]:
    """The upright rectangle, or the circle, through points on it."""
    try:
        values = [number(v, "xy") for v in numbers]
    except ValueError:
        return {"name": "rect", "x": numbers}
    xs, ys = values[::2], values[1::2]
    if kind == _EXTREME_RECTANGLE and len(xs) == len(ys) == 4:
        x, y = min(xs), min(ys)
        return {"name": "rect", "x": x, "y": y, "width": max(xs) - x, "height": max(ys) - y}
    if kind == _EXTREME_CIRCLE and len(xs) == len(ys) == 3:
        (bx, cx), (by, cy) = (xs[1] - xs[0], xs[2] - xs[0]), (ys[1] - ys[0], ys[2] - ys[0])
        twice = 2 * (bx * cy - by * cx)
        if twice:
            b, c = bx * bx + by * by, cx * cx + cy * cy
            x, y = (cy * b - by * c) / twice, (bx * c - cx * b) / twice
            radius = (x * x + y * y) ** 0.5
            return {"name": "circle", "cx": x + xs[0], "cy": y + ys[0], "r": radius}
    return {"name": f"shape {kind} of VIA 3 with {len(numbers)} numbers"}


def _names(values: Any, attributes: Any) -> Any:
    """`region_attributes` of VIA 2: names of attributes and of their chosen options."""
    if not isinstance(values, dict):
        return values
    attributes = attributes if isinstance(attributes, dict) else {}
    found = {}
    for key, value in values.items():
        known = attributes.get(key) if isinstance(attributes.get(key), dict) else {}
        options, name = known.get("options"), known.get("aname")
        chosen = value
        if isinstance(options, dict) and options and isinstance(value, str):
            # A checkbox lists the ids of all that are ticked.
            ticked = [options.get(part, part) for part in value.split(",") if part]
            texts = all(isinstance(option, str) for option in ticked)
            several = dict.fromkeys(ticked, True) if texts else value
            chosen = ticked[0] if len(ticked) == 1 else several if ticked else ""
        found[name if isinstance(name, str) and name else key] = chosen
    return found
