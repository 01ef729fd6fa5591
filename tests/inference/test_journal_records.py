"""`inference/journal_records.py`: nothing is lost between `Instances` and a line of JSON."""

import json

import numpy as np
import pytest

from helpers.stub_source import found_in, seen_source
from tfmaskrcnn import Instances
from tfmaskrcnn.inference.journal_records import chosen_of, instances_of, record_of, with_rle


def assert_same(one, other):
    for name in ("boxes", "scores", "classes", "keypoints", "size", "class_names", "skeleton"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.keypoint_offset == other.keypoint_offset and one.has_masks == other.has_masks
    if one.has_masks:
        assert one.rle() == other.rle()


@pytest.mark.parametrize("seed", range(20))
def test_a_record_gives_the_same_instances_to_the_bit(seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 255, (25, 31, 3), np.uint8)
    (found,) = seen_source().predict([image])
    rows = np.flatnonzero(rng.random(len(found)) < 0.5)
    record = json.loads(json.dumps(record_of(with_rle(found), rows)))
    assert_same(instances_of(record, found.class_names), found)
    assert_same(chosen_of(record, found.class_names), found[rows])
    assert instances_of(record).coco_results(3, (5, 9)) == found.coco_results(3, (5, 9))


def test_keypoints_boxes_alone_and_numbers_are_kept():
    points = np.float32([[[1.25, 2.5, 0.1], [3, 4, 0.9]]])
    found = Instances(
        [[1, 2, 3, 4]], [0.1], [1], (9, 8), keypoints=points, skeleton=[(0, 1)], keypoint_offset=0
    )
    record = json.loads(json.dumps(record_of(with_rle(found), [0], ids=[17])))
    assert_same(instances_of(record), found)
    assert chosen_of(record).numbers.tolist() == [17]
    nothing = found[:0]
    record = json.loads(json.dumps(record_of(with_rle(nothing), [])))
    assert len(instances_of(record)) == len(chosen_of(record)) == 0


def test_masks_are_encoded_once():
    found = with_rle(found_in(np.zeros((20, 30, 3), np.uint8)))
    assert with_rle(found) is found and found.mask_probabilities is None
