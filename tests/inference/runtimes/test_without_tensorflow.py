"""A machine without TensorFlow: files are opened and predict from image files all the same."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from helpers.plain_networks import ABOUT, SIZE, outputs_of, write_onnx
from tfmaskrcnn.export.tflite_head import tflite_head

CODE = """
import json, sys
sys.modules.update(dict.fromkeys(("tensorflow", "keras"), None))  # importing them fails
import tfmaskrcnn as mr
from tfmaskrcnn.cli.main import main
told = []
for path, runtime in (("a.onnx", None), ("a.onnx", "openvino"), ("a.tflite", None)):
    model = mr.open(path, runtime=runtime)
    image = model.read_image("photo.jpg")
    (found,) = model.predict_images([image])
    told.append([image.shape, int(image.sum()), found.names, found.scores.tolist()])
assert main(["predict", "a.tflite", "photo.jpg", "--out", "out"]) == 0
assert main(["compare", "a.onnx", "a.tflite", "--images", "photo.jpg", "--results", "c.json"]) == 0
assert not [name for name in sys.modules if name.startswith(("tensorflow", "keras"))
            and sys.modules[name]]
print(json.dumps(told))
"""


def write_tflite(path):
    """A TFLite file like `write_onnx`'s, which is made of TensorFlow's operations."""
    constants = {name: tf.constant(value) for name, value in outputs_of().items()}
    module = tf.Module()

    @tf.function(
        input_signature=[
            tf.TensorSpec([1, *SIZE, 3], tf.float32, "images"),
            tf.TensorSpec([1, 2], tf.float32, "sizes"),
        ]
    )
    def network(images, sizes):
        used = tf.reduce_mean(sizes) * 0.0
        mean = tf.reshape(tf.reduce_mean(images) + used, [1, 1])
        scores = tf.concat([mean * 0.0 + 0.9, tf.sigmoid(mean) * 0.5], axis=1)
        found = {name: value + used for name, value in constants.items()}
        return {**found, "detection_scores": scores}

    folder = path.parent / "graph"
    tf.saved_model.save(module, str(folder), {"network": network})
    content = tf.lite.TFLiteConverter.from_saved_model(str(folder), ["network"]).convert()
    path.write_bytes(tflite_head(content, "tfmaskrcnn", json.dumps(ABOUT)) + content)


@pytest.mark.slow
def test_files_predict_without_tensorflow(tmp_path):
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("openvino")
    write_onnx(tmp_path / "a.onnx")
    write_tflite(tmp_path / "a.tflite")
    smooth = np.random.default_rng(0).integers(0, 256, (9, 14, 3), np.uint8)
    photo, exif = Image.fromarray(smooth).resize((131, 87)), Image.Exif()
    exif[0x112] = 6  # a quarter turn
    photo.save(tmp_path / "photo.jpg", exif=exif, quality=80)
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    # The pixels are those that the SavedModel decodes, turned (see also `ops/test_decoding.py`).
    encoded = (tmp_path / "photo.jpg").read_bytes()
    pixels = tf.io.decode_jpeg(encoded, dct_method="INTEGER_ACCURATE").numpy()
    first, second = json.loads((tmp_path / "c.json").read_text())["rows"]
    assert first["found"] == second["matched"] > 0
    for shape, total, names, scores in told:
        assert (shape, total) == ([131, 87, 3], int(pixels.sum(dtype=np.int64)))
        assert names == ["cell", "star"]
        np.testing.assert_allclose(scores, told[0][3], atol=1e-5)
