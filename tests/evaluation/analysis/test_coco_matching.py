import numpy as np

from helpers.drawn_sets import drawn
from tfmaskrcnn.evaluation.analysis.coco_matching import NONE, match, match_all

A, INSIDE = (10, 10, 30, 30), (12, 12, 28, 28)


def own_of(iou, crowd=None, ignored=None, least=(0.5,)):
    iou = np.array(iou, float)
    none = np.zeros(iou.shape[1], bool)
    crowd, ignored = (none if v is None else np.array(v, bool) for v in (crowd, ignored))
    return match(iou, crowd, crowd | ignored, np.array(least)).tolist()


def test_the_best_detection_takes_the_object_and_others_the_next_best():
    iou = np.array([[0.6, 0.9], [0.7, 0.8], [0.55, 0.0]])
    none = np.zeros(2, bool)
    assert match(iou, none, none, [0.5, 0.75]).tolist() == [[1, 0, NONE], [1, NONE, NONE]]
    # What counts goes before what is ignored, however well that fits.
    assert match(iou[:1], none, np.array([False, True]), [0.5]).tolist() == [[0]]
    assert match(np.zeros((2, 0)), none[:0], none[:0], [0.5]).tolist() == [[NONE, NONE]]


def test_an_overlap_of_just_the_least_is_enough():
    assert own_of([[0.6], [0.6]], least=(0.6, 0.61)) == [[0, NONE], [NONE, NONE]]


def test_of_objects_overlapped_alike_the_last_is_taken_as_in_cocoeval():
    assert own_of([[0.7, 0.7], [0.8, 0.0]]) == [[1, 0]]
    assert own_of([[0.7, 0.7], [0.0, 0.8]]) == [[1, NONE]]


def test_a_crowd_region_is_taken_by_many_and_only_where_no_object_fits():
    assert own_of([[0.6, 1.0], [0.6, 1.0], [0.0, 1.0]], crowd=[0, 1]) == [[0, 1, 1]]
    assert own_of([[0.6, 0.9], [0.6, 0.9], [0.0, 0.9]], ignored=[0, 1]) == [[0, 1, NONE]]


def test_an_object_counts_however_small_it_says_it_is():
    examined = drawn([([(1, A)], [(1, A, 0.9)])])
    examined.images[0].objects.areas[:] = 0
    assert match_all(examined, "mask").counts.tolist() == [[1]]
    assert match_all(examined, "mask").right.all()


def test_what_lies_in_a_crowd_region_is_neither_right_nor_wrong():
    examined = drawn([([(1, A, True)], [(1, INSIDE, 0.9), (1, (50, 50, 60, 60), 0.8)])])
    for kind in ("mask", "box"):
        matches = match_all(examined, kind, [0.9])
        assert matches.ignored.tolist() == [[True, False]] and not matches.counts.any()
        assert matches.wrong.tolist() == [[False, True]] and not matches.right.any()
