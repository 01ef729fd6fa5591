"""Damaged TFLite files, which would end the process in the interpreter."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.runtimes import tflite_file
from tfmaskrcnn.inference.runtimes.tflite_structure import check_tflite


@pytest.fixture(scope="module")
def content():
    """A model of some operations, constants and a signature."""
    kernel = tf.constant(np.random.default_rng(0).normal(size=(3, 3, 3, 8)), tf.float32)
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([1, 8, 8, 3], tf.float32, "images")])
    def network(images):
        x = tf.nn.relu(tf.nn.conv2d(images, kernel, 1, "SAME"))
        return {"out": tf.reshape(tf.reduce_mean(x, [1, 2]), [8])}

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [network.get_concrete_function()], module
    )
    return converter.convert()


def test_a_model_passes(content, tmp_path):
    (tmp_path / "a.tflite").write_bytes(content)
    check_tflite(str(tmp_path / "a.tflite"))


def test_a_model_that_is_cut_off_is_refused_wherever_it_is(content, tmp_path):
    path = tmp_path / "a.tflite"
    lengths = [*range(0, 64), *range(64, len(content) - 4, 37), len(content) - 20]
    for length in lengths:
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match="a.tflite is (no|a damaged TFLite) model"):
            check_tflite(str(path))


def test_the_interpreter_is_not_asked_for_a_damaged_model(content, tmp_path, monkeypatch):
    path = tmp_path / "a.tflite"
    path.write_bytes(content[: len(content) // 2])
    monkeypatch.setattr(tflite_file, "_interpreter_class", None)  # not called
    with pytest.raises(InputError, match="a.tflite is a damaged TFLite model"):
        tflite_file.load(str(path))
    path.write_text("no model")
    with pytest.raises(InputError, match="a.tflite is no model that TFLite can load"):
        tflite_file.load(str(path))
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match="There is no file"):
        tflite_file.load(str(path))


def test_offsets_that_lead_anywhere_are_refused_or_harmless(content, tmp_path):
    path, refused = tmp_path / "a.tflite", 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        damaged = bytearray(content)
        for place in rng.integers(0, len(content) // 4, 3) * 4:
            damaged[place : place + 4] = rng.bytes(4)
        path.write_bytes(bytes(damaged))
        try:
            check_tflite(str(path))
        except InputError as error:
            refused += 1
            assert len(str(error)) < 300
    assert refused > 100


RUN = """
import sys, tensorflow as tf
for path in sys.argv[1:]:
    try:
        tf.lite.Interpreter(path).allocate_tensors()
    except (ValueError, RuntimeError):
        pass
"""


def test_what_passes_after_damage_does_not_end_the_interpreter(content, tmp_path):
    paths = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        damaged = bytearray(content)
        damaged[int(rng.integers(0, len(content)))] ^= 1 << int(rng.integers(0, 8))
        path = tmp_path / f"{seed}.tflite"
        path.write_bytes(bytes(damaged))
        try:
            check_tflite(str(path))
        except InputError:
            continue
        paths.append(str(path))
    assert len(paths) > 50
    done = subprocess.run([sys.executable, "-c", RUN, *paths], capture_output=True)
    assert done.returncode == 0, done.stderr[-2000:]
