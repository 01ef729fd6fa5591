import numpy as np

from helpers.drawn_sets import drawn, random_set
from tfmaskrcnn.evaluation.analysis.confusion import confusion

A, B, C = (10, 10, 30, 30), (10, 60, 30, 80), (60, 10, 80, 30)
NOWHERE = (60, 80, 90, 110)
LOW = np.zeros(3)


def counts(objects, found, thresholds=LOW, **options):
    examined = drawn([(objects, found)], num_classes=len(thresholds))
    return confusion(examined, "mask", thresholds, **options).counts


def test_each_object_and_each_detection_stands_in_the_matrix_once():
    objects = [(1, A), (2, B), (3, C)]
    found = [(1, A, 0.9), (3, B, 0.8), (1, NOWHERE, 0.7), (2, A, 0.6)]
    expected = np.zeros((4, 4), int)
    expected[1, 1] = expected[2, 3] = 1  # A right, B as class 3
    expected[0, 1] = expected[0, 2] = 1  # nothing there; A is taken already
    expected[3, 0] = 1  # C not found
    np.testing.assert_array_equal(counts(objects, found), expected)


def test_the_best_pair_comes_first_whatever_score_and_class():
    # The first has the higher score and the class, the second the higher IoU.
    matrix = counts([(1, A)], [(1, (10, 10, 30, 26), 0.9), (2, (10, 10, 30, 29), 0.3)])
    assert matrix[1, 2] == matrix[0, 1] == 1
    assert matrix.sum() == 2
    # Of equals the higher score.
    assert counts([(1, A)], [(2, A, 0.8), (1, A, 0.9)])[1, 1] == 1


def test_detections_count_from_the_threshold_of_their_class_on():
    found = [(1, A, 0.5), (2, B, 0.5)]
    matrix = counts([(1, A), (2, B)], found, thresholds=np.array([0.5, 0.6]))
    np.testing.assert_array_equal(matrix, [[0, 0, 0], [0, 1, 0], [1, 0, 0]])


def test_the_iou_of_a_pair_can_be_chosen():
    found = [(1, (10, 10, 30, 25), 0.9)]  # IoU 3/4
    assert counts([(1, A)], found, iou=0.75)[1, 1] == 1
    assert counts([(1, A)], found, iou=0.76)[1, 1] == 0


def test_a_detection_by_half_in_a_crowd_of_any_class_counts_only_if_it_is_an_object():
    crowd = (1, (0, 0, 60, 20), True)  # half of A
    np.testing.assert_array_equal(counts([crowd], [(2, A, 0.9)]), np.zeros((4, 4)))
    assert counts([crowd, (2, A)], [(2, A, 0.9)])[2, 2] == 1
    assert counts([(1, (0, 0, 60, 19), True)], [(2, A, 0.9)])[0, 2] == 1  # less than half


def test_sums_are_those_of_objects_and_detections_and_shares_of_a_row_are_1():
    for seed in range(20):
        examined = random_set(seed, num_images=4, crowds=0.0)
        matrix = confusion(examined, "box", np.full(3, 0.5))
        objects = np.concatenate([image.objects.classes for image in examined.images])
        sure = [image.found.classes[image.found.scores >= 0.5] for image in examined.images]
        found = np.concatenate(sure)
        rows, columns = matrix.counts.sum(axis=1), matrix.counts.sum(axis=0)
        np.testing.assert_array_equal(rows[1:], np.bincount(objects, minlength=4)[1:])
        np.testing.assert_array_equal(columns[1:], np.bincount(found, minlength=4)[1:])
        assert matrix.counts[0, 0] == 0
        np.testing.assert_allclose(matrix.normalised().sum(axis=1), np.minimum(rows, 1))


def test_an_empty_set_gives_an_empty_matrix():
    matrix = confusion(drawn([([], [])], num_classes=2), "mask", np.zeros(2))
    np.testing.assert_array_equal(matrix.counts, np.zeros((3, 3)))
    np.testing.assert_array_equal(matrix.normalised(), np.zeros((3, 3)))
