"""`data/batches/sampler.py` and the order it leads to."""

import logging

import numpy as np
import pytest

from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.data import from_records, load_coco
from tfmaskrcnn.data.batches.order import shuffled
from tfmaskrcnn.data.batches.sampler import announce, epoch_length, repeat_factors, steps_per_epoch
from tfmaskrcnn.data.coco.records import Record


def record(*classes, crowd=()):
    count = len(classes)
    crowds = np.isin(np.arange(count), crowd)
    boxes = np.zeros((count, 4), np.float32)
    return Record(0, "", "", 9, 9, boxes, np.array(classes, np.int32), crowds, [], [])


def indices(dataset, count):
    return [int(index) for _, _, index in dataset.take(count).as_numpy_iterator()]


def test_an_image_has_the_factor_of_its_rarest_class():
    # Class 1 is in 8 of 10 images, class 2 in 2, class 3 in 1; class 4 in none.
    records = [record(1)] * 6 + [record(1, 2), record(2, 2, 1), record(3), record()]
    found = repeat_factors(records, 4, threshold=0.4)
    expected = [1] * 6 + [np.sqrt(0.4 / 0.2)] * 2 + [np.sqrt(0.4 / 0.1), 1]
    np.testing.assert_allclose(found, expected)


def test_crowds_do_not_make_a_class_common_or_an_image_rare():
    records = [record(1, 2, crowd=[1])] * 3 + [record(2)]
    np.testing.assert_allclose(repeat_factors(records, 2, 1.0), [np.sqrt(4 / 3)] * 3 + [2])


def test_every_epoch_is_as_long_and_shows_an_image_as_often_as_it_should():
    factors, epochs = np.array([1, 1, 2.5, 1, 1.2, 3.3]), 150
    dataset = shuffled(10, 5, 0, 0, np.cumsum(factors)).repeat(epochs)
    drawn = np.reshape(indices(dataset, 10 * epochs), (epochs, 10))
    counts = np.stack([(drawn == i).sum(axis=1) for i in range(6)], axis=1)
    assert np.all(counts.sum(axis=1) == 10)
    assert np.all((counts == np.floor(factors)) | (counts == np.ceil(factors)))
    np.testing.assert_allclose(counts.mean(axis=0), factors, atol=0.13)  # of 3 deviations
    assert len({tuple(epoch) for epoch in drawn}) > 0.9 * epochs


def test_an_order_goes_on_anywhere_to_the_same_end():
    ends = np.cumsum([1, 2.5, 1, 1.5])
    whole = indices(shuffled(6, 3, 2, 0, ends), 6)
    assert indices(shuffled(6, 3, 2, 4, ends), 2) == whole[4:]
    assert sorted(set(whole)) == [0, 1, 2, 3]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return load_coco(*tiny_data(tmp_path_factory.mktemp("shapes"), num_images=7, seed=4))


def test_batches_follow_the_sampler(data):
    config = tiny_config("data.repeat_threshold=1", "train.batch_size=2")
    length, steps = epoch_length(data, config), steps_per_epoch(data, config)
    assert length > 7 and steps == length // 2
    dataset = from_records(data, config, training=True)
    batches = list(dataset.as_numpy_iterator())
    assert len(dataset) == len(batches) == steps
    rest = from_records(data, config, training=True, start_step=2)
    assert len(rest) == steps - 2
    for one, two in zip(batches[2:], rest.as_numpy_iterator()):
        assert all(np.array_equal(one[key], two[key]) for key in one)
    assert len(from_records(data, config, training=False)) == 7


def test_without_a_threshold_an_epoch_is_the_set(data):
    config = tiny_config("train.batch_size=2")
    assert epoch_length(data, config) == 7 and steps_per_epoch(data, config) == 3


def test_a_batch_may_be_as_large_as_the_longer_epoch(data):
    length = epoch_length(data, tiny_config("data.repeat_threshold=1"))
    config = tiny_config("data.repeat_threshold=1", f"train.batch_size={length}")
    assert length > 7 and len(from_records(data, config, training=True)) == 1


@pytest.mark.parametrize("training", [True, False])
def test_the_log_tells_of_crowded_images_and_of_the_length_of_an_epoch(data, caplog, training):
    caplog.set_level(logging.INFO)
    crowded = sum(len(record.classes) > 3 for record in data.records)
    assert 0 < crowded < 7
    config = tiny_config("data.repeat_threshold=1", "data.max_instances=3")
    announce(data, config, training)
    said = f"{crowded} images have more than data.max_instances=3 objects"
    assert said in caplog.messages[0] and len(caplog.messages) == 1 + training
    if training:
        said = f"an epoch shows {epoch_length(data, config)} images, made of 7"
        assert said in caplog.messages[1]
    announce(data, tiny_config(), training)
    assert len(caplog.messages) == 1 + training
