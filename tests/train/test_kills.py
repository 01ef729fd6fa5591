"""Runs that are killed or asked to stop, in processes of their own."""

import csv
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from tiny import tiny_config, tiny_data

from tfmaskrcnn.train import Run
from tfmaskrcnn.train.saving import states_in

KILLS = 10
ROOT = Path(__file__).resolve().parent.parent.parent
# Imports once and forks for each run; TensorFlow's threads start with its first operation.
FORKING = """
    import os, sys
    import tfmaskrcnn.cli, tfmaskrcnn.train.loop
    config, folder = sys.argv[1:]
    for line in sys.stdin:
        child = os.fork()
        if not child:
            sys.stdin.close()
            sys.exit(tfmaskrcnn.cli.main(["train", config, "--out", folder, *line.split()]))
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
"""


@pytest.fixture
def config(tmp_path):
    train, val = tiny_data(tmp_path / "train", seed=1), tiny_data(tmp_path / "val", 2, seed=2)
    paths = [f"data.train_json={train[0]}", f"data.train_images={train[1]}"]
    paths += [f"data.val_json={val[0]}", f"data.val_images={val[1]}"]
    made = tiny_config(*paths, "train.epochs=5", "train.save_every=1", "data.augment.scale=[0.8,1]")
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(made.model_dump(mode="json", exclude_unset=True)))
    return str(path)


def forking(config, folder):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(FORKING), config, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def begin(process, *options):
    process.stdin.write(" ".join(options) + "\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def code_of(process):
    lines = iter(process.stdout.readline, "")
    return next(int(line) for line in lines if line.strip().lstrip("-").isdigit())


def wait_for_a_new_state(folder, known):
    until = time.monotonic() + 120
    while time.monotonic() < until:
        found = states_in(Run(str(folder)).states)
        if found and found[-1] != known:
            return found[-1]
        time.sleep(0.005)
    raise AssertionError("no new state within two minutes")


def result(folder):
    run = Run(str(folder))
    with np.load(states_in(run.states)[-1]) as state, np.load(run.weights) as best:
        arrays = {name: state[name] for name in state.files if name != "about"}
        arrays.update({f"best/{name}": best[name] for name in best.files})
    with open(run.history, encoding="utf-8") as file:
        return arrays, list(csv.reader(file))


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info < (3, 9) or not hasattr(os, "fork"), reason="forks")
def test_a_run_killed_ten_times_ends_as_one_never_killed(config, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = forking(config, whole)
    begin(process)
    assert code_of(process) == 0
    process.stdin.close()

    draw, process, newest = random.Random(0), forking(config, killed), None
    for i in range(KILLS):
        child = begin(process, *(["--resume"] if i else []))
        newest = wait_for_a_new_state(killed, newest)
        time.sleep(draw.uniform(0, 0.3))  # a step and its saving take about that long
        os.kill(child, signal.SIGKILL)
        assert code_of(process) == -signal.SIGKILL
        newest = states_in(Run(str(killed)).states)[-1]
    begin(process, "--resume")
    assert code_of(process) == 0
    process.stdin.close()
    (expected, history), (found, history_found) = result(whole), result(killed)
    assert history_found == history and len(history) == 6
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


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
