"""`results/outlined.py`: what the writers of annotation formats share."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from helpers.found_shapes import HEIGHT, OPTIONS, WIDTH, drawn_masks, found_of, results
from tfmaskrcnn.config import person_keypoints
from tfmaskrcnn.data.importers import from_labelme
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.results import labelme_files
from tfmaskrcnn.results.image_result import ImageResult, ResultOptions
from tfmaskrcnn.results.outlined import categories, flat, joined, keypoint_names, outlined


def test_objects_have_the_numbers_of_pictures_and_tables(tmp_path):
    found = found_of(drawn_masks(), ids=np.array([7, 9, 8, 2, 40, 3]))
    (result,) = results(tmp_path, found, ["a.png"])
    objects = list(outlined(result, OPTIONS))
    assert [one.number for one in objects] == [7, 9, 8, 2, 40, 3]
    assert [one.class_index for one in objects] == [1, 2, 1, 2, 1, 2]
    assert [one.has_hole for one in objects] == [False, True, False, True, False, False]
    assert objects[4].window.bitmap.shape == (1, 1)  # as small as can be


def test_parts_and_holes_are_joined_without_a_change():
    for one in outlined(ImageResult(1, "a", "a", found_of(drawn_masks())), OPTIONS):
        ring = joined(one.polygons).reshape(-1).tolist()
        mask = coco_mask.decode(coco_mask.frPyObjects([ring], HEIGHT, WIDTH))[..., 0].astype(bool)
        expected = drawn_masks()[one.number - 1]
        assert np.sum(mask & expected) / np.sum(mask | expected) > 0.97


@pytest.mark.parametrize(
    "box, wanted",
    [
        ([1, 2, 30, 40], (2, 1, 40, 30)),  # yxyx -> xyxy
        ([-5, -5, 500, 3.256], (0, 0, 3.26, 90)),
        ([-9, 10, -3, 10], (10, 0, 11, 1)),  # outside and without area: the nearest pixel
        ([200, 300, 210, 310], (119, 89, 120, 90)),
    ],
)
def test_boxes_lie_in_the_image_and_have_an_area(box, wanted):
    found = Instances([box], [0.5], [1], (90, 120))
    (one,) = outlined(ImageResult(1, "a", "a", found), OPTIONS)
    np.testing.assert_allclose(one.box, wanted)
    assert (one.polygons, one.window) == ([], None)


def test_keypoints_are_called_as_cocos_where_they_are_those():
    points = np.zeros((1, 17, 3))
    persons = {"keypoints": points, "skeleton": person_keypoints.SKELETON}
    found = Instances([[0, 0, 9, 9]], [0.5], [1], (90, 120), **persons)
    assert keypoint_names(ImageResult(1, "a", "a", found))[0] == "nose"
    other = Instances([[0, 0, 9, 9]], [0.5], [1], (90, 120), keypoints=points)
    assert keypoint_names(ImageResult(1, "a", "a", other))[16] == "keypoint 17"


def test_classes_without_a_name_or_an_id_get_one():
    assert categories(ResultOptions(("a", "b"), (5,))) == [(5, "a"), (2, "b")]
    assert categories(ResultOptions((), (5, 6))) == [(5, "class 1"), (6, "class 2")]


def test_names_are_such_as_tools_and_importers_take(tmp_path):
    names = ("two\nlines\t\x07", " ")
    made = results(tmp_path, found_of(drawn_masks(), class_names=names), ["a.png"])
    options = OPTIONS._replace(class_names=names)
    assert categories(options) == [(7, "two lines  "), (3, "unnamed")]
    assert categories(options, exact=True) == [(7, names[0]), (3, " ")]
    labelme_files.write(made[0], str(tmp_path / "labelme"), options)
    found = from_labelme(str(tmp_path / "labelme"), str(tmp_path / "images"))
    assert [c["name"] for c in found.coco["categories"]] == ["two lines", "unnamed"]


def test_numbers_are_short():
    assert flat(np.array([[1.0, 2.5], [3.14159, 4.0]])) == [1, 2.5, 3.14, 4]
