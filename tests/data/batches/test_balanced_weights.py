"""`data/batches/balanced_weights.py`: numbers in the place of `class_weights: balanced`."""

import numpy as np
import pytest

import tfmaskrcnn as mr
from helpers.tiny import tiny_config
from tfmaskrcnn.data.batches.balanced_weights import balanced_weights, objects_shown
from tfmaskrcnn.data.coco.records import CocoData, Record

NAMES = ("circle", "square", "triangle")
BALANCED = "box_head.class_weights=balanced"


def record(*classes, crowd=()):
    crowds = np.isin(np.arange(len(classes)), crowd)
    boxes = np.zeros((len(classes), 4), np.float32)
    return Record(0, "", "", 9, 9, boxes, np.array(classes, np.int32), crowds, [], [])


def data_of(*records):
    return CocoData(records, NAMES, (1, 2, 3), "shapes.json")


def test_they_are_inverse_square_roots_with_a_mean_of_1():
    # 400, 25 and 4 objects: 1/20, 1/5 and 1/2 of 429 / (20 + 5 + 2).
    assert balanced_weights([400, 25, 4]).tolist() == [0.7944, 3.178, 7.944]


@pytest.mark.parametrize("seed", range(20))
def test_objects_weigh_1_on_average_and_rarer_ones_more(seed):
    counts = np.sort(np.random.default_rng(seed).integers(1, 5000, 6))
    found = balanced_weights(counts)
    assert np.average(found, weights=counts) == pytest.approx(1, rel=1e-3)
    assert (np.diff(found) <= 0).all()


def test_classes_without_objects_have_1():
    assert balanced_weights([10, 0, 10]).tolist() == [1, 1, 1]
    assert balanced_weights([0, 0]).tolist() == [1, 1] and len(balanced_weights([])) == 0


def test_crowds_are_no_objects_and_images_count_as_often_as_they_are_shown():
    records = [record(1, 1, 2), record(1, 3, crowd=[1]), record()]
    assert objects_shown(records, 3, np.ones(3)).tolist() == [3, 1, 0]
    assert objects_shown(records, 3, np.array([2.5, 1, 1])).tolist() == [6, 2.5, 0]


def test_a_set_that_was_read_makes_numbers_and_names_alone_do_not():
    data = data_of(*[record(1, 1)] * 8, record(2, 1), record(3))
    config = mr.data.with_classes_of(data, tiny_config(BALANCED))
    expected = dict(zip(NAMES, balanced_weights([17, 1, 1]).tolist()))
    assert config.model.box_head.class_weights == expected
    assert mr.data.with_classes_of(data, config) == config
    left = mr.data.with_classes_of(data._replace(records=()), tiny_config(BALANCED))
    assert left.model.box_head.class_weights == "balanced"


def test_what_repeat_factors_balance_is_not_balanced_twice():
    data = data_of(*[record(1)] * 8, record(2), record(3))
    config = mr.data.with_classes_of(data, tiny_config(BALANCED, "data.repeat_threshold=1"))
    # sqrt(1 / f): an image of circles 1.118 times, the others 3.162 times.
    shown = [8 * np.sqrt(1 / 0.8), np.sqrt(1 / 0.1), np.sqrt(1 / 0.1)]
    found = list(config.model.box_head.class_weights.values())
    assert found == balanced_weights(shown).tolist()


def test_a_class_that_the_data_have_not_is_refused():
    data = data_of(record(1))
    config = tiny_config("box_head.class_weights={sqare: 2}")
    with pytest.raises(mr.InputError, match="there is no class 'sqare'; did you mean 'square'?"):
        mr.data.with_classes_of(data, config)
