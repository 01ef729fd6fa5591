"""A COCO data set of what was found: to train on, to correct, or to compare."""

import json
from typing import Any, Dict, Iterable, List

import numpy as np

from tfmaskrcnn.ops.paste import Window, window_rle
from tfmaskrcnn.results.image_result import ImageResult, ResultOptions
from tfmaskrcnn.results.outlined import (
    Outlined,
    categories,
    category_id,
    flat,
    highest_class,
    keypoint_names,
    outlined,
)
from tfmaskrcnn.results.result_formats import set_path
from tfmaskrcnn.support.files import replaced


def write(results: Iterable[ImageResult], folder: str, options: ResultOptions) -> None:
    """Write `coco.json`: images, annotations with scores, the training's categories.

    Objects are polygons, or an RLE where they have holes; area and bbox are those of the mask.
    Every object has a number of its own and besides `object`, that of pictures and tables.
    """
    images: List[Dict[str, Any]] = []
    joints: Dict[str, Any] = {}
    with replaced(set_path("coco", folder), "w") as file:
        file.write('{"annotations": [')
        count = highest = 0
        for result in results:
            highest = max(highest, highest_class(result))
            height, width = result.found.size
            image = {"id": result.image_id, "file_name": result.file_name}
            images.append({**image, "height": height, "width": width})
            if result.found.keypoints is not None:
                joints = {
                    "keypoints": list(keypoint_names(result)),
                    "skeleton": [[a + 1, b + 1] for a, b in result.found.skeleton],
                }
            for one in outlined(result, options):
                count += 1
                entry = {"id": count, "image_id": result.image_id, **_annotation(one, result)}
                entry["category_id"] = category_id(options, one.class_index)
                file.write((",\n" if count > 1 else "\n") + json.dumps(entry))
        rows = categories(options, highest, exact=True)
        classes = [{"id": k, "name": name, **joints} for k, name in rows]
        file.write(f'\n], "images": {json.dumps(images)}, "categories": {json.dumps(classes)}}}\n')


def _annotation(one: Outlined, result: ImageResult) -> Dict[str, Any]:
    x1, y1, x2, y2 = one.box
    entry: Dict[str, Any] = {"iscrowd": 0, "score": one.score, "object": one.number}
    entry.update(bbox=_xywh(x1, y1, x2, y2), area=round((x2 - x1) * (y2 - y1), 2))
    if one.window is not None:
        entry.update(_of_mask(one, one.window, result))
    if one.keypoints:
        offset = result.found.keypoint_offset
        points = [[round(x - offset, 2), round(y - offset, 2), 2] for _, x, y in one.keypoints]
        entry["keypoints"] = [v for point in points for v in point]
        entry["num_keypoints"] = len(points)
    return entry


def _of_mask(one: Outlined, window: Window, result: ImageResult) -> Dict[str, Any]:
    area = int(np.count_nonzero(window.bitmap))
    if one.has_hole:
        h, w = window.bitmap.shape
        rle = window_rle(window, *result.found.size)
        return {"bbox": [window.left, window.top, w, h], "area": area, "segmentation": rle}
    points = np.concatenate([part.outer for part in one.polygons])
    bounds = _xywh(*points.min(axis=0), *points.max(axis=0))
    rings = [flat(part.outer) for part in one.polygons]
    return {"bbox": bounds, "area": area, "segmentation": rings}


def _xywh(x1: float, y1: float, x2: float, y2: float) -> List[float]:
    return flat(np.array([x1, y1, x2 - x1, y2 - y1]))
