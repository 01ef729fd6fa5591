"""`inference/tracking.py`: objects keep their numbers, and what it cannot do is as it says."""

import sys

import numpy as np
import pytest

from tfmaskrcnn import InputError, Instances
from tfmaskrcnn.inference.tracking import Tracker
from tfmaskrcnn.ops.paste import masks_to_rle

SIZE = (60, 80)


def found(*boxes, classes=None, masks=None, size=SIZE, scores=None):
    """Objects with these yxyx boxes; with the masks (bool [H, W]) if there are any."""
    return Instances(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.linspace(0.9, 0.5, len(boxes)) if scores is None else scores,
        classes=np.ones(len(boxes)) if classes is None else classes,
        size=size,
        exact_rle=None if masks is None else masks_to_rle(np.array(masks)),
    )


def square(y, x, side=10):
    return (y, x, y + side, x + side)


def disc(y, x, radius=8):
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def numbers(tracker, *frames):
    return [tracker.update(frame).ids.tolist() for frame in frames]


def test_objects_keep_their_numbers_while_they_move_in_whatever_order_they_come():
    a, b = [square(5, 5 + 2 * t) for t in range(4)], [square(40, 60 - 3 * t) for t in range(4)]
    frames = [found(a[0], b[0]), found(b[1], a[1]), found(a[2], b[2]), found(b[3], a[3])]
    assert numbers(Tracker(), *frames) == [[1, 2], [2, 1], [1, 2], [2, 1]]


def test_numbers_go_from_1_by_score_and_are_never_used_again():
    tracker, away = Tracker(max_gap=0), found()
    assert numbers(tracker, found(square(0, 0), square(30, 30))) == [[1, 2]]
    assert numbers(tracker, away, found(square(0, 0))) == [[], [3]]
    assert tracker.count == 3
    assert len(tracker.update(away)) == 0


@pytest.mark.parametrize("gap, number", [(1, 1), (3, 1), (4, 2)])
def test_a_gap_is_closed_up_to_its_bound(gap, number):
    tracker, seen = Tracker(max_gap=3), found(square(20, 20))
    tracker.update(seen)
    assert numbers(tracker, *[found()] * gap, seen)[-1] == [number]
    assert numbers(tracker, seen) == [[number]]  # the gap is counted anew


def test_all_pairs_are_matched_at_once_for_the_highest_sum():
    tracker = Tracker(min_iou=0.1)
    tracker.update(found((0, 0, 10, 10), (0, 6, 10, 16)))
    # IoUs [[0.33, 0.82], [0.05, 0.54]]: the best pair would leave the second object nothing.
    assert numbers(tracker, found((0, 5, 10, 15), (0, 9, 10, 19))) == [[1, 2]]


def test_pairs_below_the_bound_are_none_and_do_not_decide_about_others():
    tracker = Tracker(min_iou=0.5)
    tracker.update(found((0, 0, 10, 10), (0, 6, 10, 16)))
    # IoU with both: 0.25 and 0.6; the second object is new, whatever it shares with the first.
    assert numbers(tracker, found((0, 4, 10, 14), (0, -6, 10, 4))) == [[2, 3]]


def test_classes_are_apart():
    tracker = Tracker()
    tracker.update(found(square(0, 0), square(0, 0), classes=[1, 2]))
    assert numbers(tracker, found(square(0, 0), square(0, 0), classes=[2, 1])) == [[2, 1]]
    assert numbers(tracker, found(square(0, 0), classes=[3])) == [[3]]


def test_masks_tell_apart_what_boxes_do_not():
    triangle = np.tri(SIZE[0], SIZE[1], dtype=bool)
    box = (0, 0, 60, 80)
    tracker = Tracker()
    tracker.update(found(box, box, masks=[triangle, ~triangle]))
    again = found(box, box, masks=[~triangle, triangle])
    assert numbers(tracker, again) == [[2, 1]]


def test_boxes_speak_where_a_mask_has_no_pixel():
    nothing, tracker = np.zeros(SIZE, bool), Tracker()
    tracker.update(found(square(3, 3), square(40, 40), masks=[nothing, disc(45, 45)]))
    now = found(square(40, 41), square(3, 4), masks=[nothing, nothing])
    assert numbers(tracker, now, found()) == [[2, 1], []]


def test_crossing_discs_of_two_classes_keep_and_fast_ones_lose_their_numbers():
    left, right = (
        [disc(30, 10 + 3 * t) for t in range(20)],
        [disc(30, 70 - 3 * t) for t in range(20)],
    )
    box = (0, 0, 60, 80)
    tracker = Tracker()
    for one, other in zip(left, right):
        ids = tracker.update(found(box, box, classes=[1, 2], masks=[one, other])).ids.tolist()
    assert ids == [1, 2]
    tracker = Tracker()  # moves by more than its own size: said to be lost
    assert numbers(tracker, *(found(square(0, 15 * t)) for t in range(3))) == [[1], [2], [3]]


def test_frames_that_are_recalled_leave_it_as_the_first_time():
    rng = np.random.default_rng(0)
    paths = rng.uniform(0, 40, (12, 2)) + np.cumsum(rng.uniform(-3, 3, (30, 12, 2)), axis=0)
    seen = rng.random((30, 12)) < 0.7
    frames = [found(*(square(*p) for p in path[s])) for path, s in zip(paths, seen)]
    tracker = Tracker()
    wanted = [tracker.update(frame) for frame in frames]
    assert tracker.count > 12  # some were lost
    for start in (0, 1, 7, 29):
        other = Tracker()
        for frame in wanted[:start]:
            other.recall(frame)
        for frame, first in zip(frames[start:], wanted[start:]):
            np.testing.assert_array_equal(other.update(frame).ids, first.ids)
        assert other.count == tracker.count


def test_what_it_cannot_take_is_told_in_a_sentence(monkeypatch):
    with pytest.raises(InputError, match="min_iou is 0 and max_gap 5"):
        Tracker(min_iou=0)
    tracker = Tracker()
    tracker.update(found(square(0, 0)))
    with pytest.raises(InputError, match="80 x 90 pixels follows one of 80 x 60"):
        tracker.update(found(square(0, 0), size=(90, 80)))
    for name in ("scipy", "scipy.optimize"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=r"scipy: pip install 'tfmaskrcnn\[video\]'"):
        tracker.update(found(square(0, 0)))
