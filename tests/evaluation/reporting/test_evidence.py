"""Pictures show the right place, outlines lie on the objects."""

import base64
import io
import re

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from helpers.drawn_report import report_of
from helpers.drawn_sets import drawn
from tfmaskrcnn.evaluation.reporting import evidence
from tfmaskrcnn.evaluation.reporting.evidence import Shot, contours, take

OBJECT, FALSE = (40, 30, 60, 60), (70, 80, 90, 110)


def pixels(picture):
    content = base64.b64decode(picture.source.split(",")[1])
    return np.asarray(Image.open(io.BytesIO(content)).convert("L"), int)


def points(path):
    """[n, 2] (x, y) of a path of relative moves."""
    x, y, moves = re.fullmatch(r"M(\d+) (\d+)l([-\d ]+)Z", path).groups()
    moves = np.array(moves.split(), int).reshape(-1, 2)
    return np.concatenate([[[int(x), int(y)]], [int(x), int(y)] + np.cumsum(moves, axis=0)])


def test_outlines_lie_on_the_bright_object(tmp_path):
    report = report_of(drawn([([(1, OBJECT)], [(1, FALSE, 0.9)])]), tmp_path)
    whole, crop = Shot(0), Shot(0, object=0)
    pictures = take(report, [whole, crop])
    assert pictures[whole].size == (100, 120) and pictures[whole].view_box == "0 0 240 200"
    layers = dict(pictures[whole].layers)
    assert list(layers) == ["false", "missed"]
    (path, text), *_ = layers["missed"]
    assert text == "missed: class 1"
    # Coordinates are half pixels; the corner's pixels are cut by half one.
    assert points(path).min(axis=0).tolist() == [60, 80]
    assert points(path).max(axis=0).tolist() == [120, 120]
    # The crop shows 75 pixels square, 240 pixels large, the object in its middle.
    outline = points(dict(pictures[crop].layers)["missed"][0][0]) / 2
    bright = np.argwhere(pixels(pictures[crop]) > 130)
    np.testing.assert_allclose(bright.min(axis=0), outline.min(axis=0)[::-1], atol=3)
    np.testing.assert_allclose(bright.max(axis=0), outline.max(axis=0)[::-1], atol=3)
    np.testing.assert_allclose(outline.max(axis=0) - outline.min(axis=0), [96, 64], atol=1)
    np.testing.assert_allclose((outline.max(axis=0) + outline.min(axis=0)) / 2, 120, atol=1)


def test_a_crop_shows_one_detection_and_all_annotations():
    objects = [(1, OBJECT), (1, (64, 30, 84, 60))]
    found = [(1, OBJECT, 0.9), (1, FALSE, 0.8), (1, (40, 30, 60, 58), 0.7)]
    report = report_of(drawn([(objects, found)]))
    report.verdicts[0].found[2] = "duplicate"
    marks = [mark.style for mark in evidence._marks(report, Shot(0, 2, 0))]
    assert marks == ["annotated", "other", "doubled"]


def test_an_outline_has_every_part_and_hole_of_its_mask():
    mask = np.zeros((30, 40), np.uint8, order="F")
    mask[2:12, 3:13] = 1
    mask[5:8, 6:9] = 0
    mask[20:30, 30:40] = 1  # up to the border
    lines = contours(coco_mask.encode(mask))
    sizes = sorted((line.max(axis=0) - line.min(axis=0)).tolist() for line in lines)
    assert sizes == [[3, 3], [10, 10], [10, 10]]
    assert max(line.max() for line in lines) == 40
    assert contours(coco_mask.encode(np.zeros_like(mask))) == []


def test_dark_pictures_are_brightened_and_large_ones_made_small(tmp_path):
    report = report_of(drawn([([(1, OBJECT)], [])], size=(200, 1800)), tmp_path)
    image = np.full((200, 1800, 3), 5, np.uint8)
    image[40:60, 30:60] = 20
    Image.fromarray(image).save(tmp_path / "1.png")
    picture = take(report, [Shot(0)])[Shot(0)]
    assert picture.size == (100, 900)
    assert pixels(picture).max() > 100


def test_class_names_stand_in_pictures_of_several_classes(tmp_path):
    objects = [(1, OBJECT), (2, (5, 5, 20, 20))]
    report = report_of(drawn([(objects, [(2, FALSE, 0.875)])]), tmp_path)
    labels = take(report, [Shot(0)])[Shot(0)].labels
    assert [(label.style, label.text) for label in labels] == [
        ("missed", "class 1"),
        ("missed", "class 2"),
        ("false", "class 2 0.88"),
    ]
    one = report_of(drawn([([(1, OBJECT)], [])]), tmp_path)
    assert take(one, [Shot(0)])[Shot(0)].labels == []
