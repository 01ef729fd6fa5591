"""`results/cvat_file.py`, by way of the importer."""

from xml.etree import ElementTree

import numpy as np

from helpers.found_shapes import NAMES, OPTIONS, assert_same_objects, results, trains
from tfmaskrcnn.data.importers import from_cvat
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.results.cvat_file import write


def test_objects_come_back_with_their_classes(tmp_path):
    made = results(tmp_path)
    write(iter(made), str(tmp_path), OPTIONS)
    found = from_cvat(str(tmp_path / "cvat.xml"))  # the images lie beside
    assert_same_objects(found.coco, made, exact=(1, 3))
    assert [c["name"] for c in found.coco["categories"]] == list(NAMES)
    assert len(trains(found.coco, tmp_path, found.image_dir).records) == 3


def test_scores_and_groups_are_written(tmp_path):
    write(results(tmp_path), str(tmp_path), OPTIONS)
    root = ElementTree.parse(tmp_path / "cvat.xml").getroot()
    shapes = list(root.find("image"))
    kinds = ["polygon", "mask", "polygon", "polygon", "mask", "polygon", "polygon"]
    assert [shape.tag for shape in shapes] == kinds
    assert [shape.get("group_id") for shape in shapes] == [None, None, "3", "3", *[None] * 3]
    assert shapes[1].find("attribute[@name='score']").text == "0.82"
    assert [image.get("id") for image in root.iterfind("image")] == ["0", "1", "2"]


def test_boxes_and_keypoints_of_odd_names_are_written(tmp_path):
    points = np.array([[[10.5, 20.25, 0.9], [12, 22, 0.8]]])
    found = Instances(
        [[5, 8, 30, 40]], [0.7], [2], (90, 120), class_names=("a", 'b"\x07'), keypoints=points
    )
    (made,) = results(tmp_path, found, ["a.png"])
    write([made._replace(file_name="\udcff&.png")], str(tmp_path), OPTIONS)
    image = ElementTree.parse(tmp_path / "cvat.xml").getroot().find("image")
    box, joints = image
    assert (image.get("name"), box.get("label")) == ("\\udcff&.png", 'b" ')
    assert [box.get(key) for key in ("xtl", "ytl", "xbr", "ybr")] == [
        *("8.00", "5.00", "40.00", "30.00")
    ]
    assert joints.get("points") == "20.25,10.50;22.00,12.00"
    assert box.get("group_id") == joints.get("group_id") == "1"
