"""`train/tensorboard.py`: the files as TensorBoard reads them. `test_loop.py` has whole runs."""

import os

import numpy as np
import pytest

from tfmaskrcnn.train.tensorboard import EventLog, events_in


def points(folder):
    """(file, step, tag) of everything that is written, in the order of files."""
    found = []
    for name in sorted(os.listdir(folder)):
        for event in events_in(os.path.join(folder, name)):
            found += [(name[-14:], event.step, v.tag) for v in event.summary.value]
    return found


def written(folder):
    """A log of ten updates in epochs of four, each evaluated; cut off in the middle of an event."""
    log = EventLog(str(folder))
    log.begin(0, 0)
    for step in range(1, 11):
        log.scalars(step, {"loss/total": 10 - step})
        if step % 4 == 0:
            log.scalars(step, {"AP/mask_ap": step / 10})
            log.picture(step, "val/a.png", np.full((40, 60, 3), step, np.uint8))
    log.flush()
    path = os.path.join(folder, os.listdir(folder)[0])
    os.truncate(path, os.path.getsize(path) - 5)
    return log


@pytest.mark.parametrize(
    "step, evaluated, kept", [(6, 4, (6, [4])), (8, 4, (8, [4])), (8, 8, (8, [4, 8]))]
)
def test_what_came_after_the_state_is_taken_back(tmp_path, step, evaluated, kept):
    written(tmp_path)
    log = EventLog(str(tmp_path))
    log.begin(step, evaluated)
    log.scalars(step + 1, {"loss/total": 5.0})
    log.flush()
    found = [(at, tag) for _, at, tag in points(tmp_path)]
    losses = [at for at, tag in found if tag == "loss/total"]
    assert losses == [*range(1, kept[0] + 1), step + 1]
    assert [at for at, tag in found if tag == "AP/mask_ap"] == kept[1]
    assert [at for at, tag in found if tag == "val/a.png"] == kept[1]


def test_a_run_that_goes_on_twice_from_its_start_leaves_one_file(tmp_path):
    for _ in range(3):
        log = EventLog(str(tmp_path))
        log.begin(0, 0)
        log.scalars(1, {"loss/total": 1.0})
        log.flush()
    assert [(step, tag) for _, step, tag in points(tmp_path)] == [(1, "loss/total")]


def test_tensorboard_reads_scalars_and_pictures(tmp_path):
    module = "tensorboard.backend.event_processing.event_accumulator"
    accumulator = pytest.importorskip(module).EventAccumulator(str(tmp_path), {"images": 0})
    written(tmp_path)
    log = EventLog(str(tmp_path))
    log.begin(8, 8)
    log.scalars(9, {"loss/total": 1.0})
    log.flush()
    accumulator.Reload()
    losses = [(event.step, event.value) for event in accumulator.Scalars("loss/total")]
    assert losses == [*((step, 10.0 - step) for step in range(1, 9)), (9, 1.0)]
    shown = accumulator.Images("val/a.png")
    assert [(i.step, i.height, i.width) for i in shown] == [(4, 40, 60), (8, 40, 60)]


def test_a_place_that_cannot_be_written_does_not_stop_the_run(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    log = EventLog(str(tmp_path / "file" / "tensorboard"))
    log.begin(0, 0)
    log.scalars(1, {"loss/total": 1.0})
    log.flush()
    assert "the run goes on without TensorBoard" in caplog.text and len(caplog.records) == 1
