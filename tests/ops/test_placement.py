import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.config.yaml_files import parse_config
from tfmaskrcnn.ops.placement import (
    clip_sizes,
    image_offset,
    in_image,
    in_original,
    inner_boxes,
    outer_boxes,
)

SIZES = tf.constant([[20.0, 31.0], [64.0, 64.0]])
IMAGES = tf.zeros([2, 64, 64, 3])


def config(*overrides):
    return parse_config({}, [f"model.{o}" for o in overrides]).model


USUAL = config()
CENTRED = config("input={padding: centred, min_side: 64, max_side: 64}")
MATTERPORT = config(
    "input={padding: centred, min_side: 64, max_side: 64}",
    "inclusive_boxes=true",
    "rpn.clip_to=input",
)


def test_the_odd_pixel_of_centred_padding_lies_behind():
    np.testing.assert_array_equal(image_offset(SIZES, [64, 64], CENTRED.input), [[22, 16], [0, 0]])
    np.testing.assert_array_equal(image_offset(SIZES, [64, 64], USUAL.input), np.zeros((2, 2)))


def test_boxes_are_clipped_to_what_the_image_fills():
    limits = clip_sizes(IMAGES, SIZES, USUAL)
    np.testing.assert_array_equal(limits.proposals, SIZES)
    np.testing.assert_array_equal(limits.detections, SIZES)
    limits = clip_sizes(IMAGES, SIZES, CENTRED)
    np.testing.assert_array_equal(limits.detections, [[22, 16, 42, 47], [0, 0, 64, 64]])
    np.testing.assert_array_equal(limits.proposals, limits.detections)
    limits = clip_sizes(IMAGES, SIZES, MATTERPORT)  # Matterport's window and [0, 0, 1, 1], * 63
    np.testing.assert_array_equal(limits.detections, [[22, 16, 41, 46], [0, 0, 63, 63]])
    np.testing.assert_array_equal(limits.proposals, [[63, 63], [63, 63]])


def test_inner_boxes_end_at_the_last_pixel_and_keep_a_size():
    boxes = tf.constant([[3.0, 4.0, 10.0, 5.0]])
    np.testing.assert_array_equal(inner_boxes(boxes, USUAL), boxes)
    np.testing.assert_array_equal(inner_boxes(boxes, MATTERPORT), [[3, 4, 9, 4.5]])
    np.testing.assert_array_equal(outer_boxes(boxes, MATTERPORT), [[3, 4, 11, 6]])


@pytest.mark.parametrize("model", [USUAL, CENTRED, MATTERPORT])
def test_results_start_at_the_image_whatever_the_network_sees(model):
    offset = image_offset(SIZES, [64, 64], model.input)
    boxes = np.random.default_rng(0).uniform(0, 20, (2, 5, 4)).astype(np.float32)
    boxes[..., 2:] += boxes[..., :2] + 2
    placed = boxes + np.tile(offset, 2)[:, None]
    found = in_image(inner_boxes(tf.constant(placed), model), IMAGES, SIZES, model)
    np.testing.assert_allclose(found, boxes, atol=1e-4)


def test_boxes_are_scaled_back_to_the_original():
    boxes = tf.constant([[10.0, 20.0, 30.0, 40.0]])
    found = in_original(boxes, [50, 80], [100, 40], USUAL)
    np.testing.assert_allclose(found, [[20, 10, 60, 20]])
    # Matterport: (y1, x1, y2 - 1, x2 - 1) * (original - 1) / (resized - 1) + (0, 0, 1, 1)
    found = in_original(boxes, [50, 80], [100, 40], MATTERPORT)
    expected = [10 * 99 / 49, 20 * 39 / 79, 29 * 99 / 49 + 1, 39 * 39 / 79 + 1]
    np.testing.assert_allclose(found[0], expected, rtol=1e-6)
    whole = config("inclusive_boxes=true", "box_head.whole_pixels=true")
    np.testing.assert_array_equal(
        in_original(boxes, [50, 80], [100, 40], whole)[0], np.round(expected)
    )


def test_the_whole_image_stays_the_whole_image():
    for model in (USUAL, MATTERPORT):
        box = tf.constant([[0.0, 0.0, 37.0, 51.0]])
        found = in_original(box, [37, 51], [480, 640], model)
        np.testing.assert_allclose(found, [[0, 0, 480, 640]], rtol=1e-5)
        one_pixel = in_original(tf.constant([[0.0, 0.0, 1.0, 1.0]]), [1, 1], [1, 1], model)
        np.testing.assert_array_equal(one_pixel, [[0, 0, 1, 1]])
