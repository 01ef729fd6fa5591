"""The formats in which results can be saved, by the names of `predict --save`."""

import importlib
import os
from typing import Callable, Dict, NamedTuple, Optional

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.extras import needed


class Format(NamedTuple):
    """How one format is written.

    Of the scope "image", the function is called as `write(result, folder, options)` for each
    `ImageResult` and writes files of its own, whose names begin with `result.stem`, into `folder`
    (`OUT/<name>/`). Of the scope "set" it is called as `write(results, folder, options)` with an
    iterable of all `ImageResult`s (without pixels) and `folder` OUT, and replaces its file there
    as a whole; it may be called again when there are more results. Both may return nothing.
    """

    scope: str
    where: str  # module and function, "labelme:write"
    needs_image: bool = False
    package: Optional[str] = None  # module that has to be installed
    extra: str = "formats"  # of this package, that installs it
    file: str = ""  # of the scope "set": what it replaces in OUT, see `set_path`


FORMATS: Dict[str, Format] = {
    "crops": Format("image", "crops:write", needs_image=True),
    "masks": Format("image", "mask_files:write"),
    "labels": Format("image", "label_images:write"),
    "coco": Format("set", "coco_set:write", file="coco.json"),
    "labelme": Format("image", "labelme_files:write"),
    "cvat": Format("set", "cvat_file:write", file="cvat.xml"),
    "via": Format("set", "via_project:write", file="via_project.json"),
    "yolo": Format("set", "yolo_labels:write", file="yolo/data.yaml"),
    "label-studio": Format("set", "label_studio_tasks:write", file="label-studio/tasks.json"),
    "geojson": Format("image", "geojson:write"),
    "imagej": Format("image", "imagej_rois:write", package="roifile"),
    "kaggle": Format("set", "kaggle_csv:write", file="kaggle.csv"),
}


def writer(name: str) -> Callable:
    """The function that writes the format `name`, see `Format`.

    Raises:
        InputError: there is no such format, or a package that it needs is not installed.
    """
    if name not in FORMATS:
        raise InputError(f"There is no format {name!r}; wanted {', '.join(FORMATS)}.")
    chosen = FORMATS[name]
    if chosen.package:
        needed(chosen.package, chosen.package, f"--save {name} needs", chosen.extra)
    module, function = chosen.where.split(":")
    return getattr(importlib.import_module(f"tfmaskrcnn.results.{module}"), function)


def set_path(name: str, folder: str) -> str:
    """Where a format of the scope "set" has its file in OUT."""
    return os.path.join(folder, *FORMATS[name].file.split("/"))
