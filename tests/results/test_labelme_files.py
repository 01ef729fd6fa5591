"""`results/labelme_files.py`, by way of the importer."""

import json

import numpy as np

from helpers.found_shapes import NAMES, OPTIONS, assert_same_objects, found_of, results, trains
from tfmaskrcnn.data.importers import from_labelme
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.results.labelme_files import write


def saved(folder, made):
    for result in made:
        write(result, str(folder / "labelme"), OPTIONS)
    return str(folder / "labelme")


def shapes(folder, name):
    return json.loads((folder / "labelme" / name).read_text())["shapes"]


def test_objects_come_back_with_their_classes(tmp_path):
    made = results(tmp_path)
    found = from_labelme(saved(tmp_path, made), str(tmp_path / "images"), NAMES)
    assert_same_objects(found.coco, made, exact=(1, 3))  # with holes: masks
    assert len(trains(found.coco, tmp_path, tmp_path / "images").records) == 3


def test_the_path_leads_to_the_image_and_parts_share_a_group(tmp_path):
    saved(tmp_path, results(tmp_path))
    path = tmp_path / "labelme" / "b" / "one.json"
    content = json.loads(path.read_text())
    assert (path.parent / content["imagePath"]).resolve().is_file()
    assert [content["imageHeight"], content["imageWidth"]] == [90, 120]
    kinds = [(shape["shape_type"], shape["group_id"]) for shape in content["shapes"]]
    plain = ("polygon", None)
    assert kinds == [plain, ("mask", None), *[("polygon", 3)] * 2, ("mask", None), plain, plain]
    assert content["shapes"][0]["score"] == 0.9


def test_boxes_are_rectangles_and_keypoints_points_of_their_group(tmp_path):
    points = np.array([[[10.5, 20.25, 0.9], [12, 22, 0.8]]])
    found = Instances([[5, 8, 30, 40]], [0.7], [2], (90, 120), class_names=NAMES, keypoints=points)
    saved(tmp_path, results(tmp_path, found, ["a.png"]))
    box, one, other = shapes(tmp_path, "a.json")
    assert (box["shape_type"], box["points"]) == ("rectangle", [[8, 5], [40, 30]])
    assert (one["label"], one["points"], one["group_id"]) == ("keypoint 1", [[20.25, 10.5]], 1)
    assert box["group_id"] == other["group_id"] == 1


def test_an_object_whose_mask_is_empty_is_its_box(tmp_path):
    found = found_of([np.eye(90, 120, dtype=bool)])
    empty = found_of(
        [np.eye(90, 120, dtype=bool)],
        boxes=[[-4, -4, -1, 200]],
        exact_rle=None,
        mask_probabilities=np.zeros((1, 28, 28)),
    )
    saved(tmp_path, results(tmp_path, empty, ["a.png"]))
    assert [shape["points"] for shape in shapes(tmp_path, "a.json")] == [[[0, 0], [120, 1]]]
    assert len(found) == 1
