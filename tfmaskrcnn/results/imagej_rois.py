"""`imagej/`: regions for ImageJ's ROI Manager, a zip file for each image."""

import math
import os
import zipfile
from typing import Iterator, List

import numpy as np

from tfmaskrcnn.ops.region_measures import tight
from tfmaskrcnn.results.image_result import ImageResult, ResultOptions, stem_path
from tfmaskrcnn.results.object_files import object_name
from tfmaskrcnn.results.polygons_of_masks import MaskPolygon
from tfmaskrcnn.support.extras import needed
from tfmaskrcnn.support.files import replaced, writable_folder

_MOVE, _LINE, _CLOSE = 0.0, 1.0, 4.0  # Java's PathIterator
_VERSION = 228  # of the format: the first with groups; roifile's own default depends on its release
_MOST_GROUPS = 255  # in files that all versions of ImageJ read
_LARGEST = 30_000  # pixels, up to which whole numbers are safe in 16 bits


def write(result: ImageResult, folder: str, options: ResultOptions) -> None:
    """Write `<stem>.zip` with a region for each object, "0012_nucleus", its class as its group.

    An object in one piece is a polygon, one in several pieces or with holes a composite; of boxes
    alone they are rectangles. `options.tolerance` 0 follows the pixels exactly. Without objects
    there is no file, because ImageJ takes an empty zip for a damaged one.

    Raises:
        InputError: roifile is not installed.
    """
    path = stem_path(folder, result.stem, ".zip")
    if not len(result.found):
        if os.path.isfile(path):  # of an earlier prediction
            os.remove(path)
        return
    writable_folder(os.path.dirname(path) or ".")
    with replaced(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for roi in regions_of(result, options):
            # With a date of its own: the same objects are the same file.
            archive.writestr(zipfile.ZipInfo(f"{roi.name}.roi"), roi.tobytes())


def regions_of(result: ImageResult, options: ResultOptions) -> Iterator:
    """A `roifile.ImagejRoi` for each object that has a pixel in the image."""
    found = result.found
    windows = found.windows() if found.has_masks else (None for _ in found.boxes)
    for i, window in enumerate(windows):
        parts = [] if window is None else options.polygons(tight(window))
        if window is not None and not parts:
            continue
        if window is None:
            roi = _rectangle(found.boxes[i])
        elif len(parts) == 1 and not parts[0].holes:
            roi = _polygon(parts[0].outer)
        else:
            roi = _composite(parts)
        roi.name = object_name(int(found.numbers[i]), found.names[i])
        roi.group = min(int(found.classes[i]), _MOST_GROUPS)
        yield roi


def _polygon(points: np.ndarray):
    """Of [n, 2] xy pixels; whole numbers are kept as such, which ImageJ draws along the pixels."""
    roifile = _roifile()
    whole = np.array_equal(points, np.round(points)) and points.max(initial=0) < _LARGEST
    roi = roifile.ImagejRoi.frompoints(points.astype(np.int32 if whole else np.float32))
    roi.version, roi.roitype = _VERSION, roifile.ROI_TYPE.POLYGON
    roi.options &= roifile.ROI_OPTIONS.SUB_PIXEL_RESOLUTION
    return roi


def _composite(parts: List[MaskPolygon]):
    path = []
    for ring in (ring for part in parts for ring in (part.outer, *part.holes)):
        for place, (x, y) in enumerate(ring.tolist()):
            path += [_LINE if place else _MOVE, x, y]
        path.append(_CLOSE)
    points = np.concatenate([part.outer for part in parts])
    roi = _bounded(*points.min(axis=0), *points.max(axis=0))
    roi.multi_coordinates = np.array(path, np.float32)
    roi.shape_roi_size = len(path)
    return roi


def _rectangle(box: np.ndarray):
    """Of a yxyx box, to a fraction of a pixel."""
    y1, x1, y2, x2 = box.tolist()
    roi = _bounded(x1, y1, x2, y2)
    roi.options = _roifile().ROI_OPTIONS.SUB_PIXEL_RESOLUTION
    roi.xd, roi.yd, roi.widthd, roi.heightd = x1, y1, x2 - x1, y2 - y1
    return roi


def _bounded(x1: float, y1: float, x2: float, y2: float):
    """A rectangle of whole pixels around two corners."""
    roifile = _roifile()
    roi = roifile.ImagejRoi()
    roi.version, roi.roitype = _VERSION, roifile.ROI_TYPE.RECT
    roi.left, roi.top = math.floor(x1), math.floor(y1)
    roi.right, roi.bottom = math.ceil(x2), math.ceil(y2)
    return roi


def _roifile():
    return needed("roifile", "roifile", "--save imagej needs", "formats")
