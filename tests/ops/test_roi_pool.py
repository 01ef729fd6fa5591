"""`ops/roi_pool.py` against torchvision's outputs and against its definition, pixel by pixel."""

import numpy as np
import pytest
import tensorflow as tf

from helpers.paths import GOLDEN
from tfmaskrcnn.ops.atlas import build_atlas
from tfmaskrcnn.ops.roi_align import pyramid_roi_align
from tfmaskrcnn.ops.roi_pool import CHUNK, bin_edges, pyramid_roi_pool, roi_pool
from tfmaskrcnn.ops.structures import ROI_LEVELS

FILE = GOLDEN / "roi_pool.npz"


def axis_edges(low, high, pixels, side):
    """[(first, behind the last)] pixel of the bins along one axis, Fast R-CNN's rule in float32."""
    low, high = (np.float32(np.sign(v) * np.floor(abs(v) + 0.5)) for v in (low, high))
    step = max(high - low + np.float32(1), np.float32(1)) / np.float32(side)
    first = [np.floor(np.float32(i) * step) + low for i in range(side)]
    last = [np.ceil(np.float32(i + 1) * step) + low for i in range(side)]
    return [tuple(int(v) for v in np.clip(pair, 0, pixels)) for pair in zip(first, last)]


def reference(features, boxes, side, stride):
    """[H, W, C] map, [n, 4] boxes -> [n, S, S, C], and the place (y, x) of each maximum."""
    out = np.zeros([len(boxes), side, side, features.shape[2]], np.float32)
    places = {}
    for r, (y1, x1, y2, x2) in enumerate(boxes / stride):
        rows = axis_edges(y1, y2, features.shape[0], side)
        columns = axis_edges(x1, x2, features.shape[1], side)
        for p, (top, bottom) in enumerate(rows):
            for q, (left, right) in enumerate(columns):
                part = features[top:bottom, left:right]
                if part.size:
                    flat = part.reshape(-1, part.shape[2])
                    out[r, p, q] = flat.max(axis=0)
                    index = flat.argmax(axis=0)  # the first of equals
                    y, x = np.divmod(index, part.shape[1])
                    places[r, p, q] = (top + y, left + x)
    return out, places


def random_boxes(rng, count, height, width):
    center = rng.uniform(0, [height, width], [count, 2])
    size = np.exp(rng.uniform(0, np.log(2 * max(height, width)), [count, 2]))
    return np.concatenate([center - size / 2, center + size / 2], 1).astype(np.float32)


@pytest.mark.parametrize("wrap", [tf.function, lambda f: f], ids=["graph", "eager"])
@pytest.mark.parametrize("side", [1, 3, 7])
def test_features_and_gradients_equal_torchvisions_to_the_bit(side, wrap):
    golden = np.load(FILE)
    pyramid = {p: tf.constant(golden[p]) for p in ROI_LEVELS}
    pool = wrap(lambda p, b: pyramid_roi_pool(build_atlas(p), b, side, canonical_size=56.0))
    with tf.GradientTape() as tape:
        tape.watch(pyramid)
        found = pool(pyramid, tf.constant(golden["boxes"]))
        value = tf.reduce_sum(found * golden[f"side{side}_upstream"].astype(np.float32))
    assert set(golden["levels"].ravel()) == {2, 3, 4, 5}
    np.testing.assert_array_equal(found, golden[f"side{side}"])
    for level, gradient in tape.gradient(value, pyramid).items():
        expected = golden[f"side{side}_grad_{level}"]
        # Sums of many maxima at one pixel: only their order may differ.
        np.testing.assert_allclose(gradient, expected, atol=1e-5)


@pytest.mark.parametrize("seed", range(20))
def test_roi_pool_is_the_maximum_over_whole_pixels(seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(1, 13, 17, 3)).astype(np.float32)
    stride, side = float(rng.choice([1, 2, 4])), int(rng.choice([1, 2, 5, 7]))
    boxes = random_boxes(rng, 9, 13 * stride, 17 * stride)
    expected, _ = reference(features[0], boxes, side, np.float32(stride))
    found = roi_pool(features, boxes[None], side, stride)
    np.testing.assert_array_equal(found[0], expected)


def test_a_case_by_hand():
    features = np.arange(64.0).reshape(1, 8, 8, 1)  # pixel (y, x) holds 8 y + x
    # 1.5 is rounded up to 2 and 6.4 down to 6: rows 2..6, whose 5 pixels overlap in the middle one.
    edges = bin_edges(tf.constant([[1.5, 0.4, 6.4, 3.0]]), tf.constant([[8.0, 8.0]]), 2)
    np.testing.assert_array_equal(edges[0, 0], [[2, 5], [4, 7]])
    np.testing.assert_array_equal(edges[0, 1], [[0, 2], [2, 4]])
    found = roi_pool(features, np.float32([[[1.5, 0.4, 6.4, 3.0]]]), 2)
    np.testing.assert_array_equal(found[0, 0, ..., 0], [[8 * 4 + 1, 8 * 4 + 3], [49, 51]])


def test_halves_are_rounded_away_from_zero():
    edges = bin_edges(tf.constant([[-2.5, 0.5, 2.5, 3.5]]), tf.constant([[9.0, 9.0]]), 1)
    np.testing.assert_array_equal(edges[0, :, 0], [[0, 4], [1, 5]])  # -3..3 clipped, 1..4


def test_bins_outside_are_zero_and_have_no_gradient():
    features = tf.fill([1, 8, 8, 2], -5.0)
    boxes = tf.constant([[[-40.0, -40, -20, -20], [-8, 0, 7, 7]]])
    with tf.GradientTape() as tape:
        tape.watch(features)
        found = roi_pool(features, boxes, 2)
        total = tf.reduce_sum(found)
    assert not found[0, 0].numpy().any()
    np.testing.assert_array_equal(found[0, 1, ..., 0], [[0, 0], [-5, -5]])
    gradient = tape.gradient(total, features).numpy()
    assert gradient.sum() == 4.0 and gradient[0, 0, 0, 0] == gradient[0, 0, 4, 0] == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_the_gradient_goes_to_the_first_maximum_of_each_bin(seed):
    rng = np.random.default_rng(seed)
    features = rng.integers(0, 3, size=(2, 9, 11, 2)).astype(np.float32)  # full of equals
    boxes = np.stack([random_boxes(rng, 7, 9, 11) for _ in range(2)])
    upstream = rng.normal(size=(2, 7, 3, 3, 2)).astype(np.float32)
    expected = np.zeros(features.shape)
    for image in range(2):
        for (r, p, q), (y, x) in reference(features[image], boxes[image], 3, 1.0)[1].items():
            for channel in range(2):
                expected[image, y[channel], x[channel], channel] += upstream[
                    image, r, p, q, channel
                ]
    watched = tf.constant(features)
    with tf.GradientTape() as tape:
        tape.watch(watched)
        value = tf.reduce_sum(roi_pool(watched, boxes, 3) * upstream)
    np.testing.assert_allclose(tape.gradient(value, watched), expected, atol=1e-5)


def test_many_rois_are_pooled_in_chunks_as_if_at_once():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2, 12, 12, 1)).astype(np.float32)
    boxes = np.stack([random_boxes(rng, CHUNK + 5, 12, 12) for _ in range(2)])
    pool = tf.function(
        lambda f, b: roi_pool(f, b, 2),
        input_signature=[
            tf.TensorSpec([None, None, None, 1], tf.float32),
            tf.TensorSpec([None, None, 4], tf.float32),
        ],
    )
    found = pool(features, boxes)
    assert found.shape == (2, CHUNK + 5, 2, 2, 1)
    for image in range(2):
        np.testing.assert_array_equal(
            found[image], reference(features[image], boxes[image], 2, 1.0)[0]
        )


def test_rois_are_read_from_the_level_that_roi_align_reads():
    maps = {
        p: tf.fill([1, 512 // 2**k, 512 // 2**k, 1], float(k)) for k, p in enumerate(ROI_LEVELS, 2)
    }
    sides = np.array([5, 27, 28, 55.9, 56, 100, 112, 200, 300])
    boxes = np.stack([0 * sides + 4, 0 * sides + 4, sides + 4, sides + 4], 1)[None]
    boxes = boxes.astype(np.float32)
    atlas = build_atlas(maps)
    pooled = pyramid_roi_pool(atlas, boxes, 2, canonical_size=112.0)
    aligned = pyramid_roi_align(atlas, boxes, 2, canonical_size=112.0)
    assert {2, 3, 4, 5} == set(pooled.numpy().ravel().astype(int))
    np.testing.assert_allclose(pooled, aligned, atol=1e-4)


def test_not_a_number_stays_where_it_is():
    features = np.zeros((1, 8, 8, 1), np.float32)
    features[0, 1, 1] = np.nan  # a loss made of it is reported, not an index out of range
    watched = tf.constant(features)
    with tf.GradientTape() as tape:
        tape.watch(watched)
        found = roi_pool(watched, tf.constant([[[0.0, 0, 7, 7]]]), 2)
        value = tf.reduce_sum(found)
    assert tape.gradient(value, watched).shape == features.shape
