"""Runs on several devices or workers, in processes that fork where TensorFlow is imported."""

import functools
import json
import multiprocessing
import os
import socket
import sys
from multiprocessing import forkserver
from unittest import mock

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tfmaskrcnn.cli.main", "tfmaskrcnn.train"])


def start(config, folder, strategy, resume=False):
    """The processes of a run of `tfmaskrcnn train`: two with "multi_worker", else one.

    What a worker prints is in `folder`.0.log and `folder`.1.log. Steps run eagerly, which takes a
    fifth of the time that tracing does, and rounds alike in all of them; without oneDNN, which
    TensorFlow takes by default where a CPU has AVX-512, and which rounds differently.
    """
    with mock.patch.dict(os.environ, TF_ENABLE_ONEDNN_OPTS="0"):
        forkserver.ensure_running()
    count = 2 if strategy == "multi_worker" else 1
    hosts = [f"localhost:{port}" for port in _free_ports(count)]
    arguments = [config, "--out", str(folder), "--set", f"train.strategy={strategy}"]
    arguments = ["train", *arguments, *(["--resume"] if resume else [])]
    processes = []
    for index in range(count):
        place = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}
        log = f"{folder}.{index}.log"
        given = (arguments, json.dumps(place) if count > 1 else "", log)
        processes.append(PROCESSES.Process(target=_run, args=given, daemon=True))
        processes[-1].start()
    return processes


def _free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("localhost", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _run(arguments, place, log):
    with open(log, "w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    import tensorflow as tf

    from tfmaskrcnn.cli.main import main as cli
    from tfmaskrcnn.model.fit import TrainableModel

    if place:
        os.environ["TF_CONFIG"] = place
    else:
        cpu, device = tf.config.list_physical_devices("CPU"), tf.config.LogicalDeviceConfiguration()
        tf.config.set_logical_device_configuration(cpu[0], [device] * 2)
    compiled = TrainableModel.compile
    TrainableModel.compile = functools.partialmethod(compiled, run_eagerly=True)
    sys.exit(cli(arguments))
