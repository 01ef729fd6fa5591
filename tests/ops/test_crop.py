"""`ops/crop.py` against `tf.image.crop_and_resize` on each level, as Matterport calls it."""

import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.config.model import RoiConfig
from tfmaskrcnn.ops.crop import pyramid_crop
from tfmaskrcnn.ops.roi_align import build_atlas
from tfmaskrcnn.ops.structures import ROI_LEVELS

CONFIG = RoiConfig(level_rounding="round", canonical_size=60.0)
SIDE = 128


def pyramid(seed, batch=2):
    rng = np.random.default_rng(seed)
    sides = {"p2": 32, "p3": 16, "p4": 8, "p5": 4}
    return {k: tf.constant(rng.normal(size=(batch, s, s, 3)), tf.float32) for k, s in sides.items()}


def random_boxes(seed, batch=2, count=20, span=SIDE - 1):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, span - 2, (batch, count, 2))
    high = np.minimum(low + np.exp(rng.uniform(0, 5, (batch, count, 2))), span)
    low[:, 0], high[:, 0] = 0, span  # the whole image
    return np.concatenate([low, high], axis=-1).astype(np.float32)


def matterports(features, boxes, side):
    """PyramidROIAlign, one level at a time, on boxes of 0..1."""
    normalised = boxes / (SIDE - 1)
    size = normalised[..., 2:] - normalised[..., :2]
    area = np.sqrt(size[..., 0] * size[..., 1])
    level = np.round(np.log2(area / (60.0 / np.sqrt(SIDE * SIDE))))
    level = np.clip(4 + level, 2, 5).astype(int)
    out = np.zeros((*boxes.shape[:2], side, side, 3), np.float32)
    for name in ROI_LEVELS:
        image, row = np.nonzero(level == int(name[1:]))
        out[image, row] = tf.image.crop_and_resize(
            features[name], normalised[image, row], image, [side, side]
        )
    assert set(level.ravel()) == {2, 3, 4, 5}
    return out


@pytest.mark.parametrize("seed", range(20))
def test_features_are_matterports(seed):
    features, boxes = pyramid(seed), random_boxes(seed)
    found = pyramid_crop(build_atlas(features), tf.constant(boxes), 7, CONFIG, inclusive=True)
    found, expected = found.numpy(), matterports(features, boxes, 7)
    # On the input's border the kernel may round the last sample over the edge, and then reads zeros
    # for a whole row or column, by chance. We never do.
    lost = (expected == 0).all(axis=-1)
    assert lost.mean() < 0.02 and not (found == 0).any()
    np.testing.assert_allclose(found[~lost], expected[~lost], atol=3e-4)


def test_the_corners_of_a_roi_are_read_where_they_lie():
    # On a map that holds its own row index, the whole input reads 0 ... h - 1 at S = h.
    rows = np.tile(np.arange(32.0)[:, None, None], (1, 32, 1))[None].astype(np.float32)
    features = {name: tf.zeros([1, s, s, 1]) for name, s in zip(ROI_LEVELS, (32, 16, 8, 4))}
    features["p2"] = tf.constant(rows)
    config = RoiConfig(canonical_size=4000.0)
    for inclusive, span in ((False, 128.0), (True, 127.0)):
        boxes = tf.constant([[[0.0, 0.0, span, span], [span / 2, 0.0, span / 2, span]]])
        crops = pyramid_crop(build_atlas(features), boxes, 32, config, inclusive).numpy()
        np.testing.assert_allclose(crops[0, 0, :, 5, 0], np.arange(32), atol=1e-3)
        np.testing.assert_allclose(crops[0, 1, :, 5, 0], 15.5, atol=1e-3)


def test_the_gradient_scatters_what_the_forward_pass_gathered():
    # sum(upstream * crop) is linear in the features: its gradient times them is its value.
    features = {k: tf.Variable(v) for k, v in pyramid(0).items()}
    boxes = tf.constant(random_boxes(0))
    upstream = tf.random.stateless_normal([2, 20, 7, 7, 3], [0, 1])
    with tf.GradientTape() as tape:
        crops = pyramid_crop(build_atlas(features), boxes, 7, CONFIG, inclusive=True)
        value = tf.reduce_sum(crops * upstream)
    gradients = tape.gradient(value, features)
    again = sum(tf.reduce_sum(gradients[k] * features[k]) for k in features)
    np.testing.assert_allclose(again, value, rtol=1e-3)
    assert all(np.isfinite(g).all() and np.abs(g).max() > 0 for g in gradients.values())


def test_no_rois_give_no_features():
    found = pyramid_crop(build_atlas(pyramid(0, 1)), tf.zeros([1, 0, 4]), 7, CONFIG)
    assert found.shape == [1, 0, 7, 7, 3]
