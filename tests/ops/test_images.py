"""`ops/images.py` against Detectron2's rule, Pillow and NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfmaskrcnn.model_config import InputConfig
from tfmaskrcnn.ops import images

SEEDS = range(20)


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


def test_enlarging_is_exact_on_a_plane():
    y, x = np.mgrid[0:20, 0:30] + 0.5
    plane = np.repeat((3.0 * y - 2.0 * x)[..., None], 3, axis=-1).astype(np.float32)
    found = images.resize(plane, (40, 90)).numpy()
    rows, cols = (np.arange(40) + 0.5) / 2, (np.arange(90) + 0.5) / 3
    expected = 3.0 * rows[:, None] - 2.0 * cols[None, :]
    np.testing.assert_allclose(found[2:-2, 3:-3, 0], expected[2:-2, 3:-3], atol=1e-3)


@pytest.mark.parametrize("size", [(31, 40), (64, 21), (120, 150), (90, 50)])
def test_resize_is_pillows_bilinear(size):
    image = noise(0, 71, 64)
    found = images.resize(image, size).numpy()
    expected = Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR)
    assert found.dtype == np.float32
    # Pillow rounds to integers after each axis.
    np.testing.assert_allclose(found, np.asarray(expected, np.float32), atol=1.01)


def test_without_antialiasing_each_pixel_is_read_from_four():
    # At half the size the centres fall on corners: the mean of 2 x 2 pixels; a third of the size
    # reads the middle one of each 3 x 3 alone.
    image = noise(0, 60, 90)
    halves = image.reshape(30, 2, 45, 2, 3).astype(np.float32).mean(axis=(1, 3))
    found = images.resize(image, (30, 45), antialias=False)
    np.testing.assert_allclose(found, halves, atol=1e-3)
    found = images.resize(image, (20, 30), antialias=False)
    np.testing.assert_allclose(found, image[1::3, 1::3], atol=1e-3)


@pytest.mark.parametrize("seed", SEEDS)
def test_stretch_contrast_sends_the_percentiles_to_0_and_255(seed):
    rng = np.random.default_rng(seed)
    dark = rng.gamma(2.0, 8.0, (40, 50, 3)).clip(0, 255).astype(np.uint8)
    low, high = np.percentile(dark, [0.2, 99.8], method="inverted_cdf").astype(np.float32)
    expected = ((dark - low) * 255 / (high - low)).clip(0, 255)
    np.testing.assert_allclose(images.stretch_contrast(dark), expected, atol=1e-3)


def test_stretch_contrast_leaves_a_constant_image():
    image = np.full((5, 6, 3), 77, np.uint8)
    np.testing.assert_array_equal(images.stretch_contrast(image), image.astype(np.float32))


def test_invert_bright_goes_by_the_median():
    image = np.full((10, 10, 3), 200, np.uint8)
    image[:4] = 0  # the mean is 120, below the limit; most pixels are bright
    np.testing.assert_array_equal(images.invert_bright(image), 255.0 - image)
    image = np.full((10, 10, 3), 127, np.uint8)
    np.testing.assert_array_equal(images.invert_bright(image), image.astype(np.float32))


def test_normalize_works_on_each_channel():
    found = images.normalize(np.full((1, 1, 3), 10, np.uint8), (1, 2, 3), (3, 4, 7))
    np.testing.assert_allclose(found[0, 0], [3, 2, 1])


def test_padding_is_zero_at_the_bottom_and_the_right():
    image = np.ones((3, 5, 3), np.float32)
    found = images.pad_to(image, *images.padded_size(3, 5, 4)).numpy()
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
    stretched = images.stretch_contrast(image)
    expected = images.resize(images.invert_bright(stretched), (20, 25))
    expected = (expected - np.float32(config.mean)) / np.float32(config.std)
    np.testing.assert_allclose(images.preprocess(image, config)[0], expected, atol=1e-4)
