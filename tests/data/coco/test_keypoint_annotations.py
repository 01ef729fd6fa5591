import json

import numpy as np
import pytest
from PIL import Image

from helpers.tiny import tiny_config
from tfmaskrcnn.config.keypoints import KeypointHeadConfig
from tfmaskrcnn.config.person_keypoints import NAMES, mirror_pairs
from tfmaskrcnn.data import from_records, load_coco, write_shapes
from tfmaskrcnn.data.coco.keypoint_annotations import checked_keypoints, moved_keypoints
from tfmaskrcnn.data.labels import with_classes_of
from tfmaskrcnn.errors import InputError

HEAD = KeypointHeadConfig(enabled=True)
ARROWS = ("model.num_classes=1", "keypoint_head={enabled: true, num_keypoints: 4}")


@pytest.fixture(scope="module")
def arrows(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("arrows"))
    return write_shapes(folder, num_images=4, height=96, width=128, classes=("arrow",), seed=3)


def write_set(folder, keypoints, categories=None, **annotation):
    """A set of one 40 x 60 image with one object."""
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(folder / "a.png")
    entry = {"id": 7, "image_id": 1, "category_id": 1, "bbox": [5, 5, 30, 20], "iscrowd": 0}
    entry["segmentation"] = [[5, 5, 35, 5, 35, 25, 5, 25]]
    entry.update(annotation)
    if keypoints is not None:
        entry["keypoints"] = keypoints
    category = {"id": 1, "name": "hand", "keypoints": ["left", "right"], "skeleton": [[1, 2]]}
    coco = {
        "images": [{"id": 1, "file_name": "a.png", "height": 40, "width": 60}],
        "annotations": [entry],
        "categories": categories or [category],
    }
    (folder / "set.json").write_text(json.dumps(coco))
    return str(folder / "set.json"), str(folder)


def test_keypoints_become_yx_at_the_centres_of_their_pixels(tmp_path):
    data = load_coco(*write_set(tmp_path, [10, 12, 2, 0, 0, 0]), keypoint_head=HEAD)
    np.testing.assert_array_equal(data.records[0].keypoints, [[[12.5, 10.5, 2], [0, 0, 0]]])
    assert data.keypoints.names == ("left", "right") and data.keypoints.skeleton == ((0, 1),)


def test_torchvision_leaves_them_at_the_corner(tmp_path):
    head = KeypointHeadConfig(enabled=True, pixel_offset=0)
    data = load_coco(*write_set(tmp_path, [10, 12, 1, 20, 22, 2]), keypoint_head=head)
    np.testing.assert_array_equal(data.records[0].keypoints, [[[12, 10, 1], [22, 20, 2]]])


def test_an_object_may_have_none(tmp_path):
    data = load_coco(*write_set(tmp_path, None), keypoint_head=HEAD)
    np.testing.assert_array_equal(data.records[0].keypoints, np.zeros((1, 2, 3)))
    assert load_coco(*write_set(tmp_path, None)).records[0].keypoints is None


@pytest.mark.parametrize(
    "keypoints, message",
    [
        ([1, 2, 2], "its keypoints are 3 entries; wanted 6 numbers"),
        ("none", "its keypoints are no list; wanted 6"),
        ([1, 2, 2, 3, float("nan"), 2], "finite numbers only"),
        ([1, 2, "x", 3, 4, 2], "finite numbers only"),
        ([1, 2, 3, 3, 4, 2], "the visibility of its left is 3, wanted 0, 1 or 2"),
        ([1, 2, 2, 61, 4, 2], "its right at x 61, y 4 lies outside the image of 40 x 60"),
    ],
)
def test_a_wrong_annotation_is_named(tmp_path, keypoints, message):
    paths = write_set(tmp_path, keypoints)
    with pytest.raises(InputError, match="annotation 7 of image 1: .*" + message):
        load_coco(*paths, keypoint_head=HEAD)
    assert load_coco(*paths).records  # no matter to a model without keypoints


def test_a_point_that_is_not_labelled_may_lie_anywhere():
    points = checked_keypoints([-9, 999, 0, 59, 39, 1], ["a", "b"], 0.5, 40, 60)
    np.testing.assert_array_equal(points, [[0, 0, 0], [39.5, 59.5, 1]])


def test_a_set_without_keypoints_is_refused(tmp_path):
    paths = write_set(tmp_path, None, categories=[{"id": 1, "name": "cell"}])
    with pytest.raises(InputError, match="no category has 'keypoints'"):
        load_coco(*paths, keypoint_head=HEAD)


def test_categories_with_different_keypoints_are_refused(tmp_path):
    categories = [{"id": k, "name": f"c{k}", "keypoints": ["a"] * k} for k in (1, 2)]
    with pytest.raises(InputError, match="'c1' and 'c2' have different 'keypoints'"):
        load_coco(*write_set(tmp_path, None, categories), keypoint_head=HEAD)


@pytest.mark.parametrize("wrong", [5, "head", {"a": 1}])
def test_keypoints_of_a_category_are_a_list(tmp_path, wrong):
    categories = [{"id": 1, "name": "c", "keypoints": wrong}]
    with pytest.raises(InputError, match="'keypoints' of category 'c' are .*wanted the list"):
        load_coco(*write_set(tmp_path, None, categories), keypoint_head=HEAD)


def test_a_category_that_is_none_is_named_in_a_keypoint_set_too(tmp_path):
    categories = [{"id": 1, "name": "c", "keypoints": ["a"]}, [2, "d", ["a"]]]
    with pytest.raises(InputError, match="entry 1 of 'categories' is .*wanted an object"):
        load_coco(*write_set(tmp_path, None, categories), keypoint_head=HEAD)


def test_a_skeleton_beyond_the_keypoints_is_refused(tmp_path):
    category = {"id": 1, "name": "c", "keypoints": ["a", "b"], "skeleton": [[1, 3]]}
    with pytest.raises(InputError, match="pairs of the numbers 1 to 2"):
        load_coco(*write_set(tmp_path, None, [category]), keypoint_head=HEAD)


def test_a_mirrored_image_swaps_left_and_right():
    points = np.float32([[[10, 4, 2], [20, 30, 1], [5, 5, 2]]])  # left, right, middle
    mirror = np.float32([[1, 0, 0], [0, -1, 60]])
    found = moved_keypoints(points, mirror, (40, 60), [(0, 1)])
    np.testing.assert_array_equal(found, [[[20, 30, 1], [10, 56, 2], [5, 55, 2]]])


def test_a_quarter_turn_swaps_nothing():
    points = np.float32([[[10, 4, 2], [20, 30, 1]]])
    turn = np.float32([[0, -1, 60], [1, 0, 0]])  # counter-clockwise
    found = moved_keypoints(points, turn, (60, 40), [(0, 1)])
    np.testing.assert_array_equal(found, [[[56, 10, 2], [30, 20, 1]]])


def test_a_crop_hides_what_lies_outside():
    points = np.float32([[[10, 4, 2], [20, 30, 1], [0, 0, 0]]])
    crop = np.float32([[1, 0, -8], [0, 1, -6]])
    found = moved_keypoints(points, crop, (20, 30), [])
    np.testing.assert_array_equal(found, [[[0, 0, 0], [12, 24, 1], [0, 0, 0]]])


def test_pairs_come_from_the_names():
    assert mirror_pairs(["tip", "left", "tail", "right"]) == ((1, 3),)
    assert mirror_pairs(["left_a", "b", "right_a"]) == ((0, 2),)
    assert HEAD.flip_pairs == mirror_pairs(NAMES) and len(HEAD.flip_pairs) == 8


def test_batches_hold_keypoints_that_move_with_the_boxes(arrows):
    data = load_coco(*arrows, keypoint_head=HEAD)
    augment = "data.augment={horizontal_flip: 0.5, quarter_turns: true, scale: [0.7, 1.4]}"
    config = with_classes_of(data, tiny_config(*ARROWS[:1], "keypoint_head.enabled=true", augment))
    assert config.model.keypoint_head.flip_pairs == ((1, 3),)
    for batch in from_records(data, config, training=True):
        points, valid = batch["gt_keypoints"].numpy(), batch["gt_valid"].numpy()
        assert points.shape == (2, 8, 4, 3) and not points[~valid].any()
        seen = points[..., 2] > 0
        boxes = batch["gt_boxes"].numpy()[:, :, None]
        # A hidden point lies outside the box of what is to be seen.
        inside = (points[..., :2] >= boxes[..., :2] - 1) & (points[..., :2] <= boxes[..., 2:] + 1)
        assert inside.all(axis=-1)[points[..., 2] == 2].all() and seen.any()
        for arrow in points[seen.all(axis=-1)]:
            tip, left, tail, right = arrow[:, :2]
            along, across = tip - tail, right - left
            # Seen along the arrow, right is to the right: so however the image was turned.
            assert along[0] * -across[1] + along[1] * across[0] > 0


def test_without_the_head_there_are_no_keypoints_in_a_batch(arrows):
    data = load_coco(*arrows, keypoint_head=HEAD)
    batch = next(iter(from_records(data, tiny_config(*ARROWS[:1]), training=False)))
    assert "gt_keypoints" not in batch


def test_data_of_other_keypoints_than_the_models_are_refused(arrows):
    data = load_coco(*arrows, keypoint_head=HEAD)
    wrong = tiny_config("model.num_classes=1", "keypoint_head={enabled: true}")
    with pytest.raises(InputError, match="has 4 keypoints .*num_keypoints is 17"):
        from_records(data, wrong, training=False)
    with pytest.raises(InputError, match="was read without keypoints"):
        from_records(load_coco(*arrows), tiny_config(*ARROWS), training=False)


def test_the_configuration_of_other_keypoints_has_nothing_of_persons():
    head = tiny_config(*ARROWS).model.keypoint_head
    assert (head.names, head.flip_pairs, head.skeleton, head.sigmas) == ((), (), (), (0.05,) * 4)
    with pytest.raises(InputError, match="sigmas has 2 entries, num_keypoints is 4"):
        tiny_config(*ARROWS, "keypoint_head.sigmas=[0.1, 0.2]")
    with pytest.raises(InputError, match="keypoint 4 of the pair"):
        tiny_config(*ARROWS, "keypoint_head.skeleton=[[0, 4]]")


def test_a_rotation_moves_points_and_swaps_nothing_unless_it_mirrors():
    points = np.float32([[[20, 44, 2], [20, 30, 1]]])  # 14 to the right of the centre, and on it
    a = np.deg2rad(30)
    linear = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    center = np.array([20, 30])
    turn = np.concatenate([linear, (center - linear @ center)[:, None]], axis=1)
    turn = turn.astype(np.float32)
    found = moved_keypoints(points, turn, (40, 60), [(0, 1)])
    expected = [[[20 - 14 * np.sin(a), 30 + 14 * np.cos(a), 2], [20, 30, 1]]]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    mirror = turn * np.float32([[1, -1, 1], [1, -1, 1]])
    mirror[:, 2] += 60 * turn[:, 1]
    found = moved_keypoints(points, mirror, (40, 60), [(0, 1)])
    expected = [[[20, 30, 1], [20 + 14 * np.sin(a), 30 - 14 * np.cos(a), 2]]]
    np.testing.assert_allclose(found, expected, atol=1e-4)
