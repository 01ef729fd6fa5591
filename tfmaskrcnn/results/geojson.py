"""GeoJSON of QuPath: a file for each image, with holes."""

import json
import uuid
from typing import Any, Dict, Iterator, List

import numpy as np

from tfmaskrcnn.results.image_result import ImageResult, ResultOptions
from tfmaskrcnn.results.outlined import Outlined, flat, outlined, result_path
from tfmaskrcnn.results.polygons_of_masks import MaskPolygon
from tfmaskrcnn.support.files import replaced


def write(result: ImageResult, folder: str, options: ResultOptions) -> None:
    """Write `<stem>.geojson`: an annotation for each object, in pixels of the full image.

    Polygons keep their holes; objects of several parts are multi-polygons.
    """
    features = [
        feature for one in outlined(result, options) for feature in _features(one, result.file_name)
    ]
    with replaced(result_path(folder, result, ".geojson"), "w") as file:
        file.write(json.dumps({"type": "FeatureCollection", "features": features}))


def _features(one: Outlined, file_name: str) -> Iterator[Dict[str, Any]]:
    polygons = [_rings(part) for part in one.polygons]
    if not polygons:
        x1, y1, x2, y2 = one.box
        polygons = [[[[x1, y1], [x2, y1], [x2, y2], [x1, y2], [x1, y1]]]]
    single = len(polygons) == 1
    geometry = {
        "type": "Polygon" if single else "MultiPolygon",
        "coordinates": polygons[0] if single else polygons,
    }
    yield _feature(one, file_name, "", geometry)
    if one.keypoints:
        points = [[x, y] for _, x, y in one.keypoints]
        geometry = {"type": "MultiPoint", "coordinates": points}
        yield _feature(one, file_name, " keypoints", geometry)


def _feature(one: Outlined, file_name: str, what: str, geometry: Dict[str, Any]) -> Dict[str, Any]:
    place = f"{file_name}#{one.number}{what}".encode("utf-8", "backslashreplace").decode()
    return {
        "type": "Feature",
        # The same for the same object, so that QuPath tells who comes twice.
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, place)),
        "geometry": geometry,
        "properties": {
            "objectType": "annotation",
            "name": f"{one.number}{what}",
            "classification": {"name": one.name},
            # As a list, which versions before 0.4 read too.
            "measurements": [{"name": "score", "value": one.score}],
        },
    }


def _rings(part: MaskPolygon) -> List[List[List[float]]]:
    """Closed rings: the outer one, then the holes."""
    return [_closed(ring) for ring in (part.outer, *part.holes)]


def _closed(ring: np.ndarray) -> List[List[float]]:
    values = flat(np.concatenate([ring, ring[:1]]))
    return [list(pair) for pair in zip(values[::2], values[1::2])]
