"""Runs that are killed or asked to stop, in processes of their own."""

import csv
import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import yaml

from helpers.one_stack import on_stack_a
from helpers.paths import ROOT
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.support.run_folder import Run
from tfmaskrcnn.train.saving import states_in
from tfmaskrcnn.train.tensorboard import events_in

KILLS = 10
SETTINGS = (
    "train={epochs: 5, save_every: 1, evaluate_every: 2}",
    "train={validation_loss: true, early_stop_on: loss}",
    "data.augment.scale=[0.8, 1]",
    # A state of 50 MB instead of 90; statistics are trained in the FPN.
    "backbone.freeze_at=5",
    "fpn.norm=bn",
)
# Imports once and forks for each run; TensorFlow's threads start with its first operation. Eagerly,
# because a graph takes longer to build than a run goes on between two kills.
FORKING = """
    import os, sys
    import matplotlib.backends.backend_agg, tensorflow as tf
    import tfmaskrcnn.cli.main, tfmaskrcnn.train.loop
    for line in sys.stdin:
        child = os.fork()
        if not child:
            sys.stdin.close()
            tf.config.run_functions_eagerly(True)
            sys.exit(tfmaskrcnn.cli.main.main(["train", sys.argv[1], "--out", *line.split()]))
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
"""


@pytest.fixture
def config(tmp_path):
    train, val = tiny_data(tmp_path / "train", seed=1), tiny_data(tmp_path / "val", 2, seed=2)
    paths = [f"data.train_json={train[0]}", f"data.train_images={train[1]}"]
    paths += [f"data.val_json={val[0]}", f"data.val_images={val[1]}"]
    made = tiny_config(*paths, *SETTINGS)
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(made.model_dump(mode="json", exclude_unset=True)))
    return str(path)


def forking(config):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(FORKING), config],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def begin(process, folder, *options):
    process.stdin.write(" ".join([str(folder), *options]) + "\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def code_of(process):
    lines = iter(process.stdout.readline, "")
    return next(int(line) for line in lines if line.strip().lstrip("-").isdigit())


def wait_for_a_new_state(folder, known, half=False):
    """Until there is another last state than `known`, or `half` a one."""
    states, until = Run(str(folder)).states, time.monotonic() + 120
    while time.monotonic() < until:
        found = states_in(states)
        if half and os.path.isdir(states) and any(n.endswith(".tmp") for n in os.listdir(states)):
            return
        if not half and found and found[-1] != known:
            return
        time.sleep(0.002)
    raise AssertionError("no new state within two minutes")


def result(folder):
    run = Run(str(folder))
    with np.load(states_in(run.states)[-1]) as state, np.load(run.weights) as best:
        arrays = {name: state[name] for name in state.files if name != "about"}
        arrays.update({f"best/{name}": best[name] for name in best.files})
    with open(run.history, encoding="utf-8") as file:
        return arrays, list(csv.reader(file)), val_losses(run)


def val_losses(run):
    """(step, tag, value) of what TensorBoard shows of the losses on the val split."""
    paths = (os.path.join(run.tensorboard, name) for name in sorted(os.listdir(run.tensorboard)))
    points = (
        (event.step, value.tag, value.simple_value)
        for path in paths
        for event in events_in(path)
        for value in event.summary.value
    )
    return [point for point in points if point[1].startswith("val_loss/")]


@on_stack_a
@pytest.mark.slow
@pytest.mark.skipif(sys.version_info < (3, 9) or not hasattr(os, "fork"), reason="forks")
def test_a_run_killed_ten_times_ends_as_one_never_killed(config, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = forking(config)
    begin(process, whole)
    assert code_of(process) == 0

    draw, newest, cut_off = random.Random(0), None, 0
    for i in range(KILLS):
        child = begin(process, killed, *(["--resume"] if i else []))
        wait_for_a_new_state(killed, newest)
        if i % 3 == 0:
            wait_for_a_new_state(killed, None, half=True)
        else:
            time.sleep(draw.uniform(0, 0.3))  # a step and its saving take about that long
        os.kill(child, signal.SIGKILL)
        assert code_of(process) == -signal.SIGKILL
        cut_off += any(n.endswith(".tmp") for n in os.listdir(Run(str(killed)).states))
        newest = states_in(Run(str(killed)).states)[-1]
    begin(process, killed, "--resume")
    assert code_of(process) == 0
    process.communicate()
    assert cut_off >= 3  # kills while a state was being written
    assert not [n for n in os.listdir(Run(str(killed)).states) if not n.endswith(".npz")]
    (expected, history, points), (found, *others) = result(whole), result(killed)
    assert others == [history, points] and len(history) == 6
    rows = [dict(zip(history[0], row)) for row in history[1:]]
    losses = [float(row["val_loss"]) for row in rows if row["val_loss"]]
    shown = [value for _, tag, value in points if tag == "val_loss/total"]
    assert len(losses) == 3 and shown == pytest.approx(losses, rel=1e-6)  # epochs 2, 4 and 5
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@on_stack_a
@pytest.mark.slow
def test_sigterm_saves_and_exits_with_0(config, tmp_path):
    command = [sys.executable, "-m", "tfmaskrcnn", "train", config, "--out", str(tmp_path / "run")]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    wait_for_a_new_state(tmp_path / "run", None)
    process.send_signal(signal.SIGTERM)
    _, shown = process.communicate(timeout=120)
    assert process.returncode == 0, shown
    assert "the state is saved, --resume goes on from there" in shown and "Traceback" not in shown
