import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.checkpoints.presets import TORCHVISION
from tfmaskrcnn.config.yaml_files import parse_config
from tfmaskrcnn.ops.roi_levels import roi_levels


def levels(sides, *rule):
    boxes = tf.constant([[[3.0, 5.0, 3.0 + side, 5.0 + side] for side in sides]])
    return list(roi_levels(boxes, *rule)[0].numpy() + 2)


def test_floor_changes_the_level_at_octaves_below_the_canonical_size():
    assert levels([1, 111.9, 112.1, 223.9, 224.1, 447.9, 448.1, 5000]) == [2, 2, 3, 3, 4, 4, 5, 5]


def test_round_changes_it_half_an_octave_earlier():
    edges = [224 * 2.0**octave for octave in (-1.5, -0.5, 0.5)]
    sides = [side * factor for side in edges for factor in (0.99, 1.01)]
    assert levels(sides, 224.0, 4, "round") == [2, 3, 3, 4, 4, 5]


def test_torchvisions_mapping_is_a_hair_above_the_paper():
    # floor(4 + log2(side / 224) + 1e-6) there; the literal of its preset stands for the 1e-6.
    size = parse_config({}, TORCHVISION).model.roi.canonical_size
    sides = [factor * 224 for factor in (0.5 - 1e-6, 0.5 - 2e-7, 1 - 2e-6, 1 - 4e-7, 2 - 8e-7)]
    assert levels(sides, size) == [2, 3, 3, 4, 5]
    assert levels(sides) == [2, 2, 3, 3, 4]


@pytest.mark.parametrize("rounding", ["floor", "round"])
def test_the_level_follows_the_area_and_grows_with_it(rounding):
    rng = np.random.default_rng(0)
    area, ratio = np.exp(rng.uniform(0, 14, 50)), np.exp(rng.uniform(-2, 2, 50))
    height, width = np.sqrt(area * ratio), np.sqrt(area / ratio)
    boxes = np.stack([0 * area, 0 * area, height, width], axis=1)[None].astype(np.float32)
    found = roi_levels(tf.constant(boxes), rounding=rounding)[0].numpy()
    assert (np.diff(found[np.argsort(area)]) >= 0).all() and set(found) == {0, 1, 2, 3}


def test_an_empty_box_reads_the_first_level_and_no_boxes_give_none():
    assert levels([0]) == levels([0], 224.0, 4, "round") == [2]
    assert roi_levels(tf.zeros([2, 0, 4])).shape == [2, 0]
