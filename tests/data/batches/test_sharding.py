import itertools

import numpy as np
import pytest

from helpers.one_stack import on_stack_b
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.data import from_records, load_coco
from tfmaskrcnn.data.batches.order import shuffled
from tfmaskrcnn.data.batches.sharding import share_of


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return load_coco(*tiny_data(tmp_path_factory.mktemp("data"), 11, seed=3, num_objects=(0, 3)))


def batches(data, config, share=None, step=0, count=4):
    dataset = from_records(data, config, True, start_epoch=2, start_step=step, share=share)
    found = []
    if share is None:  # an iteration is an epoch
        while len(found) < count:
            found += list(dataset.as_numpy_iterator())
        return found[:count]
    return list(itertools.islice(dataset.as_numpy_iterator(), count * share.replicas))


def assert_rows_are_shared(whole, parts):
    """`parts` [replicas][steps] hold the rows of each of the `whole` batches in order."""
    for step, batch in enumerate(whole):
        for name, rows in batch.items():
            found = np.concatenate([part[step][name] for part in parts])
            np.testing.assert_array_equal(found, rows, err_msg=name)


@pytest.mark.parametrize("batch_size, replicas", [(4, 2), (5, 2), (5, 3), (7, 7), (16, 5)])
def test_every_row_has_one_replica_and_parts_differ_by_one_at_most(batch_size, replicas):
    whole = share_of(batch_size, replicas, 0, replicas)
    assert whole.edges[0] == 0 and whole.rows == batch_size and whole.replicas == replicas
    assert np.ptp(np.diff(whole.edges)) <= 1 and min(np.diff(whole.edges)) >= 1
    single = [share_of(batch_size, replicas, r, 1) for r in range(replicas)]
    held = np.array([[bool(s.holds(p)) for s in single] for p in range(2 * batch_size)])
    assert (held.sum(1) == 1).all()
    assert [s.rows for s in single] == np.diff(whole.edges).tolist()


@on_stack_b
def test_workers_read_the_rows_of_one_device_with_its_padding_epoch_after_epoch(data):
    # Without a fixed size an image is padded to the largest of its batch, of another worker or not.
    config = tiny_config("train.batch_size=4", "data.augment.scale=[0.5, 1.5]")
    whole = batches(data, config)
    assert len({batch["image"].shape for batch in whole}) > 1
    shares = [share_of(4, 3, r, 1) for r in range(3)]
    assert_rows_are_shared(whole, [batches(data, config, share) for share in shares])


def test_a_worker_cuts_its_rows_for_its_replicas(data):
    config = tiny_config("train.batch_size=5", "data.augment.scale=[0.5, 1.5]")
    found = batches(data, config, share_of(5, 4, 1, 3))
    whole = batches(data, config)
    parts = [found[replica::3] for replica in range(3)]
    assert_rows_are_shared([{n: rows[1:] for n, rows in batch.items()} for batch in whole], parts)


def test_a_share_begins_in_the_middle_of_an_epoch_as_the_whole_does(data):
    config = tiny_config("train.batch_size=3")
    whole = batches(data, config, step=2, count=1)
    shares = [share_of(3, 2, r, 1) for r in range(2)]
    assert_rows_are_shared(whole, [batches(data, config, s, step=2, count=1) for s in shares])


def test_a_worker_is_asked_for_its_own_images_alone():
    share = share_of(4, 2, 1, 1)
    whole = [tuple(map(int, e)) for e in shuffled(11, 5, 3, 2).as_numpy_iterator()]
    own = [
        tuple(map(int, e)) for e in shuffled(11, 5, 3, 2, wanted=share.holds).as_numpy_iterator()
    ]
    assert [p for _, p, _ in own] == [2, 3, 6, 7, 10]
    assert own == [entry for entry in whole if entry in own]
