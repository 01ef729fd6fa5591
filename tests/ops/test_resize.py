"""`ops/resize.py` against Pillow and against hand cases."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from helpers.paths import GOLDEN
from tfmaskrcnn.ops.resize import resize
from tfmaskrcnn.ops.tensors import as_graph

SEEDS = range(20)


FILE = GOLDEN / "skimage.npz"


def noise(seed, height, width, channels=3):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, channels), dtype=np.uint8)


def pillow(image, size):
    """Pillow's bilinear, first the rows and then the columns: what `Image.resize` does up to 12;
    Pillow 13 takes the columns first where that is less work, which changes some pixels by 1."""
    for new in ((size[1], image.shape[0]), (size[1], size[0])):
        image = np.asarray(Image.fromarray(image).resize(new, Image.Resampling.BILINEAR))
    return image


def test_enlarging_is_exact_on_a_plane():
    y, x = np.mgrid[0:20, 0:30] + 0.5
    plane = np.repeat((3.0 * y - 2.0 * x)[..., None], 3, axis=-1).astype(np.float32)
    found = resize(plane, (40, 90)).numpy()
    rows, cols = (np.arange(40) + 0.5) / 2, (np.arange(90) + 0.5) / 3
    expected = 3.0 * rows[:, None] - 2.0 * cols[None, :]
    np.testing.assert_allclose(found[2:-2, 3:-3, 0], expected[2:-2, 3:-3], atol=1e-3)


@pytest.mark.parametrize("size", [(31, 40), (64, 21), (120, 150), (90, 50)])
def test_resize_is_pillows_bilinear(size):
    image = noise(0, 71, 64)
    found = resize(image, size).numpy()
    expected = Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR)
    assert found.dtype == np.float32
    # Pillow rounds to integers after each axis.
    np.testing.assert_allclose(found, np.asarray(expected, np.float32), atol=1.01)


def test_without_antialiasing_each_pixel_is_read_from_four():
    # At half the size the centres fall on corners: the mean of 2 x 2 pixels; a third of the size
    # reads the middle one of each 3 x 3 alone.
    image = noise(0, 60, 90)
    halves = image.reshape(30, 2, 45, 2, 3).astype(np.float32).mean(axis=(1, 3))
    found = resize(image, (30, 45), "torch")
    np.testing.assert_allclose(found, halves, atol=1e-3)
    found = resize(image, (20, 30), "torch")
    np.testing.assert_allclose(found, image[1::3, 1::3], atol=1e-3)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_rule_pillow_is_equal_to_pillow_in_every_pixel(seed):
    rng = np.random.default_rng(seed)
    height, width, new_height, new_width = map(int, rng.integers(1, 260, 4))
    image = noise(seed, height, width)
    found = resize(image, (new_height, new_width), "pillow")
    np.testing.assert_array_equal(found, pillow(image, (new_height, new_width)))


def test_the_rule_pillow_is_the_same_in_a_graph_and_rounds_floats():
    image = noise(1, 37, 50)
    graph = as_graph(
        lambda image, size: resize(image, size, "pillow"),
        input_signature=[tf.TensorSpec([None, None, 3]), tf.TensorSpec([2], tf.int32)],
    )
    found = graph(image + np.float32(0.4), [20, 90])
    np.testing.assert_array_equal(found, pillow(image, (20, 90)))


def test_the_rule_skimage_is_matterports_resize():
    golden = np.load(FILE)
    for i in range(5):
        expected = golden[f"resized_{i}"].astype(int)
        found = resize(golden[f"image_{i}"], expected.shape[:2], "skimage").numpy()
        difference = np.abs(found - expected)
        # Where the exact value is whole, rounding errors there decide whether it is one less.
        assert difference.max() <= 1 and (difference > 0).mean() < 0.02, i
        # The border is darkened by black outside, where the image has black.
        assert (difference[0] > 0).mean() < 0.02, i


def test_the_rule_skimage_changes_nothing_at_the_same_size_and_nothing_in_one_colour():
    image = noise(0, 31, 45)
    np.testing.assert_array_equal(resize(image, (31, 45), "skimage"), image)
    grey = np.full((20, 30, 3), 37, np.uint8)
    np.testing.assert_array_equal(resize(grey, (47, 51), "skimage"), np.full((47, 51, 3), 37))
