import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.ops.masks import SOFT_SAMPLES, mask_targets


def one_target(roi, box, mask, side=28):
    """[M, M] target of a single RoI and object."""
    return mask_targets(
        tf.constant([[roi]], tf.float32),
        tf.constant([[box]], tf.float32),
        tf.constant(mask[None, None], tf.uint8),
        tf.zeros([1, 1], tf.int32),
        side,
    ).numpy()[0, 0]


def blob(seed, side=112):
    """A smooth random mask: a few thick discs."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] + 0.5
    mask = np.zeros((side, side), bool)
    for _ in range(3):
        cy, cx, radius = rng.uniform([0.2, 0.2, 0.15], [0.8, 0.8, 0.35]) * side
        mask |= (y - cy) ** 2 + (x - cx) ** 2 < radius**2
    return mask.astype(np.uint8)


def bilinear(mask, y, x):
    """Value of a mask at (y, x) in mask pixels, pixel i centred at i + 0.5, zeros outside."""
    value = 0.0
    for row in (np.floor(y - 0.5), np.floor(y - 0.5) + 1):
        for column in (np.floor(x - 0.5), np.floor(x - 0.5) + 1):
            weight = (1 - abs(y - 0.5 - row)) * (1 - abs(x - 0.5 - column))
            if 0 <= row < len(mask) and 0 <= column < len(mask):
                value += weight * mask[int(row), int(column)]
    return value


def seen_through(roi, box, mask, side):
    """[M, M] float64: the mask at the centres of the RoI's pixels, before it is cut at 0.5."""
    roi, box = np.asarray(roi, np.float64), np.asarray(box, np.float64)
    out = np.zeros((side, side))
    for i in range(side):
        for j in range(side):
            point = roi[:2] + (np.array([i, j]) + 0.5) * (roi[2:] - roi[:2]) / side
            out[i, j] = bilinear(mask, *(point - box[:2]) / (box[2:] - box[:2]) * len(mask))
    return out


def random_box(rng, low=4.0, high=60.0):
    corner, size = rng.uniform(0.0, 50.0, 2), rng.uniform(low, high, 2)
    return np.concatenate([corner, corner + size]).astype(np.float32)


@pytest.mark.parametrize("seed", range(20))
def test_a_roi_equal_to_the_box_gives_the_mask_shrunk(seed):
    mask = blob(seed)
    box = [13.0, 7.0, 93.0, 47.0]
    found = one_target(box, box, mask)
    expected = mask.reshape(28, 4, 28, 4).mean((1, 3)) >= 0.5
    padded = np.pad(expected, 1, mode="edge")
    windows = np.stack([padded[i : i + 28, j : j + 28] for i in range(3) for j in range(3)])
    rim = windows.any(0) & ~windows.all(0)  # pixels beside the outline
    np.testing.assert_array_equal(found[~rim], expected[~rim])
    assert 0 < found.sum() < 28 * 28 and (found != expected).mean() < 0.03


def test_a_quadrant_lands_in_its_own_corner():
    # Top right quarter of the box; a swap of the axes would show it bottom left.
    mask = np.zeros((112, 112), np.uint8)
    mask[:56, 56:] = 1
    found = one_target([10, 20, 30, 80], [10, 20, 30, 80], mask, side=4)
    np.testing.assert_array_equal(found, [[0, 0, 1, 1], [0, 0, 1, 1], [0] * 4, [0] * 4])


def test_outside_the_box_the_target_is_0():
    # The RoI has pixels of side 1, the box covers rows 8..15 and columns 4..19.
    found = one_target([0, 0, 24, 24], [8, 4, 16, 20], np.ones((112, 112)), side=24)
    expected = np.zeros((24, 24))
    expected[8:16, 4:20] = 1
    np.testing.assert_array_equal(found, expected)


def test_half_a_roi_over_the_box_sees_half_a_mask():
    found = one_target([0, 0, 10, 10], [0, 5, 10, 15], np.ones((112, 112)), side=10)
    expected = np.zeros((10, 10))
    expected[:, 5:] = 1
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("beyond", [-0.02, 0.02])
def test_the_mask_ends_at_the_border_of_the_box(beyond):
    # Pixel centres lie 0.02 pixels inside or outside the border on all four sides: the first
    # pixel's centre is at 8 - beyond, the last one's at 16 + beyond.
    roi = [7.5 - beyond, 7.5 - beyond, 16.5 + beyond, 16.5 + beyond]
    found = one_target(roi, [8, 8, 16, 16], np.ones((112, 112)), side=9)
    expected = np.ones((9, 9))
    if beyond > 0:
        expected[[0, -1]] = expected[:, [0, -1]] = 0
    np.testing.assert_array_equal(found, expected)


def test_a_roi_beside_the_box_sees_nothing():
    mask = np.ones((112, 112))
    for roi in ([0, 40, 10, 50], [40, 0, 50, 10], [500, 500, 600, 600], [0, 0, 9.9, 9.9]):
        assert not one_target(roi, [10, 10, 30, 30], mask).any()


@pytest.mark.parametrize("box", [[0, 0, 0, 0], [5, 5, 5, 9], [9, 9, 5, 5]])
@pytest.mark.parametrize("roi", [[0, 0, 0, 0], [0, 0, 800, 1333]])
def test_a_box_without_area_has_an_empty_target(roi, box):
    assert not one_target(roi, box, np.ones((112, 112))).any()


def test_a_roi_without_area_sees_one_point():
    mask = np.ones((112, 112))
    assert one_target([12, 12, 12, 12], [10, 10, 30, 30], mask).all()
    assert not one_target([12, 31, 12, 31], [10, 10, 30, 30], mask).any()


@pytest.mark.parametrize("seed", range(20))
def test_it_agrees_with_bilinear_sampling_in_float64(seed):
    rng = np.random.default_rng(seed)
    batch, rois, objects, side, mini = 2, 3, 2, 6 + seed % 3, (112, 28, 16)[seed % 3]
    boxes = np.stack([random_box(rng) for _ in range(batch * objects)]).reshape(batch, objects, 4)
    regions = np.stack([random_box(rng) for _ in range(batch * rois)]).reshape(batch, rois, 4)
    masks = (rng.uniform(size=(batch, objects, mini, mini)) < 0.5).astype(np.uint8)
    index = rng.integers(0, objects, (batch, rois)).astype(np.int32)
    found = mask_targets(regions, boxes, masks, index, side).numpy()
    assert found.shape == (batch, rois, side, side) and found.dtype == np.float32
    for b in range(batch):
        for r in range(rois):
            g = index[b, r]
            value = seen_through(regions[b, r], boxes[b, g], masks[b, g], side)
            clear = np.abs(value - 0.5) > 1e-3  # float32 may round the others either way
            assert clear.mean() > 0.9
            np.testing.assert_array_equal(found[b, r][clear], value[clear] >= 0.5)


def test_soft_targets_are_the_share_of_a_pixel_that_is_covered():
    # The left 5 of 8 pixels of the object are covered, and the RoI is the object in 4 x 4 pixels:
    # of its third column half.
    mask = np.zeros((1, 1, 8, 8), np.uint8)
    mask[..., :5] = 1
    box = np.float32([[[10, 10, 42, 42]]])
    found = mask_targets(box, box, mask, np.int32([[0]]), 4, soft=True)[0, 0].numpy()
    # Within half a mask pixel of an edge bilinear samples lie between, at the box's border too.
    np.testing.assert_allclose(found[1:3, 1:], [[1, 0.5, 0]] * 2, atol=0.04)
    assert set(np.unique(mask_targets(box, box, mask, np.int32([[0]]), 4))) == {0.0, 1.0}


@pytest.mark.parametrize("seed", range(20))
def test_soft_targets_are_means_of_finer_samples(seed):
    rng = np.random.default_rng(seed)
    roi, box = random_box(rng), random_box(rng)
    mask = (rng.uniform(size=(28, 28)) < 0.5).astype(np.uint8)
    fine = seen_through(roi, box, mask, 6 * SOFT_SAMPLES)
    expected = fine.reshape(6, SOFT_SAMPLES, 6, SOFT_SAMPLES).mean(axis=(1, 3))
    given = np.float32(roi)[None, None], np.float32(box)[None, None], mask[None, None]
    found = mask_targets(*given, np.int32([[0]]), 6, soft=True)
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-4)


def test_unknown_batch_and_number_of_rois_give_the_same():
    rng = np.random.default_rng(0)
    specs = [
        tf.TensorSpec([None, None, 4]),
        tf.TensorSpec([None, None, 4]),
        tf.TensorSpec([None, None, 112, 112], tf.uint8),
        tf.TensorSpec([None, None], tf.int32),
    ]

    @tf.function(input_signature=specs)
    def dynamic(rois, boxes, masks, index):
        targets = mask_targets(rois, boxes, masks, index, 28)
        assert targets.shape[2:] == [28, 28]
        return targets

    for batch, rois in ((1, 1), (2, 5)):
        case = (
            np.stack([[random_box(rng) for _ in range(rois)] for _ in range(batch)]),
            np.stack([[random_box(rng) for _ in range(3)] for _ in range(batch)]),
            np.stack([[blob(g) for g in range(3)] for _ in range(batch)]),
            rng.integers(0, 3, (batch, rois)).astype(np.int32),
        )
        found = dynamic(*case)
        assert found.shape == [batch, rois, 28, 28]
        np.testing.assert_array_equal(found, mask_targets(*case, 28))


def test_an_image_without_objects_has_empty_targets():
    # Its ground truth is padding: boxes of size 0 and masks of zeros.
    rois = tf.constant([[[0, 0, 50, 50], [0, 0, 0, 0]]], tf.float32)
    found = mask_targets(
        rois, tf.zeros([1, 3, 4]), tf.zeros([1, 3, 112, 112], tf.uint8), [[0, 0]], 28
    )
    np.testing.assert_array_equal(found, np.zeros((1, 2, 28, 28)))
