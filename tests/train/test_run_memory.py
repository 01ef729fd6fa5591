import logging
import os
import types

import pytest

from helpers.tiny import tiny_config
from tfmaskrcnn.config.yaml_files import load_config, save_config
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model.memory_advice import with_train
from tfmaskrcnn.model.memory_estimate import training_bytes
from tfmaskrcnn.support.machine_memory import MachineMemory
from tfmaskrcnn.support.run_folder import Run
from tfmaskrcnn.train import run_memory
from tfmaskrcnn.train.distribution import Workers
from tfmaskrcnn.train.run_memory import device_memory, with_parts
from tfmaskrcnn.train.run_settings import check_settings, saved_settings

RECORDS = [types.SimpleNamespace(height=480, width=640)] * 20  # 800 x 1067 to the network
R50 = "maskrcnn_r50_fpn_1x_coco"


@pytest.fixture
def machine(monkeypatch):
    """Have a machine of so many GB, and so many of them free."""

    def has(total, free=None):
        found = MachineMemory(int(total * 1e9), int((free or total) * 1e9), "the machine")
        monkeypatch.setattr(run_memory, "machine_memory", lambda: found)

    return has


def chosen(config, folder, workers=None):
    """`train.accumulate` of a run in `folder`."""
    return with_parts(config, Run(str(folder)), RECORDS, workers or Workers()).train.accumulate


def said(caplog, level):
    """What was logged at this level."""
    return [r.getMessage() for r in caplog.records if r.levelno == level]


def test_a_batch_goes_through_in_parts_where_it_would_not_fit(machine, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    config = load_config(R50)
    machine(1000)
    assert chosen(config, tmp_path) == 1
    assert len(said(caplog, logging.INFO)) == 1 and not said(caplog, logging.WARNING)
    caplog.clear()
    machine(14)
    parts = chosen(config, tmp_path)
    assert parts in (2, 4)
    line, memory = said(caplog, logging.INFO)
    assert line.startswith(f"train.accumulate={parts} is chosen: 16 images at once would take")
    assert f"{16 // parts} images of up to 800 x 1088 at a time" in memory
    assert "the machine has 14.0 GB, of which 14.0 GB are free" in memory
    assert not said(caplog, logging.WARNING)


def test_what_is_set_wins_and_a_sentence_says_what_would_fit(machine, tmp_path, caplog):
    machine(12)
    assert chosen(load_config(R50, ["train.accumulate=1"]), tmp_path) == 1
    (line,) = said(caplog, logging.WARNING)
    assert "more than the 12.0 GB" in line and "set train.accumulate=" in line
    assert "or train.batch_size=" in line


def test_where_statistics_are_trained_nothing_is_chosen(machine, tmp_path, caplog):
    machine(4)
    config = load_config("finetune", ["train.batch_size=16"])
    assert chosen(config, tmp_path) == 1
    (line,) = said(caplog, logging.WARNING)
    assert "accumulate" not in line and "train.batch_size=" in line


def test_the_choice_hangs_on_the_whole_memory_and_the_warning_on_what_is_free(
    machine, tmp_path, caplog
):
    machine(14, free=14)
    parts = chosen(load_config(R50), tmp_path)
    machine(14, free=3)
    assert chosen(load_config(R50), tmp_path) == parts
    assert len(said(caplog, logging.WARNING)) == 1


def test_a_machine_that_is_too_small_gets_the_smallest_parts_and_a_warning(
    machine, tmp_path, caplog
):
    machine(0.5)
    assert chosen(load_config(R50), tmp_path) == 16
    (line,) = said(caplog, logging.WARNING)
    assert line.endswith("take a smaller network, or a machine with more.")


def test_a_run_that_goes_on_keeps_its_parts(machine, tmp_path):
    run = Run(str(tmp_path))
    os.makedirs(run.states)
    config = load_config(R50)
    save_config(with_train(config, accumulate=8), run.config)
    machine(1000)
    assert chosen(config, tmp_path) == 1  # no state: it begins
    open(os.path.join(run.states, "0000000001.npz"), "w").close()
    assert chosen(config, tmp_path) == 8
    os.remove(run.config)
    assert chosen(config, tmp_path) == 1


def test_a_run_that_goes_on_is_not_told_to_change_settings(machine, tmp_path, caplog):
    run = Run(str(tmp_path))
    os.makedirs(run.states)
    open(os.path.join(run.states, "0000000001.npz"), "w").close()
    machine(24, free=2)
    assert chosen(load_config(R50, ["train.accumulate=4"]), tmp_path) == 4
    (line,) = said(caplog, logging.WARNING)
    assert line.endswith("end other programs, or go on where there is more.")


def test_runs_of_before_go_on_in_one_part(machine, tmp_path):
    # Their settings say 1, or, of the oldest, nothing.
    config = load_config(R50)
    run = Run(str(tmp_path))
    os.makedirs(run.states)
    open(os.path.join(run.states, "0000000001.npz"), "w").close()
    save_config(config, run.config)
    machine(16)
    resolved = with_parts(config, run, RECORDS, Workers())
    assert resolved.train.accumulate == 1
    settings = saved_settings(resolved)
    check_settings("state", resolved, None, settings, None)
    del settings["train"]["accumulate"]
    check_settings("state", resolved, None, settings, None)
    other = with_train(resolved, accumulate=2)
    with pytest.raises(InputError, match="train.accumulate was 1 and is 2"):
        check_settings("state", other, None, settings, None)


def test_each_device_s_images_are_what_counts(machine, tmp_path):
    config = load_config(R50)
    four = types.SimpleNamespace(
        chief=True, replicas=4, local_replicas=4, sum=lambda values: values
    )
    # On one host the replicas share its memory.
    machine(4 * training_bytes(config, 4, (800, 1088)) / 0.8e9 + 0.1)
    assert chosen(config, tmp_path, four) == 1
    machine(4 * training_bytes(config, 4, (800, 1088)) / 0.8e9 - 0.1)
    assert chosen(config, tmp_path, four) == 2


def test_workers_take_the_chief_s_choice(machine, tmp_path):
    machine(1000)
    worker = types.SimpleNamespace(
        chief=False, replicas=2, local_replicas=1, sum=lambda values: values + 4
    )
    assert chosen(load_config(R50), tmp_path, worker) == 4


def test_a_system_that_does_not_tell_is_no_obstacle(monkeypatch, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(run_memory, "machine_memory", lambda: None)
    assert device_memory() is None
    assert chosen(load_config(R50), tmp_path) == 1
    (line,) = said(caplog, logging.INFO)
    assert line.startswith("Memory: a step takes some ") and "free" not in line


def test_of_gpus_the_smallest_counts(monkeypatch):
    # No GPU was there when this was written: TensorFlow's answers are made up.
    from tensorflow.python.client import device_lib

    found = [("CPU", 1), ("GPU", 16 * 10**9), ("GPU", 11 * 10**9)]
    found = [types.SimpleNamespace(device_type=kind, memory_limit=n) for kind, n in found]
    monkeypatch.setattr(device_lib, "list_local_devices", lambda: found)
    monkeypatch.setattr(run_memory.tf.config, "list_logical_devices", lambda kind: found[1:])
    assert device_memory(2) == MachineMemory(11 * 10**9, 11 * 10**9, "the GPU")


def test_a_tiny_run_says_one_line(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    assert chosen(tiny_config(), tmp_path) == 1
    assert len(said(caplog, logging.INFO)) == 1
