import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.config.model import AnchorConfig
from tfmaskrcnn.ops.anchors import cell_anchors, level_anchors, level_stride, pyramid_anchors
from tfmaskrcnn.ops.structures import PYRAMID_LEVELS

RATIOS = (0.5, 1.0, 2.0)


def maps(height, width, channels=1):
    """Zero feature maps of a padded input of `height` x `width` pixels."""
    shapes = {p: (-(-height // 2**s), -(-width // 2**s)) for s, p in enumerate(PYRAMID_LEVELS, 2)}
    return {p: tf.zeros([2, h, w, channels]) for p, (h, w) in shapes.items()}


def test_strides_double_from_four():
    assert [level_stride(p) for p in PYRAMID_LEVELS] == [4, 8, 16, 32, 64]


def test_anchors_of_32_pixels_have_detectron2s_numbers():
    # DefaultAnchorGenerator(sizes=[[32]], aspect_ratios=[[0.5, 1, 2]]).cell_anchors, xyxy there:
    # [-22.6274, -11.3137, 22.6274, 11.3137], [-16, ...], [-11.3137, -22.6274, ...].
    long, short = 22.6274, 11.3137
    expected = [
        [-short, -long, short, long],  # ratio 0.5 is lower than wide
        [-16.0, -16.0, 16.0, 16.0],
        [-long, -short, long, short],
    ]
    found = cell_anchors([32], RATIOS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_cell_anchors_keep_area_and_ratio_and_put_sizes_outside_ratios():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        sizes, ratios = rng.uniform(4, 500, 3), rng.uniform(0.2, 5.0, 4)
        found = cell_anchors(sizes, ratios)
        height, width = found[:, 2] - found[:, 0], found[:, 3] - found[:, 1]
        np.testing.assert_allclose(np.sqrt(height * width), np.repeat(sizes, 4), rtol=1e-5)
        np.testing.assert_allclose(height / width, np.tile(ratios, 3), rtol=1e-5)
        np.testing.assert_allclose(found[:, :2], -found[:, 2:])


@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_anchors_run_by_row_column_cell_anchor(offset):
    cell = cell_anchors([32, 64], RATIOS)
    found = level_anchors(cell, 3, 5, 16, offset).numpy().reshape(3, 5, 6, 4)
    for i in range(3):
        for j in range(5):
            y, x = (i + offset) * 16, (j + offset) * 16
            np.testing.assert_allclose(found[i, j], cell + [y, x, y, x], atol=1e-4)


def test_first_cell_is_centred_on_the_images_corner_by_default():
    # Detectron2: ANCHOR_GENERATOR.OFFSET 0.0, so cell i's centre is at i * stride.
    config = AnchorConfig()
    anchors = pyramid_anchors(maps(128, 192), config.sizes, config.ratios, config.offset)
    for level, size in zip(PYRAMID_LEVELS, (32, 64, 128, 256, 512)):
        first = anchors[level].numpy()[:3]
        np.testing.assert_allclose(first[:, :2] + first[:, 2:], np.zeros([3, 2]), atol=1e-4)
        np.testing.assert_allclose(first[1], np.array([-1, -1, 1, 1]) * size / 2)
        second = anchors[level].numpy()[3:6]
        center = (second[:, :2] + second[:, 2:]) / 2
        np.testing.assert_allclose(center, [[0, level_stride(level)]] * 3, atol=1e-4)


def test_torchvisions_anchors_are_whole_pixels():
    found = cell_anchors([32], RATIOS, whole_pixels=True)
    # Halves of 32 / sqrt(2) = 22.6 and 45.3.
    np.testing.assert_array_equal(
        found, [[-11, -23, 11, 23], [-16, -16, 16, 16], [-23, -11, 23, 11]]
    )


def test_torchvision_puts_ratios_outside_sizes():
    # AnchorGenerator(((16, 25),), ((0.5, 1.0, 2.0),)).cell_anchors of torchvision 0.29.1: corners
    # (x, y) of the ratio 0.5 first.
    corners = [[11, 6], [18, 9], [8, 8], [12, 12], [6, 11], [9, 18]]
    found = cell_anchors([16, 25], RATIOS, whole_pixels=True, ratio_major=True)
    np.testing.assert_array_equal(found[:, [3, 2]], corners)
    np.testing.assert_array_equal(found[:, :2], -found[:, 2:])
    features, sizes = maps(64, 96), [[16, 25]] * 5
    level = pyramid_anchors(features, sizes, RATIOS, 0.0, True, False, ratio_major=True)["p2"]
    np.testing.assert_array_equal(level[:6], found)


def test_torchvisions_strides_are_the_padded_size_over_the_cells():
    features = maps(352, 96)  # p5 has 11 rows and p6 6, p5 has 3 columns and p6 2
    sizes = AnchorConfig().sizes
    plain = pyramid_anchors(features, sizes, RATIOS, 0.0)
    found = pyramid_anchors(features, sizes, RATIOS, 0.0, stride_from_size=True)
    for level in ("p2", "p3", "p4", "p5"):
        np.testing.assert_array_equal(found[level], plain[level])
    p6 = found["p6"].numpy().reshape(6, 2, 3, 4)
    center = (p6[..., :2] + p6[..., 2:]) / 2
    np.testing.assert_allclose(center[:, 0, 0, 0], np.arange(6) * 58, atol=1e-3)  # 352 // 6
    np.testing.assert_allclose(center[0, :, 0, 1], np.arange(2) * 48, atol=1e-3)  # 96 // 2


def test_pyramid_has_all_levels_with_an_anchor_a_cell_and_ratio():
    anchors = pyramid_anchors(maps(160, 96), AnchorConfig().sizes, RATIOS, 0.0)
    assert list(anchors) == list(PYRAMID_LEVELS)
    counts = {level: a.shape[0] for level, a in anchors.items()}
    assert counts == {"p2": 2880, "p3": 720, "p4": 180, "p5": 45, "p6": 18}


def test_unknown_sizes_give_the_same_anchors_as_known_ones():
    features = maps(96, 160)
    sizes = AnchorConfig().sizes
    spec = {p: tf.TensorSpec([None, None, None, 1]) for p in PYRAMID_LEVELS}

    for from_size in (False, True):

        @tf.function(input_signature=[spec])
        def dynamic(features, from_size=from_size):
            return pyramid_anchors(features, sizes, RATIOS, 0.0, stride_from_size=from_size)

        known = pyramid_anchors(features, sizes, RATIOS, 0.0, stride_from_size=from_size)
        unknown = dynamic(features)
        for level in PYRAMID_LEVELS:
            np.testing.assert_array_equal(known[level], unknown[level])


def test_a_map_without_cells_has_no_anchors():
    assert level_anchors(cell_anchors([32], RATIOS), 0, 5, 16, 0.0).shape == [0, 4]
