"""`ops/roi_align.py` against torchvision's outputs and against its definition in float64."""

import numpy as np
import pytest
import tensorflow as tf

from helpers.paths import GOLDEN
from tfmaskrcnn.ops import roi_align as roi_align_module
from tfmaskrcnn.ops.roi_align import build_atlas, pyramid_roi_align, roi_align
from tfmaskrcnn.ops.structures import ROI_LEVELS

# float32 coordinates are normalised and multiplied back: 3e-5 px, on noise of unit variance.
TOLERANCE = 3e-4
FILE = GOLDEN / "roi_align.npz"

forms = pytest.mark.parametrize(
    "aligned, ratio", [(a, r) for a in (True, False) for r in (1, 2, 3)]
)


def axis_weights(low, high, pixels, side, ratio, aligned):
    """[side, pixels] float64: what each bin takes of each pixel along one axis.

    torchvision's roi_align_kernel.cpp for one axis; the two axes' weights multiply.
    """
    weights = np.zeros([side, pixels])
    low, high = (low - 0.5, high - 0.5) if aligned else (low, high)
    extent = high - low if aligned else max(high - low, 1.0)
    for sample in range(side * ratio):
        at = low + (sample + 0.5) * extent / (side * ratio)
        if at < -1.0 or at > pixels:
            continue  # zeros
        at = min(max(at, 0.0), pixels - 1.0)
        pixel = min(int(at), max(pixels - 2, 0))
        upper = at - pixel
        weights[sample // ratio, pixel] += (1.0 - upper) / ratio
        if pixels > 1:
            weights[sample // ratio, pixel + 1] += upper / ratio
    return weights


def box_weights(box, stride, height, width, *form):
    y1, x1, y2, x2 = box.astype(np.float64) / stride
    return axis_weights(y1, y2, height, *form), axis_weights(x1, x2, width, *form)


def reference(features, boxes, strides, side, ratio, aligned):
    """[H, W, C] map of each of n RoIs -> [n, side, side, C] float64."""
    out = []
    for one, box, stride in zip(features, boxes, strides):
        rows, columns = box_weights(box, stride, *one.shape[:2], side, ratio, aligned)
        out.append(np.einsum("ph,hwc,qw->pqc", rows, one.astype(float), columns, optimize=True))
    return np.stack(out)


def reference_gradient(shape, upstream, boxes, stride, ratio, aligned):
    """Gradient of sum(upstream * RoIAlign) for one [H, W, C] map, by scattering in float64."""
    gradient = np.zeros(shape)
    for one, box in zip(upstream.astype(float), boxes):
        form = (len(one), ratio, aligned)
        rows, columns = box_weights(box, stride, *shape[:2], *form)
        gradient += np.einsum("ph,pqc,qw->hwc", rows, one, columns, optimize=True)
    return gradient


def level_of(boxes, canonical_size=224.0):
    """FPN's equation 1 with the clamp to p2..p5: [n] numbers of levels."""
    area = np.prod(np.maximum(boxes[:, 2:].astype(float) - boxes[:, :2], 0), 1)
    return np.clip(np.floor(4 + np.log2(np.sqrt(area) / canonical_size + 1e-8)), 2, 5).astype(int)


def special_boxes(height, width):
    """Whole image, larger, tiny, without extent, outside, over and on the borders."""
    y, x = height, width
    return np.array(
        [
            [0, 0, y, x],
            [-3 * y, -3 * x, 4 * y, 4 * x],
            [0, 0, 1, 1],
            [y - 1.3, x - 1.3, y, x],  # not 1: a sample at exactly y may round either way
            [y / 2, x / 2, y / 2 + 0.3, x / 2 + 0.2],
            [y / 3, x / 3, y / 3, x / 2],  # no height
            [0, 0, 0, 0],
            [y, x, y, x],
            [-50, -50, -20, -20],
            [y + 30, x / 2, y + 90, x],
            [-40, x / 2, 30, x + 60],
            [0, 0, y, 2],  # slivers at the borders
            [y - 2, 0, y, x],
            [y / 2 + 9, x / 2, y / 2, x / 2 + 9],  # inverted
        ],
        np.float32,
    )


def random_boxes(rng, count, height, width):
    center = rng.uniform(0, [height, width], [count, 2])
    size = np.exp(rng.uniform(np.log(2), np.log(1.5 * width), [count, 2]))
    return np.concatenate([center - size / 2, center + size / 2], 1).astype(np.float32)


def random_pyramid(rng, height=128, width=160, channels=2, images=1):
    levels = {p: 2 ** int(p[1:]) for p in ROI_LEVELS}
    return {
        p: rng.normal(size=[images, height // s, width // s, channels]).astype(np.float32)
        for p, s in levels.items()
    }


def pyramid_reference(pyramid, boxes, side, ratio, aligned):
    """`pyramid_roi_align` of the first image; canonical size 56, so that all levels occur."""
    levels = level_of(boxes, 56.0)
    maps = [pyramid[f"p{k}"][0] for k in levels]
    return reference(maps, boxes, 2.0**levels, side, ratio, aligned)


@forms
def test_pooled_features_equal_torchvisions(aligned, ratio):
    golden = np.load(FILE)
    atlas = build_atlas({p: golden[p] for p in ROI_LEVELS})
    found = pyramid_roi_align(atlas, golden["boxes"], 5, ratio, aligned, canonical_size=56.0)
    expected = golden[f"aligned{int(aligned)}_ratio{ratio}"]
    assert set(golden["levels"].ravel()) == {2, 3, 4, 5}
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


@pytest.mark.parametrize("aligned", [True, False])
def test_gradient_equals_torchvisions(aligned):
    golden = np.load(FILE)
    pyramid = {p: tf.constant(golden[p].astype(np.float32)) for p in ROI_LEVELS}
    with tf.GradientTape() as tape:
        tape.watch(pyramid)
        found = pyramid_roi_align(
            build_atlas(pyramid), golden["boxes"], 5, 2, aligned, canonical_size=56.0
        )
        value = tf.reduce_sum(found * golden["upstream"])
    for level, gradient in tape.gradient(value, pyramid).items():
        expected = golden[f"aligned{int(aligned)}_ratio2_grad_{level}"]
        np.testing.assert_allclose(gradient, expected, atol=TOLERANCE * np.abs(expected).max())


def test_roi_align_is_exact_on_a_plane():
    # Bilinear sampling is exact on a plane, so each bin must hold the plane's value
    # at the bin's centre; a half-pixel slip shows as a constant offset.
    y, x = np.mgrid[0:32, 0:48] + 0.5  # centres of the pixels
    plane = (3.0 * y - 2.0 * x)[None, ..., None].astype(np.float32)  # [1, H, W, 1]
    boxes = np.array([[[4.0, 6.0, 18.0, 34.0]]], np.float32)
    rows, cols = 4.0 + (np.arange(7) + 0.5) * 2.0, 6.0 + (np.arange(7) + 0.5) * 4.0
    expected = 3.0 * rows[:, None] - 2.0 * cols[None, :]
    found = roi_align(plane, boxes, side=7)[0, 0, ..., 0]
    np.testing.assert_allclose(found, expected, atol=1e-3)
    shifted = roi_align(plane, boxes, side=7, aligned=False)[0, 0, ..., 0]
    np.testing.assert_allclose(shifted, expected + 0.5 * (3.0 - 2.0), atol=1e-3)


def test_each_roi_reads_the_level_that_equation_1_says():
    maps = {
        p: tf.fill([1, 1024 // 2**k, 1024 // 2**k, 1], float(k))
        for k, p in enumerate(ROI_LEVELS, 2)
    }
    sides = {0: 2, 5: 2, 111.99: 2, 112: 3, 223.99: 3, 224: 4, 447: 4, 448: 5, 1000: 5}
    boxes = np.array([[[8, 8, 8 + s, 8 + s] for s in sides]], np.float32)
    found = pyramid_roi_align(build_atlas(maps), boxes, 2).numpy()[0]
    np.testing.assert_allclose(found[:, 0, 0, 0], list(sides.values()), atol=1e-5)
    # The area counts, not a side; and the canonical size and level are parameters.
    wide = np.array([[[8, 8, 8 + 56, 8 + 224]]], np.float32)
    assert np.allclose(pyramid_roi_align(build_atlas(maps), wide, 2), 3, atol=1e-5)
    assert np.allclose(pyramid_roi_align(build_atlas(maps), wide, 2, canonical_size=112.0), 4)
    assert np.allclose(pyramid_roi_align(build_atlas(maps), wide, 2, canonical_level=4), 3)
    assert np.allclose(pyramid_roi_align(build_atlas(maps), wide, 2, canonical_level=5), 4)


@forms
def test_one_level_equals_the_definition(aligned, ratio):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        height, width = rng.integers(2, 40, 2)
        features = rng.normal(size=[1, height, width, 2]).astype(np.float32)
        boxes = np.concatenate(
            [random_boxes(rng, 6, 4 * height, 4 * width), special_boxes(4 * height, 4 * width)]
        )
        found = roi_align(features, boxes[None], 3, ratio, aligned, stride=4.0)
        many = [features[0]] * len(boxes)
        expected = reference(many, boxes, [4.0] * len(boxes), 3, ratio, aligned)
        np.testing.assert_allclose(found[0], expected, atol=TOLERANCE)


@forms
def test_a_pyramid_equals_the_definition_on_each_rois_level(aligned, ratio):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        height, width = 32 * rng.integers(1, 6, 2)  # wide and high: the atlas's two shapes
        pyramid = random_pyramid(rng, height, width)
        boxes = np.concatenate([random_boxes(rng, 10, height, width), special_boxes(height, width)])
        found = pyramid_roi_align(build_atlas(pyramid), boxes[None], 3, ratio, aligned, 56.0)
        expected = pyramid_reference(pyramid, boxes, 3, ratio, aligned)
        np.testing.assert_allclose(found[0], expected, atol=TOLERANCE)


def test_the_largest_usual_image_stays_within_the_tolerance():
    rng = np.random.default_rng(0)
    pyramid = random_pyramid(rng, 832, 1344)
    boxes = np.concatenate([random_boxes(rng, 150, 832, 1344), special_boxes(832, 1344)])
    levels = level_of(boxes)
    maps = [pyramid[f"p{k}"][0] for k in levels]
    found = pyramid_roi_align(build_atlas(pyramid), boxes[None], 7)
    expected = reference(maps, boxes, 2.0**levels, 7, 2, True)
    np.testing.assert_allclose(found[0], expected, atol=TOLERANCE)


@pytest.mark.parametrize("aligned", [True, False])
def test_images_of_a_batch_do_not_mix(aligned):
    rng = np.random.default_rng(4)
    pyramid = random_pyramid(rng, images=2)
    boxes = np.stack([random_boxes(rng, 30, 128, 160) for _ in range(2)])
    together = pyramid_roi_align(build_atlas(pyramid), boxes, 7, 2, aligned, 56.0).numpy()
    assert together.shape == (2, 30, 7, 7, 2)
    for image in range(2):
        own = {p: m[image : image + 1] for p, m in pyramid.items()}
        expected = pyramid_reference(own, boxes[image], 7, 2, aligned)
        np.testing.assert_allclose(together[image], expected, atol=TOLERANCE)


def test_static_operations_and_unknown_shapes_give_the_same():
    rng = np.random.default_rng(5)
    pyramid = random_pyramid(rng, 96, 160, images=2)
    boxes = np.stack([np.concatenate([random_boxes(rng, 9, 96, 160), special_boxes(96, 160)])] * 2)
    expected = pyramid_roi_align(build_atlas(pyramid), boxes, 7).numpy()
    spec = {p: tf.TensorSpec([None, None, None, 2]) for p in ROI_LEVELS}
    known = {p: tf.TensorSpec(m.shape) for p, m in pyramid.items()}
    for inference in (False, True):
        for signature, rows in ((spec, [None, None, 4]), (known, boxes.shape)):

            @tf.function(input_signature=[signature, tf.TensorSpec(rows)])
            def pooled(pyramid, boxes, inference=inference):
                found = pyramid_roi_align(build_atlas(pyramid, inference=inference), boxes, 7)
                assert found.shape[2:] == [7, 7, 2]
                return found

            np.testing.assert_allclose(pooled(pyramid, boxes), expected, atol=5e-5)


def test_static_operations_have_no_operation_that_tensorrt_refuses():
    known = {
        p: tf.TensorSpec([1, 256 // 2**k, 320 // 2**k, 8]) for k, p in enumerate(ROI_LEVELS, 2)
    }
    graph = tf.function(
        lambda p, b: pyramid_roi_align(build_atlas(p, inference=True), b, 7)
    ).get_concrete_function(known, tf.TensorSpec([1, 100, 4]))
    operations = {o.type for o in graph.graph.get_operations()}
    assert "CropAndResize" in operations
    assert not operations & {"MirrorPad", "Where", "GatherV2", "ScatterNd", "While", "TopKV2"}


def test_half_precision_features_are_read_and_get_their_own_gradient_type():
    rng = np.random.default_rng(6)
    boxes = random_boxes(rng, 8, 128, 160)[None]
    for dtype in (tf.bfloat16, tf.float16):
        pyramid = {p: tf.cast(m, dtype) for p, m in random_pyramid(rng).items()}
        with tf.GradientTape() as tape:
            tape.watch(pyramid)
            found = pyramid_roi_align(build_atlas(pyramid), boxes, 7)
            value = tf.reduce_sum(found**2)
        assert found.dtype == tf.float32
        whole = build_atlas({p: tf.cast(m, tf.float32) for p, m in pyramid.items()})
        np.testing.assert_array_equal(found, pyramid_roi_align(whole, boxes, 7))
        for level, gradient in tape.gradient(value, pyramid).items():
            assert gradient.dtype == dtype
            assert np.isfinite(tf.cast(gradient, tf.float32)).all(), level


def test_no_rois_give_no_features():
    pyramid = random_pyramid(np.random.default_rng(0))
    assert pyramid_roi_align(build_atlas(pyramid), tf.zeros([1, 0, 4]), 7).shape == [1, 0, 7, 7, 2]


@forms
def test_gradient_equals_a_float64_scatter(aligned, ratio):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        height, width = rng.integers(2, 30, 2)
        features = tf.constant(rng.normal(size=[1, height, width, 2]), tf.float32)
        boxes = np.concatenate([random_boxes(rng, 6, height, width), special_boxes(height, width)])
        upstream = rng.normal(size=[len(boxes), 3, 3, 2]).astype(np.float32)
        with tf.GradientTape() as tape:
            tape.watch(features)
            value = tf.reduce_sum(roi_align(features, boxes[None], 3, ratio, aligned) * upstream)
        expected = reference_gradient([height, width, 2], upstream, boxes, 1.0, ratio, aligned)
        np.testing.assert_allclose(tape.gradient(value, features)[0], expected, atol=2e-4)


@tf.function
def pyramid_gradient(pyramid, boxes, upstream):
    with tf.GradientTape() as tape:
        tape.watch(pyramid)
        found = pyramid_roi_align(build_atlas(pyramid), boxes, 7, 2, True, 56.0)
        value = tf.reduce_sum(found * upstream)
    return tape.gradient(value, pyramid)


def pyramid_gradient_reference(pyramid, boxes, upstream):
    levels = level_of(boxes, 56.0)
    expected = {}
    for level, features in pyramid.items():
        k = int(level[1:])
        own = levels == k
        expected[level] = reference_gradient(
            features.shape[1:], upstream[own], boxes[own], 2.0**k, 2, True
        )
    return expected


def test_gradient_of_many_rois_is_right_in_30_of_30_repeats():
    # CropAndResizeGradImage adds from several threads without locks on a CPU (tensorflow#42033):
    # with it, 1 to 4 of 30 repeats of this case have lost updates.
    rng = np.random.default_rng(7)
    pyramid = {p: tf.constant(m) for p, m in random_pyramid(rng, channels=16).items()}
    boxes = random_boxes(rng, 512, 128, 160)
    upstream = rng.normal(size=[512, 7, 7, 16]).astype(np.float32)
    expected = pyramid_gradient_reference(pyramid, boxes, upstream)
    for repeat in range(30):
        found = pyramid_gradient(pyramid, tf.constant(boxes[None]), tf.constant(upstream[None]))
        for level in ROI_LEVELS:
            error = np.abs(found[level][0] - expected[level]).max()
            assert error < 1e-4 * np.abs(expected[level]).max(), (repeat, level)


def test_gradients_of_two_images_do_not_mix():
    rng = np.random.default_rng(8)
    pyramid = {p: tf.constant(m) for p, m in random_pyramid(rng, channels=3, images=2).items()}
    boxes = np.stack([random_boxes(rng, 20, 128, 160) for _ in range(2)])
    upstream = rng.normal(size=[2, 20, 7, 7, 3]).astype(np.float32)
    found = pyramid_gradient(pyramid, boxes, upstream)
    for level in ROI_LEVELS:
        for image in range(2):
            own = {p: m[image : image + 1] for p, m in pyramid.items()}
            expected = pyramid_gradient_reference(own, boxes[image], upstream[image])[level]
            np.testing.assert_allclose(found[level][image], expected, atol=1e-3)


@pytest.mark.parametrize("ratio", [1, 2, 3])
def test_the_gradient_that_a_gpu_takes_is_the_same(monkeypatch, ratio):
    # On a GPU the kernel's own gradient adds atomically. Here it is run on a CPU, on RoIs that
    # share no pixel, so that its lost updates cannot occur.
    rng = np.random.default_rng(9)
    features = tf.constant(rng.normal(size=[1, 40, 40, 2]), tf.float32)
    boxes = np.array([[[2, 3, 15, 12], [22, 2.5, 30, 18], [-3, 25, 14, 44], [25, 25, 25.5, 38]]])
    boxes = boxes.astype(np.float32)
    upstream = rng.normal(size=[1, 4, 5, 5, 2]).astype(np.float32)
    found = {}
    for gpus in ((), ("GPU",)):
        with monkeypatch.context() as patch, tf.GradientTape() as tape:
            roi_align_module._differentiable_pool.cache_clear()
            patch.setattr(tf.config, "list_logical_devices", lambda kind=None: gpus)  # noqa: B023
            tape.watch(features)
            value = tf.reduce_sum(roi_align(features, boxes, 5, ratio) * upstream)
            found[gpus] = tape.gradient(value, features).numpy()
    roi_align_module._differentiable_pool.cache_clear()
    np.testing.assert_allclose(found["GPU",], found[()], atol=2e-4)
    assert not np.array_equal(found["GPU",], found[()])  # two ways, indeed


def test_no_gradient_flows_to_the_boxes():
    pyramid = random_pyramid(np.random.default_rng(0))
    boxes = tf.constant([[[10.0, 10.0, 60.0, 80.0]]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(boxes)
        of_pyramid = tf.reduce_sum(pyramid_roi_align(build_atlas(pyramid), boxes, 7))
        of_one = tf.reduce_sum(roi_align(pyramid["p2"], boxes, 7, stride=4.0))
    assert tape.gradient(of_pyramid, boxes) is None
    assert tape.gradient(of_one, boxes) is None


@pytest.mark.parametrize("aligned", [True, False])
def test_adaptive_sampling_takes_one_sample_a_feature_pixel_of_a_bin(aligned):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2, 40, 50, 3)).astype(np.float32)
    # Bins of 2.5 x 1.2 pixels take 3 x 2 samples, bins of 0.8 x 0.9 pixels one.
    boxes = np.float32([[[3.2, 4.1, 15.7, 10.1], [0.0, 0.0, 4.0, 4.5]]] * 2)
    found = roi_align(features, boxes, side=5, sampling_ratio=0, aligned=aligned).numpy()
    for roi, samples in ((0, (3, 2)), (1, (1, 1))):
        y1, x1, y2, x2 = boxes[0, roi] - (0.5 if aligned else 0.0)
        at = [
            low + (np.arange(5 * n) + 0.5) * (high - low) / (5 * n)
            for low, high, n in ((y1, y2, samples[0]), (x1, x2, samples[1]))
        ]
        for b in range(2):
            expected = bilinear(features[b], *at)  # [5 * ny, 5 * nx, 3]
            expected = expected.reshape(5, samples[0], 5, samples[1], 3).mean(axis=(1, 3))
            np.testing.assert_allclose(found[b, roi], expected, atol=1e-4)


def bilinear(features, rows, columns):
    """Values at rows x columns (centres at whole numbers), edge pixels beyond the edge."""

    def weights(at, size):
        at = np.clip(at, 0, size - 1)
        return np.maximum(1 - np.abs(at[:, None] - np.arange(size)), 0)

    y, x = weights(rows, features.shape[0]), weights(columns, features.shape[1])
    return np.einsum("ih,jw,hwc->ijc", y, x, features)


def test_adaptive_sampling_equals_fixed_sampling_where_all_bins_want_as_many():
    features = np.random.default_rng(1).normal(size=(1, 30, 30, 2)).astype(np.float32)
    corners = np.random.default_rng(2).uniform(-6, 20, (1, 9, 2))
    boxes = np.concatenate([corners, corners + 13.5], axis=-1).astype(np.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, None, 4])])
    def adaptive(boxes):
        return roi_align(features, boxes, side=7, sampling_ratio=0)

    expected = roi_align(features, boxes, side=7, sampling_ratio=2)
    np.testing.assert_allclose(adaptive(boxes), expected, atol=1e-5)
    assert adaptive(boxes[:, :0]).shape == (1, 0, 7, 7, 2)
