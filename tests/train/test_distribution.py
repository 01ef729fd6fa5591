"""Training on two devices and with two workers, in processes of their own."""

import csv
import json
import os
import signal
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml

from helpers import several
from helpers.one_stack import on_stack_a, on_stack_b
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn import compat
from tfmaskrcnn.errors import InputError, explained
from tfmaskrcnn.support.run_folder import Run
from tfmaskrcnn.train.distribution import Workers, make_strategy
from tfmaskrcnn.train.saving import states_in

SECONDS = 400  # for what takes 20 alone on a machine
OVERRIDES = (
    "train.batch_size=3",  # odd: one replica has two images, the other has one
    "train.epochs=2",  # few: rounding grows from step to step
    "train.evaluate_every=2",
    "train.validation_loss=true",
    "train.learning_rate=0.0002",
    "train.schedule.warmup_steps=0",
    "train.save_every=1",
    "train.keep_states=20",
    "backbone.norm=sync_bn",
    "box_head={score_threshold: 0.0, max_detections: 60}",
    "data.augment.scale=[0.7, 1.2]",  # pads each image of a batch otherwise
)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    train = tiny_data(folder / "train", 7, seed=1, num_objects=(0, 3))
    val = tiny_data(folder / "val", 5, seed=2)
    paths = [f"data.train_json={train[0]}", f"data.train_images={train[1]}"]
    paths += [f"data.val_json={val[0]}", f"data.val_images={val[1]}"]
    made = tiny_config(*OVERRIDES, *paths)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(made.model_dump(mode="json", exclude_unset=True)))
    with open(train[0], encoding="utf-8") as file:
        coco = json.load(file)
    assert {e["image_id"] for e in coco["annotations"]} < {e["id"] for e in coco["images"]}
    return str(path)


def log_of(folder, index=0):
    return Path(f"{folder}.{index}.log").read_text(encoding="utf-8")


def codes(processes, folder):
    """Exit codes within the time allowed."""
    until = time.monotonic() + SECONDS
    for process in processes:
        process.join(max(until - time.monotonic(), 1))
        if process.exitcode is None:
            process.kill()
    logs = [log_of(folder, index)[-3000:] for index in range(len(processes))]
    return [process.exitcode for process in processes], logs


def wait_for_a_new_state(folder, known, processes):
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and all(process.is_alive() for process in processes):
        found = states_in(Run(str(folder)).states)
        if found and found[-1] != known:
            return found[-1]
        time.sleep(0.01)
    raise AssertionError(f"no new state: {log_of(folder)[-3000:]}")


def history(folder):
    with open(Run(str(folder)).history, encoding="utf-8") as file:
        return [{k: float(v or 0) for k, v in row.items()} for row in csv.DictReader(file)]


def assert_equal_states(folder, name, alone):
    """That the state `name` is that of a run on one device, to float32's rounding.

    1e-6 of all there is after a step. Later the statistics of norms vary more: where rounding
    turns an activation's sign, gradients jump, and each norm amplifies what came before it.
    """
    with np.load(os.path.join(Run(str(folder)).states, name)) as file:
        found = {n: file[n] for n in file.files if n != "about"}
    with np.load(os.path.join(Run(str(alone)).states, name)) as file:
        expected = {n: file[n] for n in file.files if n != "about"}
    assert set(found) == set(expected)
    first = name == os.path.basename(states_in(Run(str(alone)).states)[0])
    for each, value in expected.items():
        atol = (5e-5 if "/moving_" in each and not first else 1e-6) * max(1.0, np.abs(value).max())
        np.testing.assert_allclose(found[each], value, atol=atol, err_msg=each)


def assert_equal_histories(folder, alone):
    found, expected = history(folder), history(alone)
    assert len(found) == len(expected) == 2
    for row, wanted in zip(found, expected):
        assert row == pytest.approx(wanted, abs=1e-5, rel=1e-4)
    assert expected[-1]["val_loss"] > 0 and "val_box_ap" in expected[-1]


@pytest.fixture(scope="module")
def alone(config, tmp_path_factory):
    """The folder of a run on one device."""
    folder = tmp_path_factory.mktemp("runs") / "alone"
    assert codes(several.start(config, folder, "none"), folder)[0] == [0], log_of(folder)
    return folder


@on_stack_a
@pytest.mark.slow
def test_two_devices_train_and_evaluate_like_one(config, alone, tmp_path):
    folder = tmp_path / "mirrored"
    found, logs = codes(several.start(config, folder, "mirrored"), folder)
    assert found == [0], logs
    names = [os.path.basename(path) for path in states_in(Run(str(alone)).states)]
    assert len(names) == 6
    for name in names:
        assert_equal_states(folder, name, alone)
    assert_equal_histories(folder, alone)


@on_stack_b
@pytest.mark.slow
def test_two_workers_stopped_and_killed_end_like_one_device(config, alone, tmp_path):
    folder = tmp_path / "workers"
    processes = several.start(config, folder, "multi_worker")
    newest = wait_for_a_new_state(folder, None, processes)
    os.kill(processes[1].pid, signal.SIGTERM)
    found, logs = codes(processes, folder)
    assert found == [0, 0], logs
    assert "Stopped in epoch" in logs[0] or "Stopped after epoch" in logs[0]
    newest = states_in(Run(str(folder)).states)[-1]
    assert_equal_states(folder, os.path.basename(newest), alone)

    processes = several.start(config, folder, "multi_worker", resume=True)
    newest = wait_for_a_new_state(folder, newest, processes)
    processes[1].kill()
    found, logs = codes(processes, folder)
    assert found == [2, -signal.SIGKILL], logs
    assert "Worker 1 has stopped or cannot be reached" in logs[0] and "Traceback" not in logs[0]

    # What workers began two devices can finish.
    found, logs = codes(several.start(config, folder, "mirrored", resume=True), folder)
    assert found == [0], logs
    assert_equal_states(folder, os.path.basename(states_in(Run(str(alone)).states)[-1]), alone)
    assert_equal_histories(folder, alone)
    assert set(os.listdir(folder)) == set(os.listdir(alone))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
    ],
)
def test_a_wrong_tf_config_is_shown_beside_what_is_wanted(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match='TF_CONFIG.*"cluster": {"worker": .*"index": 0'):
        make_strategy("multi_worker")


def test_a_batch_has_an_image_for_each_replica():
    workers = Workers()
    assert workers.share(1) is None  # one device takes any batch
    workers.strategy, workers.replicas, workers.local_replicas = object(), 4, 4
    assert workers.share(6).edges == (0, 1, 3, 4, 6)
    with pytest.raises(InputError, match="train.batch_size is 3 .* 4"):
        workers.share(3)
    with pytest.raises(InputError, match="6 for all devices together, wanted a multiple of 4"):
        workers.share(6, accumulate=2)


def test_one_worker_agrees_with_itself():
    workers = Workers()
    assert workers.chief and workers.gather(b"abc") == [b"abc"] and workers.broadcast(b"") == b""
    np.testing.assert_array_equal(workers.sum(np.array([3, 4])), [3, 4])
    with pytest.raises(InputError, match="wrong"):
        workers.agree(lambda: (_ for _ in ()).throw(InputError("wrong")))


class Talking(Workers):
    """One of two workers in threads, whose sums meet at a barrier."""

    def __init__(self, index, board, barrier):
        super().__init__()
        self.index, self.count, self._board, self._barrier = index, 2, board, barrier

    def sum(self, values):
        self._board[self.index] = np.asarray(values, np.int64)
        self._barrier.wait(20)
        total = self._board[0] + self._board[1]
        self._barrier.wait(20)
        return total


def both(function):
    import threading
    from concurrent.futures import ThreadPoolExecutor

    board, barrier = {}, threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda i: function(Talking(i, board, barrier)), range(2)))


def test_workers_hand_over_bytes_of_any_length_by_sums():
    contents = [bytes(range(256)) * 20000 + b"end", b"short"]  # of more than one part
    assert both(lambda w: w.gather(contents[w.index])) == [contents, contents]
    assert both(lambda w: w.broadcast(b"\xff" * 9 if w.chief else b"x")) == [b"\xff" * 9] * 2


def test_an_error_of_one_worker_is_told_by_all():
    def wrong(workers):
        def read():
            if workers.index == 1:
                raise InputError("no file x.")

        with pytest.raises(InputError) as caught:
            workers.agree(read)
        return str(caught.value)

    assert both(wrong) == ["Worker 1: no file x.", "no file x."]


def test_workers_that_were_given_different_things_say_so():
    def differ(workers):
        with pytest.raises(InputError, match="differ in their configuration"):
            workers.check_same("their configuration", "ab"[workers.index])

    both(differ)
    both(lambda workers: workers.check_same("their configuration", "a"))


@pytest.mark.parametrize(
    "text, who",
    [
        ("Error reported from /job:worker/task:1: Task /job:worker/replica:0/task:1", "Worker 1"),
        ("reset by peer\nfrom remote target /job:chief/replica:0/task:0 while", "Chief 0"),
        ("something else", "Another worker"),
    ],
)
def test_a_lost_worker_is_named(text, who):
    error = tf.errors.UnavailableError(None, None, f"Collective ops is aborted by: {text}")
    found = explained(error, {})
    assert isinstance(found, InputError) and str(found).startswith(f"{who} has stopped")


@pytest.mark.skipif(not compat.KERAS3, reason="a method of Keras 3")
def test_another_keras_without_the_replaced_method_is_refused(monkeypatch):
    compat.check_multi_worker()
    monkeypatch.setattr(keras, "Model", object)
    with pytest.raises(NotImplementedError, match="_maybe_symbolic_build"):
        compat.check_multi_worker()
