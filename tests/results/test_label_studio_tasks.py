"""`results/label_studio_tasks.py`: submitted as they are, predictions are what we import."""

import json
from xml.etree import ElementTree

import numpy as np

from helpers.found_shapes import NAMES, OPTIONS, assert_same_objects, results, trains
from tfmaskrcnn.data.importers import from_label_studio
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.results.label_studio_tasks import write


def tasks_of(folder):
    return json.loads((folder / "label-studio" / "tasks.json").read_text())


def submitted(folder):
    """The export of Label Studio after each prediction was submitted without a change."""
    tasks = tasks_of(folder)
    for n, task in enumerate(tasks):
        task["id"], task["annotations"] = n, task.pop("predictions")
    (folder / "export.json").write_text(json.dumps(tasks))
    return str(folder / "export.json")


def test_objects_come_back_with_their_classes(tmp_path):
    made = results(tmp_path)
    write(iter(made), str(tmp_path), OPTIONS)
    found = from_label_studio(submitted(tmp_path), classes=NAMES)  # the images lie beside
    assert_same_objects(found.coco, made, exact=(1, 2, 3))  # brushes
    assert len(trains(found.coco, tmp_path, found.image_dir).records) == 3


def test_regions_are_of_the_controls_of_the_configuration(tmp_path):
    points = np.array([[[9, 24, 0.9], [45, 60, 0.8]]])
    found = Instances([[9, 12, 27, 36]], [0.7], [2], (90, 120), class_names=NAMES, keypoints=points)
    made = results(tmp_path)
    (other,) = results(tmp_path, found, ["a#?.png"])
    write([*made, other], str(tmp_path), OPTIONS)
    root = ElementTree.parse(tmp_path / "label-studio" / "config.xml").getroot()
    controls = {tag.get("name"): tag for tag in root if tag.get("toName")}
    for task in tasks_of(tmp_path):
        assert "annotations" not in task
        for region in task["predictions"][0]["result"]:
            labels = [label.get("value") for label in controls[region["from_name"]]]
            assert controls[region["from_name"]].tag.lower() == region["type"]
            assert region["value"][region["type"]][0] in labels
            assert region["to_name"] == root.find("Image").get("name")
    last = tasks_of(tmp_path)[-1]
    assert last["data"]["image"] == "/data/local-files/?d=a%23%3F.png"
    box, one, _ = last["predictions"][0]["result"]
    assert [box["value"][key] for key in ("x", "y", "width", "height")] == [10, 10, 20, 20]
    assert (one["value"]["x"], one["value"]["y"], one["parentID"]) == (20, 10, box["id"])
    assert len(from_label_studio(submitted(tmp_path)).coco["annotations"]) == 13
