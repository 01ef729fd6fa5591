"""`results/yolo_labels.py`, by way of the importer."""

import logging

import numpy as np
import yaml

from helpers.found_shapes import NAMES, OPTIONS, assert_same_objects, results, trains
from tfmaskrcnn.data.importers import from_yolo
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.results.yolo_labels import write


def test_objects_come_back_with_their_classes(tmp_path):
    made = results(tmp_path)
    write(iter(made), str(tmp_path), OPTIONS)
    found = from_yolo(str(tmp_path / "yolo" / "data.yaml"))  # by the links
    named = [result._replace(file_name=f"images/{result.file_name}") for result in made]
    assert_same_objects(found.coco, named)  # holes and parts too
    assert [c["name"] for c in found.coco["categories"]] == list(NAMES)
    assert len(trains(found.coco, tmp_path, found.image_dir).records) == 3


def test_readers_find_the_labels_of_folders_called_images_from_anywhere(tmp_path, monkeypatch):
    made = results(tmp_path, names=("x/images/a.png", "images/e.png", "images/images/b.png"))
    write(made, str(tmp_path), OPTIONS)
    assert "path" not in yaml.safe_load((tmp_path / "yolo" / "data.yaml").read_text())
    monkeypatch.chdir("/")
    found = from_yolo(str(tmp_path / "yolo" / "data.yaml"))
    named = [result._replace(file_name=f"images/{result.file_name}") for result in made]
    assert_same_objects(found.coco, named)


def test_a_set_that_grows_leaves_what_is_right_alone(tmp_path):
    made = results(tmp_path)
    write(made[:1], str(tmp_path), OPTIONS)
    label = tmp_path / "yolo" / "labels" / "b" / "one.txt"
    before = label.stat().st_mtime_ns
    write(made, str(tmp_path), OPTIONS)
    assert label.stat().st_mtime_ns == before
    assert (tmp_path / "yolo" / "labels" / "two.txt").read_text() == label.read_text()
    assert (tmp_path / "yolo" / "images" / "two.png").resolve() == tmp_path / "images" / "two.png"
    label.write_text("0 0.5 0.5 0.1 0.1\n")
    write(made, str(tmp_path), OPTIONS)
    assert label.read_text().count("\n") == 6


def test_a_box_is_a_line_of_five_and_what_cannot_be_linked_is_said(tmp_path, caplog):
    found = Instances([[10, 12, 28, 60]], [0.7], [2], (90, 120), class_names=NAMES)
    (made,) = results(tmp_path, found, ["a.png"])
    with caplog.at_level(logging.WARNING):
        for _ in range(2):  # a set is written again as it grows
            write([made._replace(path=None)], str(tmp_path), OPTIONS)
    assert caplog.text.count("no link to a.png") == 1
    words = (tmp_path / "yolo" / "labels" / "a.txt").read_text().split()
    assert words[0] == "1"
    np.testing.assert_allclose(np.float64(words[1:]), [0.3, 19 / 90, 0.4, 0.2], atol=1e-6)
