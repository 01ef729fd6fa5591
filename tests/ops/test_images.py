"""`ops/images.py` against Detectron2's rule, Pillow and NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.config.model import InputConfig
from tfmaskrcnn.ops import contrast, images
from tfmaskrcnn.ops.resize import resize

SEEDS = range(20)
RULES = ("nearest", "floor", "even")


def noise(seed, height, width):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def detectron2_size(height, width, size, max_size):
    """detectron2.data.transforms.ResizeShortestEdge.get_output_shape, word for word."""
    scale = size * 1.0 / min(height, width)
    new_h, new_w = (size, scale * width) if height < width else (scale * height, size)
    if max(new_h, new_w) > max_size:
        scale = max_size * 1.0 / max(new_h, new_w)
        new_h, new_w = new_h * scale, new_w * scale
    return int(new_h + 0.5), int(new_w + 0.5)


@pytest.mark.parametrize(
    "height, width, expected",
    [
        (480, 640, (800, 1067)),
        (640, 480, (1067, 800)),
        (500, 1000, (667, 1333)),  # capped by the long side
        (800, 800, (800, 800)),
        (3, 20000, (1, 1333)),  # never empty
    ],
)
def test_fitted_size_of_known_images(height, width, expected):
    assert tuple(int(side) for side in images.fitted_size(height, width, 800, 1333)) == expected


def test_fitted_size_is_detectron2s_on_random_sizes():
    rng = np.random.default_rng(0)
    for height, width, side in rng.integers(50, 3000, (100, 3)):
        limit = int(side * 1.5)
        found = images.fitted_size(int(height), int(width), int(side), limit)
        assert tuple(map(int, found)) == detectron2_size(height, width, side, limit)


def test_rounding_down_is_torchvisions():
    rng = np.random.default_rng(2)
    for height, width, side in rng.integers(50, 3000, (100, 3)).tolist():
        limit = int(side * 1.5)
        # GeneralizedRCNNTransform: a scale, and floor(side * scale) in torch's interpolate.
        scale = min(side / min(height, width), limit / max(height, width))
        expected = int(np.floor(height * scale)), int(np.floor(width * scale))
        found = images.fitted_size(height, width, side, limit, rounding="floor")
        assert tuple(map(int, found)) == expected
    floored = InputConfig(min_side=300, max_side=600, size_rounding="floor")
    assert tuple(map(int, images.target_size(101, 150, floored))) == (300, 445)  # 445.5


def test_fitted_in_touches_the_box_and_stays_inside():
    rng = np.random.default_rng(1)
    for height, width, box_height, box_width in rng.integers(20, 900, (40, 4)).tolist():
        h, w = map(int, images.fitted_in(height, width, box_height, box_width))
        assert h <= box_height and w <= box_width
        assert h == box_height or w == box_width
        assert abs(h - w * height / width) <= 0.5 * (1 + height / width) + 1e-6


def test_target_size_obeys_fixed_size_then_min_side():
    fixed = InputConfig(fixed_size=(512, 1024))
    assert tuple(map(int, images.target_size(100, 100, fixed))) == (512, 512)
    plain = InputConfig(min_side=300, max_side=600)
    assert tuple(map(int, images.target_size(100, 150, plain))) == (300, 450)
    assert tuple(map(int, images.target_size(100, 150, plain, min_side=200))) == (200, 300)


def test_normalize_works_on_each_channel():
    config = InputConfig(mean=(1, 2, 3), std=(3, 4, 7))
    found = images.normalize(np.full((1, 1, 3), 10, np.uint8), config)
    np.testing.assert_allclose(found[0, 0], [3, 2, 1])


def test_the_order_of_channels_turns_before_mean_and_std():
    config = InputConfig(order="bgr", mean=(1, 2, 3), std=(1, 1, 1))
    found = images.normalize(np.uint8([[[10, 20, 30]]]), config)
    np.testing.assert_allclose(found[0, 0], [29, 18, 7])


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_numbers_of_channels_are_preprocessed(channels):
    config = InputConfig(
        min_side=20, max_side=30, channels=channels, mean=[1] * channels, std=[2] * channels
    )
    image = np.full((40, 50, channels), 11, np.uint8)
    np.testing.assert_allclose(images.preprocess(image, config)[0], np.full((20, 25, channels), 5))


@pytest.mark.parametrize("mean", [(100.0, 50.0, 20.0), (0.0, 0.0, 0.0)])
def test_centred_padding_is_black_on_all_sides(mean):
    config = InputConfig(padding="centred", mean=mean, std=(2, 1, 1), max_side=1344)
    image = np.random.default_rng(0).normal(size=(3, 5, 3)).astype(np.float32)
    found = images.pad_to(image, 8, 8, config).numpy()
    np.testing.assert_array_equal(found[2:5, 1:6], image)  # the odd pixel goes behind
    outside = np.ones((8, 8), bool)
    outside[2:5, 1:6] = False
    np.testing.assert_array_equal(found[outside], np.tile(-np.float32(mean) / [2, 1, 1], (49, 1)))
    whole = images.pad_to(image, 3, 5, config)
    np.testing.assert_array_equal(whole, image)


def test_an_image_that_is_large_enough_is_only_made_smaller_by_max_side():
    def size(height, width):
        found = images.fitted_size(height, width, 800, 1024, "even", enlarge_only=True)
        return tuple(map(int, found))

    assert size(900, 1000) == (900, 1000)
    assert size(400, 500) == (800, 1000)
    assert size(2000, 3000) == (683, 1024)


def test_even_rounding_sends_halves_to_the_even_side():
    sizes = [images.fitted_size(n, 200, 1000, 100, rule)[0] for rule in RULES for n in (65, 67)]
    assert list(map(int, sizes)) == [33, 34, 32, 33, 32, 34]


def test_padding_is_zero_at_the_bottom_and_the_right():
    image = np.ones((3, 5, 3), np.float32)
    found = images.pad_to(image, *images.padded_size(3, 5, 4), InputConfig()).numpy()
    assert found.shape == (4, 8, 3)
    np.testing.assert_array_equal(found[:3, :5], image)
    assert found.sum() == image.sum()
    assert images.padded_size(64, 65, 32) == (64, 96)


@pytest.mark.parametrize("shape", [(40, 60), (90, 31), (7, 100)])
def test_preprocess_is_the_same_eagerly_and_in_tf_data(shape):
    config = InputConfig(min_side=48, max_side=64, stretch_contrast=True, invert_bright=True)
    image = noise(3, *shape)
    eager, scale = images.preprocess(image, config)
    dataset = tf.data.Dataset.from_tensors(image).map(lambda x: images.preprocess(x, config))
    (mapped, mapped_scale) = next(iter(dataset))
    assert dataset.element_spec[0].shape.as_list()[-1] == 3
    # tf.data runs one graph, eager mode one kernel after the other: rounding may differ.
    np.testing.assert_allclose(eager, mapped, atol=1e-4)
    np.testing.assert_array_equal(scale, mapped_scale)
    np.testing.assert_allclose(scale * np.float32(shape), eager.shape[:2])


def test_preprocess_enhances_before_it_resizes_and_normalises_last():
    config = InputConfig(min_side=20, max_side=30, stretch_contrast=True, invert_bright=True)
    image = noise(4, 40, 50) // 4 + 190
    stretched = contrast.stretch_contrast(image)
    expected = resize(contrast.invert_bright(stretched), (20, 25))
    expected = (expected - np.float32(config.mean)) / np.float32(config.std)
    np.testing.assert_allclose(images.preprocess(image, config)[0], expected, atol=1e-4)
