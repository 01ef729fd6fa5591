"""VGG Image Annotator 2: one project of polygons."""

import json
import os
from typing import Any, Dict, Iterable, List

from tfmaskrcnn.results.image_result import ImageResult, ResultOptions
from tfmaskrcnn.results.outlined import (
    Outlined,
    categories,
    flat,
    highest_class,
    joined,
    outlined,
)
from tfmaskrcnn.results.result_formats import set_path
from tfmaskrcnn.support.files import replaced

ATTRIBUTE = "class"  # of a region
# What VIA 2 has when it starts; it does not open a project without them.
_LOOK = {
    "annotation_editor_height": 25,
    "annotation_editor_fontsize": 0.8,
    "leftsidebar_width": 18,
    "image_grid": {
        "img_height": 80,
        "rshape_fill": "none",
        "rshape_fill_opacity": 0.3,
        "rshape_stroke": "yellow",
        "rshape_stroke_width": 2,
        "show_region_shape": True,
        "show_image_policy": "all",
    },
    "image": {
        "region_label": ATTRIBUTE,
        "region_color": ATTRIBUTE,
        "region_label_font": "10px Sans",
        "on_image_annotation_editor_placement": "NEAR_REGION",
    },
}


def write(results: Iterable[ImageResult], folder: str, options: ResultOptions) -> None:
    """Write `via_project.json`: a polygon for each object, a rectangle where there is no mask.

    VIA has neither parts nor holes: these are joined to the outline by lines to and fro, which
    enclose nothing.
    """
    listed, folders, highest = [], set(), 0
    with replaced(set_path("via", folder), "w") as file:
        file.write('{"_via_data_format_version": "2.0.10", "_via_img_metadata": {')
        for result in results:
            highest = max(highest, highest_class(result))
            size = os.path.getsize(result.path) if _is_file(result) else -1
            key = f"{result.file_name}{size}"
            regions = [_region(one) for one in outlined(result, options)]
            entry = {"filename": result.file_name, "size": size, "regions": regions}
            entry["file_attributes"] = {}
            file.write(f"{',' * bool(listed)}\n{json.dumps(key)}: {json.dumps(entry)}")
            listed.append(key)
            folders.add(_image_folder(result))
        options_of_class = {
            "type": "dropdown",
            "description": "",
            "options": {name: "" for _, name in categories(options, highest)},
            "default_options": {},
        }
        rest = {
            "_via_settings": _settings(folders),
            "_via_attributes": {"region": {ATTRIBUTE: options_of_class}, "file": {}},
            "_via_image_id_list": listed,
        }
        file.write("\n}, " + json.dumps(rest)[1:] + "\n")


def _region(one: Outlined) -> Dict[str, Any]:
    shape: Dict[str, Any]
    if one.window is None:
        x1, y1, x2, y2 = one.box
        width, height = round(x2 - x1, 2), round(y2 - y1, 2)
        shape = {"name": "rect", "x": x1, "y": y1, "width": width, "height": height}
    else:
        values: List[float] = flat(joined(one.polygons))
        shape = {"name": "polygon", "all_points_x": values[::2], "all_points_y": values[1::2]}
    return {"shape_attributes": shape, "region_attributes": {ATTRIBUTE: one.name}}


def _settings(folders: set) -> Dict[str, Any]:
    """VIA's settings; images of one folder are found without asking."""
    only = folders.pop() if len(folders) == 1 else ""
    core = {"buffer_size": 18, "filepath": {}, "default_filepath": only or ""}
    return {"ui": _LOOK, "core": core, "project": {"name": "predictions"}}


def _is_file(result: ImageResult) -> bool:
    return result.path is not None and os.path.isfile(result.path)


def _image_folder(result: ImageResult) -> str:
    """The folder that an image's name starts from, with a "/"; "" if there is none."""
    path = os.path.abspath(result.path).replace(os.sep, "/") if result.path is not None else ""
    return path[: -len(result.file_name)] if path.endswith("/" + result.file_name) else ""
