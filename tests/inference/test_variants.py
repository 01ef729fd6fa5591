"""`inference/variants.py`: what is found in moved images lies where it is in the image."""

import numpy as np
import pytest

from tfmaskrcnn import Instances
from tfmaskrcnn.inference.variants import Variant, check_word, moved, moved_back, variants_of
from tfmaskrcnn.ops.paste import masks_to_rle

TURNS = variants_of(["hflip", "vflip", "transpose"])


def objects(image, exact=False):
    """Each grey value of a picture as an object, its class; masks fill boxes of 4 x 4 pixels."""
    grey = image[:, :, 0]
    values = [value for value in np.unique(grey) if value]
    masks = np.array([grey == value for value in values])
    edges = [[np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)] for mask in masks]
    boxes = np.array([[y[0], x[0], y[-1] + 1, x[-1] + 1] for y, x in edges])
    inside = [mask[y1:y2, x1:x2] for mask, (y1, x1, y2, x2) in zip(masks, boxes)]
    parts = {"exact_rle": masks_to_rle(masks)} if exact else {"mask_probabilities": inside}
    scores = np.linspace(0.9, 0.5, len(values))
    return Instances(boxes, scores, values, grey.shape, **parts)


def picture(size=(13, 18)):
    """Two objects that no flip or turn leaves as they are, on black; uint8 [H, W, 3]."""
    shape = np.array([[1, 1, 1, 1], [0, 0, 0, 1], [0, 1, 0, 1], [0, 1, 0, 0]], bool)
    grey = np.zeros(size, np.uint8)
    grey[1:5, 2:6][shape] = 1
    grey[6:10, 11:15][shape] = 2
    return np.stack([grey] * 3, axis=2)


def test_the_words_give_every_combination_and_the_image_first():
    assert variants_of([]) == [Variant()]
    assert variants_of(["hflip"]) == [Variant(), Variant(hflip=True)]
    assert len(set(TURNS)) == 8
    flipped = [(v.scale, v.hflip) for v in variants_of(["0.8", "hflip", "1.25", "1"])]
    assert flipped == [(s, flip) for s in (1.0, 0.8, 1.25) for flip in (False, True)]


@pytest.mark.parametrize("word", ["flip", "0", "-1", "nan", "inf", "11", "HFLIP", ""])
def test_another_word_is_told(word):
    with pytest.raises(ValueError, match="none of hflip, vflip, transpose and no scale from 0.1"):
        check_word(word)


def test_a_flip_reverses_an_axis_after_the_transposition():
    image = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    assert moved(image, Variant(hflip=True))[:, :, 0].tolist() == [[2, 1, 0], [5, 4, 3]]
    assert moved(image, Variant(vflip=True))[:, :, 0].tolist() == [[3, 4, 5], [0, 1, 2]]
    turned = moved(image, Variant(transpose=True, hflip=True))  # a quarter, clockwise
    assert turned[:, :, 0].tolist() == [[3, 0], [4, 1], [5, 2]]
    assert turned.flags.c_contiguous


def test_a_flipped_box_keeps_its_distance_from_the_other_side():
    found = Instances([[1, 2, 3, 5]], [0.5], [1], size=(8, 10))
    assert moved_back(found, Variant(hflip=True)).boxes.tolist() == [[1, 5, 3, 8]]
    assert moved_back(found, Variant(vflip=True)).boxes.tolist() == [[5, 2, 7, 5]]
    back = moved_back(found, Variant(transpose=True))
    assert back.boxes.tolist() == [[2, 1, 5, 3]] and back.size == (10, 8)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("variant", TURNS)
def test_boxes_and_masks_come_back_to_the_pixel(variant, exact):
    image = picture()
    back = moved_back(objects(moved(image, variant), exact), variant)
    expected = objects(image, exact)
    assert back.size == expected.size
    np.testing.assert_array_equal(back.boxes, expected.boxes)
    np.testing.assert_array_equal(back.masks, expected.masks)
    np.testing.assert_array_equal(back.classes, expected.classes)


def test_keypoints_change_sides_in_a_mirror_but_not_in_a_turn():
    points = [[[1, 2, 0.9], [3, 6, 0.8], [5, 4, 0.7]]]  # left, right, and one without a partner
    found = Instances([[0, 0, 8, 8]], [0.5], [1], size=(8, 10), keypoints=points)
    mirrored = moved_back(found, Variant(hflip=True), [(0, 1)]).keypoints[0]
    np.testing.assert_allclose(mirrored, [[3, 4, 0.8], [1, 8, 0.9], [5, 6, 0.7]])
    turned = moved_back(found, Variant(hflip=True, vflip=True), [(0, 1)]).keypoints[0]
    np.testing.assert_allclose(turned, [[7, 8, 0.9], [5, 4, 0.8], [3, 6, 0.7]])
    assert found.keypoints[0, 0].tolist() == pytest.approx([1, 2, 0.9])


@pytest.mark.parametrize("variant", TURNS)
def test_nothing_found_is_nothing_brought_back(variant):
    empty = Instances(
        np.zeros((0, 4)), [], [], (8, 10), np.zeros((0, 4, 4)), exact_rle=[], keypoints=[]
    )
    assert len(moved_back(empty, variant, [(0, 1)])) == 0
