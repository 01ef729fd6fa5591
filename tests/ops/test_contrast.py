"""`ops/contrast.py` against NumPy, and on images that are shrunk in bands."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from helpers.large_picture import bytes_a_pixel
from tfmaskrcnn.config.model import InputConfig
from tfmaskrcnn.ops import contrast, resize
from tfmaskrcnn.ops.contrast import enhance, invert_bright, stretch_contrast
from tfmaskrcnn.ops.images import normalize, preprocess
from tfmaskrcnn.ops.tensors import as_graph

SEEDS = range(20)


def faint(seed, height, width, channels=3, background=0):
    """[H, W, C] uint8 with few bright values."""
    values = np.random.default_rng(seed).gamma(2.0, 8.0, (height, width, channels))
    return (values + background).clip(0, 255).astype(np.uint8)


def share_below(image):
    """[256] float32: which share of the values is at most v, of all values at once."""
    levels = np.cumsum(np.bincount(np.int32(image).ravel(), minlength=256))
    return levels.astype(np.float32) / np.float32(levels[-1])


def stretched_at_once(image):
    """Stretching in float32 as NumPy does it, with the whole image in memory."""
    low, high = (np.float32((share_below(image) < np.float32(s)).sum()) for s in (0.002, 0.998))
    image = image.astype(np.float32)
    if high <= low:
        return image
    return ((image - low) * (np.float32(255) / (high - low))).clip(0, 255)


def inverted_at_once(image):
    bright = (share_below(image) < np.float32(0.5)).sum() > 127
    return np.float32(255) - image.astype(np.float32) if bright else image.astype(np.float32)


@pytest.mark.parametrize("seed", SEEDS)
def test_stretch_contrast_sends_the_percentiles_to_0_and_255(seed):
    rng = np.random.default_rng(seed)
    dark = rng.gamma(2.0, 8.0, (40, 50, 3)).clip(0, 255).astype(np.uint8)
    low, high = np.percentile(dark, [0.2, 99.8], method="inverted_cdf").astype(np.float32)
    expected = ((dark - low) * 255 / (high - low)).clip(0, 255)
    np.testing.assert_allclose(stretch_contrast(dark), expected, atol=1e-3)


def test_stretch_contrast_leaves_a_constant_image():
    image = np.full((5, 6, 3), 77, np.uint8)
    np.testing.assert_array_equal(stretch_contrast(image), image.astype(np.float32))


def test_invert_bright_goes_by_the_median():
    image = np.full((10, 10, 3), 200, np.uint8)
    image[:4] = 0  # the mean is 120, below the limit; most pixels are bright
    np.testing.assert_array_equal(invert_bright(image), 255.0 - image)
    image = np.full((10, 10, 3), 127, np.uint8)
    np.testing.assert_array_equal(invert_bright(image), image.astype(np.float32))


@pytest.mark.parametrize("seed", SEEDS)
def test_both_are_to_the_bit_what_the_whole_image_gives_at_once(monkeypatch, seed):
    monkeypatch.setattr(contrast, "_COUNTED", 1000)  # the histogram of several parts
    channels = (1, 3, 4)[seed % 3]
    image = faint(seed, 37, 53, channels, background=(0, 180, 110)[seed // 3 % 3])
    stretched = stretched_at_once(image)
    np.testing.assert_array_equal(stretch_contrast(image), stretched)
    np.testing.assert_array_equal(invert_bright(image), inverted_at_once(image))
    both = InputConfig(stretch_contrast=True, invert_bright=True)
    np.testing.assert_array_equal(enhance(image, both), inverted_at_once(stretched))
    np.testing.assert_array_equal(enhance(image, InputConfig()), image)


@pytest.mark.parametrize("shape", [(90, 131), (131, 20), (20, 22)])
def test_in_bands_an_image_is_to_the_bit_what_it_is_as_a_whole(monkeypatch, shape):
    monkeypatch.setattr(resize, "_BAND", 7 * shape[0])  # 7 columns, which do not divide the width
    config = InputConfig(min_side=24, max_side=60, stretch_contrast=True, invert_bright=True)
    image = faint(1, *shape, background=150)
    size = tf.shape(preprocess(image, config)[0])[:2]

    def in_bands(image):
        return preprocess(image, config)[0]

    def at_once(image):
        return normalize(resize.resize(enhance(image, config), size), config)

    np.testing.assert_array_equal(in_bands(image), at_once(image))
    # A graph rounds the normalisation otherwise than eager mode, in both ways of going alike.
    specs = [tf.TensorSpec([None, None, 3], tf.uint8)]
    graphs = [as_graph(function, input_signature=specs) for function in (in_bands, at_once)]
    np.testing.assert_array_equal(*(graph(image) for graph in graphs))


@pytest.mark.parametrize("rule", ["torch", "pillow", "skimage"])
def test_other_rules_get_the_whole_image_enhanced(rule):
    config = InputConfig(min_side=24, max_side=60, stretch_contrast=True, resize=rule)
    image = faint(2, 48, 60)
    whole = resize.resize(stretch_contrast(image), (24, 30), rule)
    np.testing.assert_array_equal(preprocess(image, config)[0], normalize(whole, config))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_large_picture_is_never_there_in_float32():
    # 3 are the picture, 12 would be a copy in float32; at once it took 47. Parts that do not grow
    # with it are 2 at this size.
    both = {"stretch_contrast": True, "invert_bright": True}
    assert bytes_a_pixel(7000, **both) < 15
