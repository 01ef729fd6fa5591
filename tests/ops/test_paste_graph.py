"""Masks pasted in a graph: the pixels and the strings of `ops.paste`."""

import numpy as np
import pytest
import tensorflow as tf
from pycocotools import mask as coco_mask

from tfmaskrcnn.ops import paste, paste_graph
from tfmaskrcnn.ops.tensors import as_graph

SIGNATURE = [
    tf.TensorSpec([None, None, None, None]),
    tf.TensorSpec([None, None, 4]),
    tf.TensorSpec([None, None], tf.bool),
    tf.TensorSpec([None, 2], tf.int32),
]


@pytest.fixture(scope="module")
def graphs():
    """(kind, rule, M) -> the function as a graph of unknown sizes, made once."""
    made = {}

    def get(kind, rule, side=28):
        if (kind, rule, side) not in made:
            function = getattr(paste_graph, f"masks_to_{kind}")
            masks = tf.TensorSpec([None, None, side, side])
            made[kind, rule, side] = as_graph(
                lambda m, b, v, s: function(m, b, v, s, rule),
                input_signature=[masks, *SIGNATURE[1:]],
            )
        return made[kind, rule, side]

    return get


def drawn(seed, count=12):
    """(masks [D, 28, 28], boxes [D, 4], height, width), some boxes outside the image or empty."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 200, 2)
    corner, length = rng.uniform(-40, 200, (count, 2)), rng.uniform(-5, 150, (count, 2))
    boxes = np.concatenate([corner, corner + length], axis=1).astype(np.float32)
    boxes[:4] = [
        [0, 0, height, width],
        [0, 0, height, width / 2],
        [np.nan] * 4,
        [-1e6, -1e6, 1e6, 1e6],
    ]
    masks = rng.random((count, 28, 28)).astype(np.float32)
    masks[:2] = 1
    return masks, boxes, int(height), int(width)


def run(graph, masks, boxes, height, width, valid=None):
    valid = np.ones(len(boxes), bool) if valid is None else valid
    size = np.array([[height, width]], np.int32)
    return graph(masks[None], boxes[None], valid[None], size).numpy()[0]


@pytest.mark.parametrize("rule", paste.PASTE_RULES)
def test_rle_and_bitmaps_are_those_of_numpy(rule, graphs):
    for seed in range(20):
        masks, boxes, height, width = drawn(seed)
        expected = paste.paste_to_rle(masks, boxes, height, width, rule=rule)
        found = run(graphs("rle", rule), masks, boxes, height, width)
        assert [text.decode() for text in found] == [rle["counts"] for rle in expected]
        bitmaps = run(graphs("bitmaps", rule), masks, boxes, height, width)
        assert bitmaps.dtype == np.uint8
        np.testing.assert_array_equal(
            bitmaps, paste.paste_masks(masks, boxes, height, width, rule=rule)
        )


def test_a_mask_small_enough_to_check_by_hand(graphs):
    # Two cells a side on 2 x 2 pixels: the diagonal is on. Down the columns: 0 1, 1 0.
    masks = np.float32([[[0, 1], [1, 0]]])
    boxes = np.float32([[1, 1, 3, 3]])
    graph = graphs("rle", "aligned", 2)
    found = run(graph, masks, boxes, 4, 3)[0]
    decoded = coco_mask.decode({"size": [4, 3], "counts": found})
    assert decoded.tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 0]]
    # Runs 6 off, 1 on, 2 off, 1 on, 2 off; the last two as differences 1 - 1 and 2 - 2.
    assert found == b"61200"


def test_a_mask_over_the_whole_image_and_one_of_nothing(graphs):
    masks, boxes = np.ones((2, 28, 28), np.float32), np.float32([[0, 0, 5, 7], [9, 9, 20, 20]])
    found = run(graphs("rle", "aligned"), masks, boxes, 5, 7)
    decoded = coco_mask.decode([{"size": [5, 7], "counts": text} for text in found])
    assert decoded[..., 0].all() and not decoded[..., 1].any()


def test_rows_that_are_not_valid_are_empty_in_a_batch_of_two_sizes(graphs):
    masks, boxes, _, _ = drawn(3)
    masks, boxes = np.stack([masks, masks[::-1]]), np.stack([boxes, boxes[::-1]])
    sizes = np.array([[30, 50], [60, 20]], np.int32)
    valid = np.random.default_rng(0).random(masks.shape[:2]) < 0.5
    rle = graphs("rle", "aligned")(masks, boxes, valid, sizes).numpy()
    bitmaps = graphs("bitmaps", "aligned")(masks, boxes, valid, sizes).numpy()
    assert bitmaps.shape == (2, 12, 60, 50)
    assert ((rle != b"") == valid).all() and not bitmaps[~valid].any()
    for i, (height, width) in enumerate(sizes):
        expected = paste.paste_masks(masks[i], boxes[i], height, width)
        np.testing.assert_array_equal(bitmaps[i][valid[i], :height, :width], expected[valid[i]])
        assert not bitmaps[i, :, height:].any() and not bitmaps[i, :, :, width:].any()
        decoded = coco_mask.decode(
            [{"size": [height, width], "counts": t} for t in rle[i][valid[i]]]
        )
        np.testing.assert_array_equal(decoded.transpose(2, 0, 1), expected[valid[i]])


def test_no_detection_at_all(graphs):
    empty = (np.zeros((1, 0, 28, 28), np.float32), np.zeros((1, 0, 4), np.float32))
    rest = (np.zeros((1, 0), bool), np.array([[4, 6]], np.int32))
    assert graphs("rle", "aligned")(*empty, *rest).shape == (1, 0)
    masks, boxes, _, _ = drawn(0)
    none = np.zeros(len(boxes), bool)
    assert not run(graphs("rle", "aligned"), masks, boxes, 4, 6, none).any()
    assert not run(graphs("bitmaps", "aligned"), masks, boxes, 4, 6, none).any()


def test_a_run_longer_than_a_million_pixels_is_spelled_out(graphs):
    masks, boxes = np.ones((1, 28, 28), np.float32), np.float32([[1500, 900, 1600, 1000]])
    found = run(graphs("rle", "aligned"), masks, boxes, 2000, 1500)
    expected = paste.paste_to_rle(masks, boxes, 2000, 1500)
    assert found[0].decode() == expected[0]["counts"]
