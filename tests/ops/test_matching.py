import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.ops.matching import match_boxes
from tfmaskrcnn.ops.structures import GroundTruth


def ground_truth(boxes, valid=None, crowd=None):
    """A `GroundTruth` of [B, G, 4] boxes, all of class 1; without masks, which matching ignores."""
    boxes = np.asarray(boxes, np.float32)
    shape = boxes.shape[:2]
    valid = np.ones(shape, bool) if valid is None else np.asarray(valid)
    crowd = np.zeros(shape, bool) if crowd is None else np.asarray(crowd)
    return GroundTruth(
        tf.constant(boxes),
        tf.constant(np.where(valid, 1, 0), tf.int32),
        tf.zeros([*shape, 0, 0], tf.uint8),
        tf.constant(valid),
        tf.constant(crowd),
    )


def random_case(seed, images=2, count=40, objects=5):
    """Boxes of 10 to 60 px in a 100 px square, so that all three kinds of match occur."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 60, [images, count + objects, 2])
    size = rng.uniform(10, 60, [images, count + objects, 2])
    boxes = np.concatenate([corner, corner + size], -1).astype(np.float32)
    return boxes[:, :count], boxes[:, count:]


def match_by_loops(boxes, objects, crowds, positive_iou, negative_iou, keep_best):
    """Matching of one image, written as Faster R-CNN's section 3.1.2 says it."""

    def overlap(a, b):
        sides = [max(min(a[i + 2], b[i + 2]) - max(a[i], b[i]), 0) for i in (0, 1)]
        return sides[0] * sides[1]

    def size(a):
        return (a[2] - a[0]) * (a[3] - a[1])

    def iou(a, b):
        return overlap(a, b) / (size(a) + size(b) - overlap(a, b))

    kinds = []
    for box in boxes:
        best = max([iou(box, o) for o in objects], default=0.0)
        positive = best >= positive_iou
        for o in objects:
            highest = max(iou(b, o) for b in boxes)
            if keep_best and highest > 0 and iou(box, o) >= highest - 1e-9:
                positive = True
        ignored = any(overlap(box, c) / size(box) > 0.5 for c in crowds)
        if positive:
            kinds.append("positive")
        else:
            kinds.append("negative" if best < negative_iou and not ignored else "neither")
    return kinds


def kinds_of(match, image=0):
    positive, negative = match.positive.numpy()[image], match.negative.numpy()[image]
    assert not (positive & negative).any()
    return ["positive" if p else "negative" if n else "neither" for p, n in zip(positive, negative)]


def test_boxes_fall_into_three_kinds_at_the_thresholds():
    # One object of 10 x 10; a box of 10 x w inside it has IoU w / 10.
    boxes = [[[0, 0, 10, w] for w in (10, 7, 6.9, 3, 2.9, 0)]]
    match = match_boxes(
        tf.constant(boxes), ground_truth([[[0, 0, 10, 10]]]), 0.7, 0.3, keep_best=False
    )
    assert kinds_of(match) == ["positive"] * 2 + ["neither"] * 2 + ["negative"] * 2


def test_each_box_goes_to_the_object_it_overlaps_most():
    objects = ground_truth([[[0, 0, 10, 10], [0, 20, 10, 30], [0, 22, 10, 32]]])
    boxes = tf.constant([[[0.0, 20.5, 10.0, 30.5], [0.0, 21.5, 10.0, 31.5], [0.0, 1.0, 10.0, 9.0]]])
    match = match_boxes(boxes, objects, 0.5, 0.5, keep_best=False)
    np.testing.assert_array_equal(match.gt_index, [[1, 2, 0]])
    assert match.gt_index.dtype == tf.int32


def test_keep_best_makes_all_tied_boxes_positive_however_low():
    # Boxes 0 and 1 overlap the object alike (IoU 20 / 180), box 2 less.
    objects = ground_truth([[[0, 0, 10, 10]]])
    boxes = tf.constant([[[0.0, 8, 10, 18], [0, -8, 10, 2], [0, 9, 10, 19]]])
    kept = match_boxes(boxes, objects, 0.7, 0.3, keep_best=True)
    assert kinds_of(kept) == ["positive", "positive", "negative"]
    plain = match_boxes(boxes, objects, 0.7, 0.3, keep_best=False)
    assert kinds_of(plain) == ["negative"] * 3


def test_an_object_that_overlaps_nothing_makes_nothing_positive():
    objects = ground_truth([[[500, 500, 510, 510], [0, 0, 10, 10]]])
    boxes = tf.constant([[[0.0, 0, 10, 10], [20, 20, 30, 30]]])
    match = match_boxes(boxes, objects, 0.7, 0.3, keep_best=True)
    assert kinds_of(match) == ["positive", "negative"]


def test_boxes_mostly_in_a_crowd_are_neither_kind_and_crowds_match_nothing():
    crowd = [0, 0, 100, 100]
    objects = ground_truth([[crowd, [200, 200, 210, 210]]], crowd=[[True, False]])
    boxes = tf.constant(
        [
            [
                [0.0, 0, 100, 100],  # the crowd itself: IoU 1, but no object
                [90, 90, 101, 101],  # more than half inside
                [95, 0, 105, 10],  # half inside, not more
                [96, 0, 106, 10],  # less than half
                [200, 200, 210, 210],  # the object
            ]
        ]
    )
    for keep_best in (False, True):
        match = match_boxes(boxes, objects, 0.7, 0.3, keep_best)
        assert kinds_of(match) == ["neither", "neither", "negative", "negative", "positive"]
        assert match.gt_index.numpy()[0, 4] == 1


def test_a_positive_box_inside_a_crowd_stays_positive():
    objects = ground_truth([[[0, 0, 100, 100], [10, 10, 20, 20]]], crowd=[[True, False]])
    match = match_boxes(tf.constant([[[10.0, 10, 20, 20]]]), objects, 0.7, 0.3, True)
    assert kinds_of(match) == ["positive"]


@pytest.mark.parametrize("keep_best", [True, False])
def test_without_objects_every_box_is_background(keep_best):
    boxes, objects = random_case(0)
    none_valid = ground_truth(objects, valid=np.zeros(objects.shape[:2], bool))
    match = match_boxes(tf.constant(boxes), none_valid, 0.7, 0.3, keep_best)
    assert match.negative.numpy().all() and not match.positive.numpy().any()
    assert (match.gt_index.numpy() == 0).all()  # a row that can be gathered


@pytest.mark.parametrize("keep_best", [True, False])
def test_matches_equal_the_papers_rules_written_as_loops(keep_best):
    seen = set()
    for seed in range(20):
        boxes, objects = random_case(seed)
        crowd = np.array([[False] * 4 + [True]] * 2)
        truth = ground_truth(objects, crowd=crowd)
        match = match_boxes(tf.constant(boxes), truth, 0.5, 0.3, keep_best)
        for image in range(2):
            expected = match_by_loops(
                *(x.astype(float) for x in (boxes[image], objects[image, :4], objects[image, 4:])),
                0.5,
                0.3,
                keep_best,
            )
            assert kinds_of(match, image) == expected
            seen.update(expected)
    assert seen == {"positive", "negative", "neither"}


def test_garbage_in_padding_rows_changes_nothing():
    valid = np.array([[True, True, False, False, False], [True, False, False, False, False]])
    for seed in range(20):
        boxes, objects = random_case(seed)
        clean = np.where(valid[..., np.newaxis], objects, 0.0)
        crowd = np.array([[False, True, False, False, False]] * 2) & valid
        # In rows that do not count: a perfect match, an inverted box, a crowd all over the image.
        objects[:, 2], objects[:, 3] = boxes[:, 0], [9, 9, 1, 1]
        objects[:, 4] = [-1e9, -1e9, 1e9, 1e9]
        garbage_crowd = crowd | np.array([False, False, False, False, True])
        for keep_best in (True, False):
            pair = [
                match_boxes(tf.constant(boxes), truth, 0.5, 0.3, keep_best)
                for truth in (
                    ground_truth(clean, valid, crowd),
                    ground_truth(objects, valid, garbage_crowd),
                )
            ]
            for one, other in zip(*pair):
                np.testing.assert_array_equal(one, other)


def test_boxes_shared_by_the_batch_match_as_repeated_ones_also_with_unknown_shapes():
    boxes, objects = random_case(1)
    shared = boxes[:1]
    expected = match_boxes(
        tf.constant(np.repeat(shared, 2, 0)), ground_truth(objects), 0.5, 0.3, True
    )
    truth = ground_truth(objects)
    given = {name: part for name, part in truth._asdict().items() if part is not None}
    specs = {n: tf.TensorSpec([None, None, *x.shape[2:]], x.dtype) for n, x in given.items()}

    @tf.function(input_signature=[tf.TensorSpec([1, None, 4]), specs])
    def dynamic(boxes, given):
        return match_boxes(boxes, GroundTruth(**given), 0.5, 0.3, True)

    for found in (match_boxes(tf.constant(shared), truth, 0.5, 0.3, True), dynamic(shared, given)):
        for one, other in zip(found, expected):
            np.testing.assert_array_equal(one, other)
