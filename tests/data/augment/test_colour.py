"""`data/augment/colour.py`."""

import colorsys

import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.config.run import AugmentConfig
from tfmaskrcnn.data.augment.colour import random_colour

SEEDS = range(20)
LUMA = np.float32([0.299, 0.587, 0.114])


def pixels(seed):
    """[8, 9, 3] float32 of moderate colours, so that nothing is clipped."""
    return np.random.default_rng(seed).uniform(100, 150, (8, 9, 3)).astype(np.float32)


@pytest.mark.parametrize("seed", SEEDS)
def test_brightness_and_contrast_stay_in_their_ranges(seed):
    image, key = pixels(seed), tf.constant([seed, 1])
    shift = random_colour(key, image, AugmentConfig(brightness=0.2)) - image
    assert np.ptp(shift) < 1e-3 and 0.01 < abs(np.mean(shift)) <= 51.001
    found = random_colour(key, image, AugmentConfig(contrast=0.3)).numpy()
    gain = found.std() / image.std()
    assert 0.699 < gain < 1.301 and abs(gain - 1) > 1e-4
    assert found.mean() == pytest.approx(image.mean(), abs=1e-2)


@pytest.mark.parametrize("seed", SEEDS)
def test_saturation_scales_colours_about_their_grey(seed):
    image = pixels(seed)
    found = random_colour([seed, 1], image, AugmentConfig(saturation=0.5)).numpy()
    grey = (image @ LUMA)[..., None]
    gain = np.sum((found - grey) * (image - grey)) / np.sum((image - grey) ** 2)
    assert 0.499 < gain < 1.501 and abs(gain - 1) > 1e-4
    np.testing.assert_allclose(found, grey + gain * (image - grey), atol=0.05)


def test_hue_turns_colours_and_keeps_their_luma():
    red = np.float32([[[150, 100, 100]]])
    found = np.array([random_colour([s, 1], red, AugmentConfig(hue=0.25))[0, 0] for s in range(40)])
    np.testing.assert_allclose(found @ LUMA, red[0, 0] @ LUMA, atol=0.05)
    hues = np.array([colorsys.rgb_to_hsv(*rgb)[0] for rgb in found])
    hues = (hues + 0.5) % 1 - 0.5  # red is 0
    # The quarter of the colour plane's circle is not quite that of the HSV hexagon.
    assert hues.min() < -0.15 and hues.max() > 0.15 and np.abs(hues).max() < 0.32


def test_grey_has_no_colour_to_change():
    grey = np.repeat(pixels(0)[..., :1], 3, axis=-1)
    found = random_colour([3, 1], grey, AugmentConfig(hue=0.5, saturation=1))
    np.testing.assert_allclose(found, grey, atol=0.02)


def test_colour_changes_are_clipped_and_absent_by_default():
    image = np.float32([[[0, 128, 255]]])
    assert random_colour([0, 1], image, AugmentConfig()) is image
    strong = AugmentConfig(brightness=0.9, contrast=0.9, saturation=1, hue=0.5)
    found = np.array([random_colour([s, 1], image, strong) for s in range(20)])
    assert found.min() == 0 and found.max() == 255
