"""`results/via_project.py`, by way of the importer."""

import json

from helpers.found_shapes import NAMES, OPTIONS, assert_same_objects, results, trains
from tfmaskrcnn.data.importers import from_via
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.results.via_project import write


def test_objects_come_back_with_their_classes(tmp_path):
    made = results(tmp_path)
    write(iter(made), str(tmp_path), OPTIONS)
    found = from_via(str(tmp_path / "via_project.json"), str(tmp_path / "images"), NAMES)
    assert_same_objects(found.coco, made)  # holes and parts too
    assert len(trains(found.coco, tmp_path, tmp_path / "images").records) == 3


def test_a_project_names_its_classes_and_the_folder_of_its_images(tmp_path):
    made = results(tmp_path)
    write(iter(made), str(tmp_path), OPTIONS)
    project = json.loads((tmp_path / "via_project.json").read_text())
    assert project["_via_settings"]["core"]["default_filepath"] == f"{tmp_path}/images/"
    assert list(project["_via_attributes"]["region"]["class"]["options"]) == list(NAMES)
    assert project["_via_image_id_list"] == list(project["_via_img_metadata"])
    for key, entry in project["_via_img_metadata"].items():
        assert key == f"{entry['filename']}{entry['size']}"
        assert entry["size"] == (tmp_path / "images" / entry["filename"]).stat().st_size


def test_boxes_are_rectangles_and_frames_have_no_file(tmp_path):
    found = Instances([[5, 8, 30, 40]], [0.7], [2], (90, 120), class_names=NAMES)
    (made,) = results(tmp_path, found, ["a.png"])
    write([made._replace(path=None, file_name="clip.mp4#000012")], str(tmp_path), OPTIONS)
    project = json.loads((tmp_path / "via_project.json").read_text())
    (entry,) = project["_via_img_metadata"].values()
    shape = {"name": "rect", "x": 8, "y": 5, "width": 32, "height": 25}
    assert entry["regions"][0]["shape_attributes"] == shape
    assert entry["size"] == -1
    assert project["_via_settings"]["core"]["default_filepath"] == ""
