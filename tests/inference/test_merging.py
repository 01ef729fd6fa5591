"""`inference/merging.py`, on finds that can be merged by hand."""

import numpy as np
import pytest

from tfmaskrcnn import Instances
from tfmaskrcnn.inference.merging import merge, redrawn
from tfmaskrcnn.ops.paste import masks_to_rle


def finds(boxes, scores, classes=None, **parts):
    classes = np.ones(len(boxes)) if classes is None else classes
    return Instances(np.reshape(boxes, (-1, 4)), scores, classes, size=(40, 60), **parts)


def random_finds(seed, count=20):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 30, (count, 2))
    return finds(
        np.concatenate([low, low + rng.uniform(2, 20, (count, 2))], axis=1),
        np.sort(rng.uniform(0.1, 0.9, count))[::-1],
        rng.integers(1, 4, count),
        mask_probabilities=rng.uniform(0, 1, (count, 7, 7)),
        keypoints=rng.uniform(0, 40, (count, 2, 3)),
    )


def assert_same(a, b, atol=1e-5):
    for name in ("boxes", "scores", "classes", "mask_probabilities", "keypoints"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=atol, err_msg=name)


@pytest.mark.parametrize("seed", range(20))
def test_the_same_result_several_times_is_that_result(seed):
    found = random_finds(seed)
    assert_same(merge([found] * 3), found)
    assert merge([found]) is found


def test_boxes_and_scores_are_averages_and_who_is_absent_counts():
    one = finds([[0, 0, 10, 10], [20, 20, 30, 30]], [0.9, 0.8])
    other = finds([[0, 2, 10, 12]], [0.3])
    both = merge([one, other])
    np.testing.assert_allclose(both.scores, [0.6, 0.4])
    np.testing.assert_allclose(both.boxes, [[0, 0.5, 10, 10.5], [20, 20, 30, 30]])
    np.testing.assert_allclose(merge([one, other, finds([], [])]).scores, [0.4, 0.8 / 3])


def test_the_order_of_the_answer_is_by_its_scores():
    one = finds([[0, 0, 10, 10], [20, 20, 30, 30]], [0.9, 0.7])
    other = finds([[20, 20, 30, 30]], [0.7])
    assert merge([one, other]).boxes[:, 0].tolist() == [20, 0]


def test_classes_are_kept_apart():
    both = merge([finds([[0, 0, 10, 10]], [0.8], [1]), finds([[0, 0, 10, 10]], [0.6], [2])])
    assert both.classes.tolist() == [1, 2]
    np.testing.assert_allclose(both.scores, [0.4, 0.3])


def test_what_one_result_keeps_apart_stays_apart_and_finds_its_closest():
    # IoU of the neighbours is 0.54.
    pair = finds([[0, 0, 10, 10], [0, 3, 10, 13]], [0.9, 0.8])
    other = finds([[0, 3, 10, 13], [0, 0, 10, 10]], [0.6, 0.55])
    both = merge([pair, other])
    np.testing.assert_allclose(both.boxes, pair.boxes)
    np.testing.assert_allclose(both.scores, [0.725, 0.7])
    one = merge([pair[:1], pair])  # both of the pair could join it
    np.testing.assert_allclose(one.boxes, pair.boxes)
    np.testing.assert_allclose(one.scores, [0.9, 0.4])


def test_finds_that_hardly_overlap_are_two_objects():
    # IoU 0.43
    assert len(merge([finds([[0, 0, 10, 10]], [0.9]), finds([[0, 4, 10, 14]], [0.9])])) == 2


def test_the_least_score_and_the_number_are_limits():
    one = finds([[0, 0, 9, 9], [10, 10, 19, 19], [20, 20, 29, 29]], [0.9, 0.6, 0.2])
    nothing = finds([], [])
    np.testing.assert_allclose(merge([one, nothing], min_score=0.25).scores, [0.45, 0.3])
    np.testing.assert_allclose(merge([one, nothing], most=1).scores, [0.45])


def test_masks_are_averaged_in_the_averaged_box():
    # Both cover the columns 4 to 8 of the image: the right half of one, the left of the other.
    left, right = np.zeros((1, 4, 4)), np.zeros((1, 4, 4))
    left[..., :2], right[..., 2:] = 1, 1
    one = finds([[0, 0, 8, 8]], [0.8], mask_probabilities=right)
    other = finds([[0, 2, 8, 10]], [0.8], mask_probabilities=left)
    both = merge([one, other])
    np.testing.assert_allclose(both.boxes, [[0, 1, 8, 9]])
    middle = both.mask_probabilities[0, 1]  # columns 1..3, 3..5, 5..7, 7..9 of the image
    # `one` gives 0, 1/2, 1, and zeros begin at its edge; `other` covers 2 to 6.
    np.testing.assert_allclose(middle, [(0 + 0.5) / 2, (0.5 + 1) / 2, (1 + 0.5) / 2, 0.25])


def test_masks_drawn_in_their_own_boxes_are_the_same():
    found = random_finds(0)
    same = redrawn(found.mask_probabilities, found.boxes, found.boxes)
    np.testing.assert_allclose(same, found.mask_probabilities, atol=1e-5)


def test_a_plane_drawn_in_a_part_of_its_box_is_the_same_plane():
    # Bilinear interpolation is exact on a plane, away from the zeros outside the box.
    y, x = np.mgrid[0:8, 0:8] + 0.5  # pixels of a box of 8 x 8, a cell a pixel
    plane = (0.05 * y + 0.02 * x).astype(np.float32)
    part = redrawn(plane[None], np.array([[0, 0, 8, 8.0]]), np.array([[1, 2, 5, 7.0]]))[0]
    rows, columns = 1 + (np.arange(8) + 0.5) * 4 / 8, 2 + (np.arange(8) + 0.5) * 5 / 8
    np.testing.assert_allclose(part, 0.05 * rows[:, None] + 0.02 * columns, atol=1e-6)


def test_keypoints_and_exact_masks_are_of_the_best_member():
    masks = np.zeros((2, 1, 40, 60), bool)
    masks[0, 0, :10, :10], masks[1, 0, :10, :9] = True, True
    weak, strong = (
        finds([[0, 0, 10, 10]], [s], exact_rle=masks_to_rle(m), keypoints=[[[p, p, 0.5]]])
        for s, m, p in zip((0.4, 0.8), masks, (3, 4))
    )
    both = merge([weak, strong])
    assert both.keypoints.tolist() == [[[4, 4, 0.5]]] and len(both) == 1
    np.testing.assert_array_equal(both.masks, masks[1])


def test_boxes_alone_give_boxes_alone_and_nothing_gives_nothing():
    one, nothing = finds([[0, 0, 9, 9]], [0.9]), finds([], [])
    assert merge([nothing, one]).mask_probabilities is None
    assert len(merge([nothing, nothing])) == 0
    assert len(merge([one, nothing], min_score=0.9)) == 0


def test_empty_boxes_and_scores_of_zero_give_finite_numbers():
    empty = finds([[5, 5, 5, 9], [0, 0, 9, 9]], [0.5, 0.0], mask_probabilities=np.ones((2, 4, 4)))
    both = merge([empty, empty])
    for name in ("boxes", "scores", "mask_probabilities"):
        assert np.isfinite(getattr(both, name)).all(), name
    assert [0, 0, 9, 9] in both.boxes.round(3).tolist()
