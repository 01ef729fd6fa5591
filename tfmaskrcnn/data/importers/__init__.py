"""From what annotation tools write to the one COCO form: one module a source.

found = from_via("via.json", "images/", attribute="kind")
print(found.summary())
found.write("train.json")
"""

import inspect
import os
from typing import Optional, Sequence

from tfmaskrcnn.data.importers.building import Imported
from tfmaskrcnn.data.importers.cvat import from_cvat
from tfmaskrcnn.data.importers.label_studio import from_label_studio
from tfmaskrcnn.data.importers.labelme import from_labelme
from tfmaskrcnn.data.importers.matterport_dataset import from_matterport
from tfmaskrcnn.data.importers.png_masks import from_png_masks
from tfmaskrcnn.data.importers.qupath import from_qupath
from tfmaskrcnn.data.importers.tfds import from_tfds
from tfmaskrcnn.data.importers.via import from_via
from tfmaskrcnn.data.importers.voc import from_voc
from tfmaskrcnn.data.importers.yolo import from_yolo
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support.files import writable_file
from tfmaskrcnn.support.progress_bar import Progress
from tfmaskrcnn.support.storage import same_place

# What the command line reads. The other two take Python objects.
SOURCES = {
    "via": from_via,
    "labelme": from_labelme,
    "cvat": from_cvat,
    "voc": from_voc,
    "png-masks": from_png_masks,
    "yolo": from_yolo,
    "label-studio": from_label_studio,
    "qupath": from_qupath,
}

__all__ = ["SOURCES", "Imported", "import_data", "from_matterport", "from_tfds"]
__all__ += [function.__name__ for function in SOURCES.values()]


def import_data(
    source: str,
    path: str,
    out: str,
    images: Optional[str] = None,
    classes: Optional[Sequence[str]] = None,
    skip_invalid: bool = False,
    progress: Optional[Progress] = None,
    **options: Optional[str],
) -> Imported:
    """Read `path` and write it as COCO instance JSON.

    Args:
        source: one of `SOURCES`, which say what `path` is.
        path: file or folder.
        out: the JSON to write.
        images, classes, skip_invalid, progress: see the source.
        options: `attribute` (via) and `split` (voc, yolo); None is the source's default.

    Returns:
        What was written.

    Raises:
        InputError: names the file, the entry, the value found and the value wanted.
    """
    if source not in SOURCES:
        raise InputError(f"The source {quoted(source)} must be one of {', '.join(SOURCES)}.")
    function = SOURCES[source]
    given = {key: value for key, value in options.items() if value is not None}
    for key in given:
        if key not in inspect.signature(function).parameters:
            raise InputError(f"--{key} has no meaning for {source}.")
    if same_place(writable_file(out), path):
        raise InputError(f"{out} is the file to import; give the new one another name.")
    found = function(os.fspath(path), images, classes, skip_invalid, progress, **given)
    found.write(out)
    return found
