"""Label Studio: its export "JSON"; polygons, rectangles, ellipses and brush strokes of images."""

import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from tfmaskrcnn.data.importers.brush import brush_mask
from tfmaskrcnn.data.importers.building import CocoBuilder, Imported
from tfmaskrcnn.data.importers.fields import number, shown, whole
from tfmaskrcnn.data.importers.found_objects import Shape
from tfmaskrcnn.data.importers.outlines import ellipse, rectangle, turned
from tfmaskrcnn.data.importers.source_files import existing_file, existing_folder, other_format
from tfmaskrcnn.data.importers.task_images import task_image
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support.files import read_json
from tfmaskrcnn.support.progress_bar import Progress, counted

_NO_AREA = "points, lines and other marks without an area"
_NOT_FIRST = "of a task's second and further annotations"


class _Region(NamedTuple):
    value: Dict[str, Any]  # geometry in percent of the image
    labels: List[Any]
    entry: Dict[str, Any]  # a result, with the image's size


def from_label_studio(
    path: str,
    images: Optional[str] = None,
    classes: Optional[Sequence[str]] = None,
    skip_invalid: bool = False,
    progress: Optional[Progress] = None,
) -> Imported:
    """The regions of each task's first annotation that was not cancelled.

    Args:
        path: the export "JSON" (not "JSON-MIN").
        images: the folder of the images; None for `images` beside `path`, or else its folder. The
            path, the address and the letters that Label Studio puts before a name are taken off
            where the file is found without them.
        classes: these only, in this order; None for all, sorted.
        skip_invalid: leave wrong regions out and count them, instead of stopping.
        progress: called with (images done, images in all).

    Raises:
        InputError: names the file, the task and the region.
    """
    path = existing_file(path, "the export 'JSON' of Label Studio")
    beside = os.path.join(os.path.dirname(path), "images")
    if images is None:
        images = beside if os.path.isdir(beside) else os.path.dirname(path) or "."
    images = existing_folder(images, "image folder")
    builder, tasks, found = CocoBuilder(images, classes, skip_invalid), _tasks(path), []
    for n, task in enumerate(tasks):
        where = f"{path}: task {shown(task.get('id', n))}"
        annotations = _annotations(task, where)
        if annotations:
            found.append((task_image(task, images, where), n, annotations, where))
    if tasks and not found:
        raise InputError(
            f"{path}: none of its {len(tasks)} tasks has an annotation that was not cancelled; "
            "predictions and drafts are not read."
        )
    for name, _, annotations, where in counted(sorted(found), progress):
        _add_task(builder, name, annotations, where)
    if len(found) < len(tasks):
        builder.say(f"{len(tasks) - len(found)} tasks without an annotation are left out")
    return builder.result(path)


def _tasks(path: str) -> List[Dict[str, Any]]:
    raw = read_json(path)
    tasks = [raw] if isinstance(raw, dict) else raw
    if not isinstance(tasks, list) or not all(isinstance(t, dict) and "data" in t for t in tasks):
        wanted = "wanted a list of tasks with 'data' and 'annotations'"
        other = other_format(raw, path)
        raise InputError(other or f"{path} is no JSON of Label Studio: {wanted}.")
    return tasks


def _annotations(task: Dict[str, Any], where: str) -> List[Dict[str, Any]]:
    """Those that were not cancelled."""
    found = task.get("annotations", task.get("completions"))
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(a, dict) for a in found):
        raise InputError(f"{where}: its 'annotations' are {quoted(found)}, wanted a list.")
    for entry in found:
        if not isinstance(entry.get("result"), list):
            result = quoted(entry.get("result"))
            raise InputError(f"{where}: the 'result' of an annotation is {result}, wanted a list.")
    return [a for a in found if not a.get("was_cancelled")]


def _add_task(builder: CocoBuilder, name: str, annotations: List[Dict], where: str) -> None:
    first, *others = [annotation["result"] for annotation in annotations]
    for result in others:
        for _ in result:
            builder.leave_out(_NOT_FIRST)
    regions, no_area = _regions(first)
    size = builder.image(name, where, _size(regions, where))
    for _ in range(no_area):
        builder.leave_out(_NO_AREA)
    for key, region in regions.items():
        place = f"{where}: region {shown(key)}"
        try:
            shape, label = _shape(region, size), _label(region, builder.only_class)
        except (KeyError, ValueError) as error:
            reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            builder.wrong(f"{place}: {reason}.")
            continue
        builder.add(label, shape, place)


def _regions(results: List[Any]) -> Tuple[Dict[Any, _Region], int]:
    """Regions by their ids, and the number of those without an area.

    The class may stand in a result of its own, of the same id.
    """
    regions: Dict[Any, _Region] = {}
    flat = set()
    for n, entry in enumerate(results):
        value = entry.get("value") if isinstance(entry, dict) else None
        if isinstance(entry, dict) and entry.get("type") == "relation":
            continue  # an arrow between two regions, which has no value
        if not isinstance(value, dict):
            regions[f"number {n}"] = _Region({}, [], {"odd": entry})
            continue
        key = entry.get("id")
        key = key if isinstance(key, str) and key else f"number {n}"
        kind = entry.get("type")
        labels = [v for k, v in value.items() if k.endswith("labels") and isinstance(v, list)]
        labels = [label for listed in labels for label in listed]
        if not _is_area(value):
            if "x" in value or "vertices" in value or kind in ("keypointlabels", "vectorlabels"):
                flat.add(key)
            continue  # else of the whole image, or a text
        known = regions[key].labels if key in regions else []
        regions[key] = _Region(value, known + [v for v in labels if v not in known], entry)
    return regions, len(flat - set(regions))


def _is_area(value: Dict[str, Any]) -> bool:
    return any(key in value for key in ("points", "rle", "radiusX")) or (
        "width" in value and "height" in value and "x" in value
    )


def _size(regions: Dict[Any, _Region], where: str) -> Optional[Tuple[int, int]]:
    """(height, width) that the regions state; None if none does."""
    found = None
    for region in regions.values():
        sides = [region.entry.get(key) for key in ("original_height", "original_width")]
        if None in sides:
            continue
        try:
            size = tuple(whole(v, "its original size") for v in sides)
        except ValueError as error:
            raise InputError(f"{where}: {error}.") from None
        if found is not None and size != found:
            raise InputError(f"{where} is of an image of {found} and of {size} pixels.")
        found = size
    return found


def _label(region: _Region, only_class: Optional[str]) -> Any:
    if len(region.labels) > 1:
        raise ValueError(f"it has the labels {quoted(region.labels)}, wanted one")
    return region.labels[0] if region.labels else only_class


def _shape(region: _Region, size: Tuple[int, int]) -> Shape:
    """The outline in pixels, or the mask of a brush."""
    value, (height, width) = region.value, size
    if "odd" in region.entry:
        raise ValueError(f"it is {quoted(region.entry['odd'])}, wanted an object with 'value'")
    if region.entry.get("image_rotation"):
        turn = quoted(region.entry["image_rotation"])
        raise ValueError(f"its image was turned by {turn} degrees while drawing, which is not read")
    if "rle" in value:
        return brush_mask(value["rle"], height, width)
    percent = np.array([width, height]) / 100
    if "points" in value:
        return [_points(value["points"], percent)]
    rotation = number(value.get("rotation") or 0.0, "rotation")
    corner = np.array([number(value[key], key) for key in "xy"]) * percent
    keys = ("radiusX", "radiusY") if "radiusX" in value else ("width", "height")
    sides = np.array([number(value[key], key) for key in keys]) * percent
    if (sides <= 0).any():
        raise ValueError(f"its {' and '.join(keys)} must be above 0")
    if "radiusX" in value:
        return [ellipse(*corner, *sides, np.deg2rad(rotation % 360))]
    points = np.reshape(rectangle(*corner, *(corner + sides)), (-1, 2))
    return [turned(points, corner, rotation).reshape(-1).tolist()]  # about its first corner


def _points(points: Any, percent: np.ndarray) -> List[float]:
    if not isinstance(points, list) or not all(isinstance(p, list) and len(p) == 2 for p in points):
        raise ValueError(f"its points are {quoted(points)}, wanted a list of [x, y]")
    flat = [number(v, "a coordinate") for point in points for v in point]
    return (np.reshape(flat, (-1, 2)) * percent).reshape(-1).tolist()
