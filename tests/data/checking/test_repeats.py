"""`data/checking/repeats.py`: images where nothing is annotated twice are known beforehand."""

import numpy as np
import pytest

from tfmaskrcnn.data.checking import repeats
from tfmaskrcnn.data.checking.object_checks import duplicates
from tfmaskrcnn.data.checking.repeats import may_repeat
from tfmaskrcnn.data.coco.records import Record


def record(image_id, boxes, classes, crowd):
    count = len(classes)
    boxes, crowd = np.float32(boxes).reshape(-1, 4), np.array(crowd, bool)
    shapes, ids = [None] * count, list(range(count))
    return Record(image_id, "", "", 99, 99, boxes, np.int32(classes), crowd, shapes, ids)


def found_one_by_one(one):
    return any(True for _ in duplicates(one, lambda i: None))


@pytest.mark.parametrize("seed", range(20))
def test_no_image_that_repeats_an_object_is_missed(seed):
    draw, records = np.random.default_rng(seed), []
    for image_id in range(40):
        count = int(draw.integers(8))
        low = draw.uniform(0, 50, (count, 2))
        boxes = np.concatenate([low, low + draw.uniform(1, 40, (count, 2))], axis=1)
        for n in range(1, count):
            if draw.random() < 0.3:  # an earlier one again, more or less
                boxes[n] = boxes[draw.integers(n)] + draw.normal(0, draw.choice([0.1, 3]), 4)
        classes, crowd = draw.integers(1, 4, count), draw.random(count) < 0.2
        records.append(record(image_id, boxes, classes, crowd))
    wanted = np.array([found_one_by_one(one) for one in records])
    found = may_repeat(records)
    assert not np.any(wanted & ~found) and wanted.any() and not found.all()


def test_sets_without_objects_repeat_nothing():
    assert may_repeat([]).tolist() == []
    assert may_repeat([record(1, [], [], [])]).tolist() == [False]
    crowds = record(1, [[0, 0, 9, 9]] * 2, [1, 1], [True, True])
    objects = record(2, [[0, 0, 9, 9]] * 2, [1, 1], [False, False])
    assert may_repeat([crowds, objects]).tolist() == [False, True]
    assert 2 * (1 - repeats.SAME_IOU) == repeats.CORNERS_APART
