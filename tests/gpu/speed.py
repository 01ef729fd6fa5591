"""Images a second and memory, beside torchvision's where that is installed: reported, no bounds."""

import statistics
import time
from typing import Callable, List, Optional

import numpy as np
import tensorflow as tf

import tfmaskrcnn as mr
from gpu import torchvision_speed
from gpu.networks import one_batch, whole_config
from gpu.rows import Given, Row, Size
from tfmaskrcnn.ops.tensors import as_graph
from tfmaskrcnn.train import make_optimizer

_DEVICE = "GPU:0"


def predicting(given: Given) -> List[Row]:
    """The network on images that lie ready, without reading and resizing."""
    table, model = [], mr.MaskRCNN(whole_config(given.size))
    detect = as_graph(lambda images, sizes: model.detect(images, sizes)._asdict())
    for count in given.size.batches:
        images = tf.random.stateless_normal([count, *given.size.sides, 3], [0, count])
        sizes = tf.fill([count, 2], 1.0) * np.float32(given.size.sides)
        call = lambda i=images, s=sizes: detect(i, s)["scores"].numpy()  # noqa: E731
        table += _measured("predict", call, count, given.size)
        table += torchvision_speed.predicting(given.size, count)
    return table


def training(given: Given) -> List[Row]:
    """Steps on one batch again and again."""
    table, size = [], given.size
    # Drawn weights would soon end in no number; a step takes as long at any rate.
    config = whole_config(size, "train.learning_rate=1e-9")
    model, eager = mr.MaskRCNN(config), tf.config.functions_run_eagerly()
    model.compile(make_optimizer(config.train, 1000), run_eagerly=eager)
    for count in size.batches:
        config = whole_config(size, f"train.batch_size={count}")
        batch = one_batch(config, given.folder, size.sides, count)
        table += _measured("train", lambda b=batch: model.train_on_batch(b), count, size)
        table += torchvision_speed.training(size, count)
    return table


def images_a_second(call: Callable[[], object], count: int, size: Size) -> float:
    """By the median of some calls of `count` images each."""
    for _ in range(size.warm_ups):
        call()
    seconds = []
    for _ in range(size.repeats):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return count / statistics.median(seconds)


def _measured(what: str, call, count: int, size: Size) -> List[Row]:
    gpu = bool(tf.config.list_logical_devices("GPU"))
    if gpu:
        tf.config.experimental.reset_memory_stats(_DEVICE)
    name = f"{what}, batch {count}"
    speed = Row(f"{name}: images a second", images_a_second(call, count, size))
    return [speed, _memory(f"{name}: peak memory in GB", gpu)]


def _memory(name: str, gpu: bool) -> Row:
    peak: Optional[float] = None
    if gpu:
        peak = tf.config.experimental.get_memory_info(_DEVICE)["peak"] / 1e9
    return Row(name, peak, note="" if gpu else "TensorFlow counts a GPU's memory only")
