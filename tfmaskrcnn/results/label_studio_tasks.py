"""Label Studio: tasks with predictions, and the labelling configuration that they need."""

import json
import os
from typing import Any, Dict, Iterable, Iterator, List, Tuple
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from tfmaskrcnn.results.brush_strokes import brush_strokes, fits_brush
from tfmaskrcnn.results.image_result import ImageResult, ResultOptions
from tfmaskrcnn.results.outlined import (
    Outlined,
    categories,
    highest_class,
    joined,
    keypoint_names,
    outlined,
    shares,
)
from tfmaskrcnn.results.result_formats import set_path
from tfmaskrcnn.support.files import replaced, writable_file

# Where Label Studio serves files of its LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT.
_LOCAL = "/data/local-files/?d="
# A kind of region, and the tag of the configuration that it comes from.
_TAGS = {
    "polygonlabels": ("polygon", "PolygonLabels"),
    "brushlabels": ("brush", "BrushLabels"),
    "rectanglelabels": ("rectangle", "RectangleLabels"),
    "keypointlabels": ("keypoint", "KeyPointLabels"),
}


def write(results: Iterable[ImageResult], folder: str, options: ResultOptions) -> None:
    """Write `label-studio/tasks.json` to import, and `label-studio/config.xml` for the project.

    A region is a polygon, a brush where the object has parts or holes, or a rectangle where there
    is no mask. Addresses of images start at the root of Label Studio's local files.
    """
    tasks = set_path("label-studio", folder)
    joints: Tuple[str, ...] = ()
    highest = 0
    with replaced(writable_file(tasks), "w") as file:
        file.write("[")
        for i, result in enumerate(results):
            highest = max(highest, highest_class(result))
            if result.found.keypoints is not None:
                joints = keypoint_names(result)
            file.write(("," if i else "") + "\n" + json.dumps(_task(result, options)))
        file.write("\n]\n")
    with replaced(os.path.join(os.path.dirname(tasks), "config.xml"), "w") as file:
        file.write(_config([name for _, name in categories(options, highest)], joints))


def _task(result: ImageResult, options: ResultOptions) -> Dict[str, Any]:
    regions = [
        region for one in outlined(result, options) for region in _regions(one, result.found.size)
    ]
    scores = result.found.scores
    prediction = {
        "model_version": "tfmaskrcnn",
        "score": round(float(scores.mean()), 6) if len(scores) else 0.0,
        "result": regions,
    }
    name = result.file_name
    address = name if "://" in name else _LOCAL + quote(name, safe="/", errors="replace")
    return {"data": {"image": address}, "predictions": [prediction]}


def _regions(one: Outlined, size: Tuple[int, int]) -> Iterator[Dict[str, Any]]:
    """An object's region and its keypoints, which belong to it; places in percent of the image."""
    height, width = size
    percent = 100 / np.array([width, height], np.float64)
    key = f"object-{one.number}"
    value: Dict[str, Any]
    if one.window is None:
        (x, y), (w, h) = np.reshape(one.box, (2, 2)) * percent
        sides = {"width": round(w - x, 6), "height": round(h - y, 6)}
        kind, value = "rectanglelabels", {"x": round(x, 6), "y": round(y, 6), **sides}
        value["rotation"] = 0
    elif (one.has_hole or len(one.polygons) > 1) and fits_brush(height, width):
        kind = "brushlabels"
        value = {"format": "rle", "rle": brush_strokes(one.window, height, width)}
    else:
        points = np.round(100 * shares(joined(one.polygons), size), 6).tolist()
        kind, value = "polygonlabels", {"points": points, "closed": True}
    yield {"id": key, **_region(kind, value, one.name, size), "score": one.score}
    for name, x, y in one.keypoints:
        place = np.round(np.array([x, y]) * percent, 6).tolist()
        value = {"x": place[0], "y": place[1], "width": 0.5}
        yield {
            "id": f"{key}-{name}",
            **_region("keypointlabels", value, name, size),
            "parentID": key,
        }


def _region(kind: str, value: Dict[str, Any], label: str, size: Tuple[int, int]) -> Dict[str, Any]:
    return {
        "type": kind,
        "from_name": _TAGS[kind][0],
        "to_name": "image",
        "original_width": size[1],
        "original_height": size[0],
        "image_rotation": 0,
        "value": {**value, kind: [label]},
    }


def _config(names: List[str], joints: Tuple[str, ...]) -> str:
    lines = ["<View>", '  <Image name="image" value="$image" zoom="true"/>']
    for kind, (tag_name, tag) in _TAGS.items():
        labels = joints if kind == "keypointlabels" else names
        if labels:
            lines.append(f'  <{tag} name="{tag_name}" toName="image">')
            lines += [f"    <Label value={quoteattr(name)}/>" for name in labels]
            lines.append(f"  </{tag}>")
    return "\n".join([*lines, "</View>", ""])
