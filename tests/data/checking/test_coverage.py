"""`data/checking/coverage.py`: the best anchor, and where the resize puts objects."""

import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.config.model import AnchorConfig, InputConfig
from tfmaskrcnn.data.checking.coverage import Objects, best_iou, resized
from tfmaskrcnn.ops.anchors import pyramid_anchors
from tfmaskrcnn.ops.boxes import iou


def random_objects(seed, count=12):
    """Boxes of 2 pixels and more in an image of 150 x 220."""
    rng = np.random.default_rng(seed)
    size = np.array([150.0, 220.0])
    low = rng.uniform(0, 1, (count, 2)) * (size - 3)
    high = low + 2 + rng.uniform(0, 1, (count, 2)) * (size - low - 2)
    return Objects(np.concatenate([low, high], axis=1), np.tile(size, (count, 1)))


@pytest.mark.parametrize("seed", range(20))
def test_the_best_iou_is_the_best_of_all_anchors(seed):
    options = {"offset": [0.0, 0.5][seed % 2], "whole_pixels": seed % 3 == 0}
    options["stride_from_size"] = seed % 5 == 0
    anchors = AnchorConfig(sizes=((12,), (30,), (70,), (110,), (200,)), **options)
    objects = resized(random_objects(seed), InputConfig(min_side=150, max_side=220))
    height, width = objects.padded[0].astype(int)
    features = {
        f"p{k}": tf.zeros([1, -(-height // 2**k), -(-width // 2**k), 1]) for k in range(2, 7)
    }
    levels = pyramid_anchors(features, **anchors.model_dump())
    every = tf.concat(list(levels.values()), axis=0)
    wanted = iou(tf.constant(objects.boxes, tf.float32), every).numpy()
    found, level = best_iou(objects, anchors)
    np.testing.assert_allclose(found, wanted.max(axis=1), atol=1e-5)
    ends = np.cumsum([len(a) for a in levels.values()])
    np.testing.assert_array_equal(level, np.searchsorted(ends, wanted.argmax(axis=1), "right"))


def test_objects_are_resized_with_their_image():
    objects = Objects(
        np.float64([[10, 20, 30, 60], [0, 0, 100, 50]]), np.float64([[50, 100], [200, 100]])
    )
    small = resized(objects, InputConfig(min_side=100, max_side=150))
    np.testing.assert_allclose(small.boxes, [[15, 30, 45, 90], [0, 0, 75, 37.5]])
    np.testing.assert_array_equal(small.padded, [[96, 160], [160, 96]])
    np.testing.assert_allclose(small.scales, np.sqrt([30 * 60, 75 * 37.5]))


def test_centred_padding_moves_objects():
    objects = Objects(np.float64([[0, 0, 50, 100]]), np.float64([[50, 100]]))
    found = resized(objects, InputConfig(min_side=128, max_side=128, padding="centred"))
    np.testing.assert_allclose(found.boxes, [[32, 0, 96, 128]])
    np.testing.assert_array_equal(found.padded, [[128, 128]])


def test_no_objects_are_no_problem():
    nothing = Objects(np.zeros((0, 4)), np.zeros((0, 2)))
    assert len(best_iou(resized(nothing, InputConfig()), AnchorConfig())[0]) == 0
