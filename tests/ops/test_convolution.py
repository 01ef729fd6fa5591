import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.ops import convolution
from tfmaskrcnn.ops.convolution import conv2d


def test_each_group_of_outputs_reads_its_group_of_inputs():
    x = tf.constant([[[[1.0, 10.0, 100.0, 1000.0]]]])
    kernel = tf.constant([[1.0, 2.0], [3.0, 4.0]])[None, None]  # 2 of 4 channels: two groups
    # Output 0 is of the first two channels, output 1 of the last two.
    np.testing.assert_allclose(conv2d(x, kernel, 1, "SAME")[0, 0, 0], [31.0, 4200.0])


def both_ways(monkeypatch, compute):
    results = []
    for native in (True, False):
        monkeypatch.setattr(convolution, "_groups_are_native", lambda native=native: native)
        results.append(compute())
    return results


@pytest.mark.parametrize("seed", range(20))
def test_groups_are_a_block_diagonal_kernel(monkeypatch, seed):
    rng = np.random.default_rng(seed)
    groups, size, out = rng.integers(1, 5), rng.integers(1, 4), rng.integers(1, 4)
    strides, side = int(rng.integers(1, 3)), 2 * int(rng.integers(0, 2)) + 1
    strides = strides if side > 1 else 1
    x = tf.constant(rng.normal(size=(2, 6, 5, groups * size)), tf.float32)
    kernel = tf.constant(rng.normal(size=(side, side, size, groups * out)), tf.float32)
    dense = np.zeros((side, side, groups * size, groups * out), np.float32)
    for g in range(groups):
        rows, columns = slice(g * size, (g + 1) * size), slice(g * out, (g + 1) * out)
        dense[:, :, rows, columns] = kernel[..., columns]
    expected = tf.nn.conv2d(x, dense, strides, "SAME")
    for found in both_ways(monkeypatch, lambda: conv2d(x, kernel, strides, "SAME")):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_both_ways_have_the_same_gradient(monkeypatch):
    if not convolution._groups_are_native():
        pytest.skip("neither a GPU nor oneDNN, which TensorFlow uses on CPUs with AVX-512")
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(1, 7, 6, 8)), tf.float32)
    kernel = tf.constant(rng.normal(size=(3, 3, 2, 12)), tf.float32)

    def gradients():
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            total = tf.reduce_sum(tf.sin(conv2d(x, kernel, 2, "VALID")))
        return tape.gradient(total, [x, kernel])

    for native, split in zip(*both_ways(monkeypatch, gradients)):
        np.testing.assert_allclose(native, split, atol=1e-5)
        assert np.abs(native).sum() > 0


WITHOUT_ONEDNN = """
import numpy as np, tensorflow as tf
from tfmaskrcnn.model.layers.resnet import Bottleneck
block = Bottleneck(64, groups=32, width=4)
block.build((None, None, None, 8))

@tf.function
def gradient(x):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(block(x) ** 2)
    return loss, tape.gradient(loss, block.trainable_weights)

loss, gradients = gradient(tf.ones([1, 8, 8, 8]))
assert len(gradients) == 4 and all(np.isfinite(g).all() for g in gradients)
print(tf.function(block)(tf.ones([1, 8, 8, 8])).shape)
"""


@pytest.mark.slow
@pytest.mark.parametrize("onednn", ["0", "1"])
def test_a_resnext_block_trains_on_a_cpu_with_onednn_and_without(onednn):
    # TensorFlow reads the switch once, so in a process of its own.
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": onednn, "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", WITHOUT_ONEDNN]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and "(1, 8, 8, 256)" in done.stdout, done.stderr[-500:]
