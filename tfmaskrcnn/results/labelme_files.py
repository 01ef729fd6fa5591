"""LabelMe: a JSON file for each image."""

import base64
import contextlib
import io
import json
import os
from typing import Any, Dict, Iterator, List

import numpy as np
from PIL import Image

from tfmaskrcnn.ops.paste import Window
from tfmaskrcnn.results.image_result import ImageResult, ResultOptions
from tfmaskrcnn.results.outlined import Outlined, flat, outlined, result_path
from tfmaskrcnn.support.files import replaced

_VERSION = "5.5.0"  # the first LabelMe that has masks is 5.3


def write(result: ImageResult, folder: str, options: ResultOptions) -> None:
    """Write `<stem>.json`: polygons; masks for objects with holes; rectangles without a mask.

    Parts of an object, and its keypoints, share a `group_id`, its number. `imagePath` leads from
    the file to the image, so that LabelMe opens it where it lies.
    """
    path = result_path(folder, result, ".json")
    image = result.file_name
    if result.path is not None:
        with contextlib.suppress(ValueError):  # no way leads to another drive
            image = os.path.relpath(result.path, os.path.dirname(path)).replace(os.sep, "/")
    height, width = result.found.size
    content = {
        "version": _VERSION,
        "flags": {},
        "shapes": [shape for one in outlined(result, options) for shape in _shapes(one)],
        "imagePath": image,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }
    with replaced(path, "w") as file:
        file.write(json.dumps(content, indent=1))


def _shapes(one: Outlined) -> Iterator[Dict[str, Any]]:
    """An object's shapes; LabelMe keeps keys that it does not know, such as `score`."""
    several = len(one.polygons) > 1 and not one.has_hole
    common = {
        "group_id": one.number if several or one.keypoints else None,
        "description": "",
        "flags": {},
        "score": one.score,
    }
    if one.window is None:
        x1, y1, x2, y2 = one.box
        yield {**_shape(one.name, "rectangle", [[x1, y1], [x2, y2]]), **common}
    elif one.has_hole:
        window = one.window
        h, w = window.bitmap.shape
        ends = [[window.left, window.top], [window.left + w - 1, window.top + h - 1]]
        yield {**_shape(one.name, "mask", ends), **common, "mask": _png(window)}
    else:
        for part in one.polygons:
            yield {**_shape(one.name, "polygon", _pairs(part.outer)), **common}
    for name, x, y in one.keypoints:
        yield {**_shape(name, "point", [[x, y]]), **common}


def _shape(label: str, kind: str, points: List[List[float]]) -> Dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, "mask": None}


def _pairs(ring: np.ndarray) -> List[List[float]]:
    values = flat(ring)
    return [list(pair) for pair in zip(values[::2], values[1::2])]


def _png(window: Window) -> str:
    """A black and white PNG in base64, as LabelMe keeps masks."""
    file = io.BytesIO()
    Image.fromarray(window.bitmap).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")
