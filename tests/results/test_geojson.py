"""`results/geojson.py`, by way of the importer and by the format's own rules (RFC 7946)."""

import json

import numpy as np

from helpers.found_shapes import NAMES, OPTIONS, assert_same_objects, results, trains
from tfmaskrcnn.data.importers import from_qupath
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.results.geojson import write
from tfmaskrcnn.results.polygons_of_masks import ring_area


def saved(folder, made):
    for result in made:
        write(result, str(folder / "geojson"), OPTIONS)
    return str(folder / "geojson")


def features(folder, name):
    return json.loads((folder / "geojson" / name).read_text())["features"]


def test_objects_come_back_with_their_classes(tmp_path):
    made = results(tmp_path)
    found = from_qupath(saved(tmp_path, made), str(tmp_path / "images"), NAMES)
    assert_same_objects(found.coco, made)  # holes and parts too
    assert len(trains(found.coco, tmp_path, tmp_path / "images").records) == 3


def test_rings_are_closed_and_holes_go_the_other_way(tmp_path):
    saved(tmp_path, results(tmp_path))
    found = features(tmp_path, "b/one.geojson")
    kinds = [feature["geometry"]["type"] for feature in found]
    assert kinds == ["Polygon", "Polygon", "MultiPolygon", "MultiPolygon", "Polygon", "Polygon"]
    assert len({feature["id"] for feature in found}) == 6
    for feature in found:
        assert feature["properties"]["classification"]["name"] in NAMES
        assert feature["properties"]["measurements"][0]["name"] == "score"
        polygons = feature["geometry"]["coordinates"]
        for rings in [polygons] if feature["geometry"]["type"] == "Polygon" else polygons:
            areas = [ring_area(np.array(ring[:-1], float)) for ring in rings]
            assert all(ring[0] == ring[-1] for ring in rings)
            assert areas[0] > 0 and all(area < 0 for area in areas[1:])


def test_boxes_and_keypoints_are_objects_of_the_same_class(tmp_path):
    points = np.array([[[10.5, 20.25, 0.9], [12, 22, 0.8]]])
    found = Instances([[5, 8, 30, 40]], [0.7], [2], (90, 120), class_names=NAMES, keypoints=points)
    saved(tmp_path, results(tmp_path, found, ["a.png"]))
    box, joints = features(tmp_path, "a.geojson")
    assert box["geometry"]["coordinates"] == [[[8, 5], [40, 5], [40, 30], [8, 30], [8, 5]]]
    assert joints["geometry"] == {"type": "MultiPoint", "coordinates": [[20.25, 10.5], [22, 12]]}
    assert box["properties"]["classification"] == joints["properties"]["classification"]
