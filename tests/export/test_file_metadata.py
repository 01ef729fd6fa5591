"""What `export` puts into files about themselves, and that nothing else of them changes."""

import numpy as np
import onnx
import pytest
import tensorflow as tf

from helpers.plain_networks import write_onnx
from tfmaskrcnn.export.file_metadata import describe_file
from tfmaskrcnn.export.tflite_head import tflite_head
from tfmaskrcnn.inference.runtimes.file_about import file_about, input_of_size
from tfmaskrcnn.inference.runtimes.tflite_structure import check_tflite, metadata_of


@pytest.fixture
def assets(monkeypatch):
    """A SavedModel's, by name."""
    files = {
        "config.json": {"class_names": ["ü"], "input": {"max_side": 96, "padding": "corner"}},
        "export.json": {"options": {"precision": "float16"}, "versions": {"keras": "3"}},
    }
    module = "tfmaskrcnn.export.file_metadata"
    monkeypatch.setattr(f"{module}.exported_config", lambda folder: files["config.json"])
    monkeypatch.setattr(f"{module}.exported_json", lambda folder, name: files.get(name, {}))
    return files


def test_an_onnx_file_keeps_its_model_and_tells(tmp_path, assets):
    path = write_onnx(tmp_path / "a.onnx", about=None)
    before = onnx.load(path)
    assert file_about(path) == {}
    describe_file(path, "folder", (1, 64, 96, 3), nms="host")
    about = file_about(path)
    assert about["model"]["class_names"] == ["ü"] and about["versions"] == {"keras": "3"}
    assert about["model"]["input"]["fixed_size"] == [64, 96]
    assert (about["precision"], about["nms"], about["thresholds"]) == ("float16", "host", None)
    after = onnx.load(path)  # by the library's own reading
    assert [entry.key for entry in after.metadata_props] == ["tfmaskrcnn"]
    assert after.graph == before.graph


def test_a_model_of_another_program_tells_nothing(tmp_path, assets):
    assets["config.json"].clear()
    path = write_onnx(tmp_path / "a.onnx", about=None)
    describe_file(path, "folder", (1, 64, 96, 3))
    assert file_about(path) == {}


@pytest.mark.parametrize("text", ["", "x", "{}" * 4001])
def test_a_tflite_file_computes_the_same_behind_its_new_head(tmp_path, text):
    kernel = tf.constant(np.random.default_rng(0).normal(size=(3, 3, 3, 8)), tf.float32)
    function = tf.function(
        lambda x: tf.nn.conv2d(x, kernel, 1, "SAME"), input_signature=[tf.TensorSpec([1, 8, 8, 3])]
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    content = converter.convert()
    path = tmp_path / "a.tflite"
    path.write_bytes(content)
    assert metadata_of(str(path), "tfmaskrcnn") is None
    known = metadata_of(str(path), "min_runtime_version")
    head = tflite_head(content, "tfmaskrcnn", text)
    assert len(head) % 16 == 0  # constants stay where kernels want them
    path.write_bytes(head + content)
    check_tflite(str(path))
    assert metadata_of(str(path), "tfmaskrcnn") == text.encode()
    assert known and metadata_of(str(path), "min_runtime_version") == known
    image = np.random.default_rng(1).normal(size=(1, 8, 8, 3)).astype(np.float32)
    found = [_run(part, image) for part in (content, head + content)]
    np.testing.assert_array_equal(*found)


def _run(content, image):
    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def test_a_file_s_input_is_of_its_size_unless_the_rule_gives_it_already():
    centred = {"padding": "centred", "max_side": 1024}
    assert input_of_size(centred, (1024, 1024)) is centred
    assert input_of_size(centred, (512, 512))["fixed_size"] == [512, 512]
    fixed = {"fixed_size": [64, 96]}
    assert input_of_size(fixed, (64, 96)) is fixed
