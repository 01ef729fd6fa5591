import io
import os
import shutil
import socket
import subprocess

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from helpers.one_stack import on_stack_a
from helpers.paths import ROOT
from helpers.stand_in import rest_server
from tfmaskrcnn import InputError
from tfmaskrcnn.serving import publish

SERVING = os.path.join(ROOT, "export", "serving")


@pytest.fixture
def picture(tmp_path):
    Image.fromarray(np.full((40, 50, 3), 90, np.uint8)).save(tmp_path / "photo.jpg")
    return str(tmp_path / "photo.jpg")


@on_stack_a
def test_versions_count_up_and_nothing_unfinished_stays(exported, tmp_path):
    folder = str(tmp_path / "models" / "maskrcnn")
    assert publish.publish(exported, folder) == os.path.join(folder, "1")
    os.makedirs(os.path.join(folder, "7"))
    os.makedirs(os.path.join(folder, "notes"))
    assert publish.publish(exported, folder) == os.path.join(folder, "8")
    assert sorted(os.listdir(folder)) == ["1", "7", "8", "notes"]
    assert "image_bytes" in tf.saved_model.load(os.path.join(folder, "8")).signatures


@on_stack_a
def test_warm_up_requests_are_records_that_the_model_answers(exported, tmp_path, picture):
    pytest.importorskip("tensorflow_serving", reason="the extra 'serving' is not installed")
    from tensorflow_serving.apis import prediction_log_pb2

    target = publish.publish(exported, str(tmp_path / "maskrcnn"), [picture, picture])
    path = os.path.join(target, "assets.extra", "tf_serving_warmup_requests")
    records = list(tf.data.TFRecordDataset(path).as_numpy_iterator())
    assert len(records) == 2
    log = prediction_log_pb2.PredictionLog.FromString(records[0])
    request = log.predict_log.request
    assert request.model_spec.name == "maskrcnn"
    signature = tf.saved_model.load(target).signatures[request.model_spec.signature_name]
    data = tf.make_ndarray(request.inputs["image_bytes"])
    with open(picture, "rb") as file:
        assert data.tolist() == [file.read()]
    assert signature(image_bytes=tf.constant(data))["num_detections"].shape == [1]


@on_stack_a
def test_a_warm_up_image_that_would_keep_the_server_from_loading_is_refused(
    exported, exported_rle, tmp_path, picture
):
    pytest.importorskip("tensorflow_serving", reason="the extra 'serving' is not installed")
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(io.BytesIO(b"no image").getvalue())
    for saved in (exported, exported_rle):  # one fails, the other reports
        with pytest.raises(InputError, match="bad.jpg: .*is no JPEG, PNG or BMP file"):
            publish.publish(saved, str(tmp_path / "maskrcnn"), [picture, str(bad)])
    with pytest.raises(InputError, match="Cannot read the warm-up image"):
        publish.publish(exported, str(tmp_path / "maskrcnn"), [str(tmp_path / "none.jpg")])
    assert not (tmp_path / "maskrcnn").exists()


@on_stack_a
def test_without_the_messages_the_extra_is_named(exported, tmp_path, picture, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "tensorflow_serving.apis", None)
    arguments = [exported, str(tmp_path / "maskrcnn"), "--warmup", picture]
    assert publish.main(arguments) == 2
    assert "install the extra 'serving'" in capsys.readouterr().err
    assert not (tmp_path / "maskrcnn").exists()


def test_another_saved_model_cannot_be_warmed_up(tmp_path, picture):
    pytest.importorskip("tensorflow_serving", reason="the extra 'serving' is not installed")
    tf.saved_model.save(tf.Module(), str(tmp_path / "other"))
    with pytest.raises(InputError, match="has no signature 'image_bytes'"):
        publish.publish(str(tmp_path / "other"), str(tmp_path / "maskrcnn"), [picture])
    (tmp_path / "other" / "saved_model.pb").write_bytes(b"garbage")
    with pytest.raises(InputError, match="is no SavedModel that TensorFlow can load"):
        publish.publish(str(tmp_path / "other"), str(tmp_path / "maskrcnn"), [picture])
    assert not (tmp_path / "maskrcnn").exists()


def test_what_is_no_saved_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="is no SavedModel"):
        publish.publish(str(tmp_path), str(tmp_path / "maskrcnn"))
    assert publish.main([str(tmp_path), str(tmp_path / "maskrcnn")]) == 2


def composed(name):
    import yaml

    with open(os.path.join(SERVING, name), encoding="utf-8") as file:
        (service,) = yaml.safe_load(file)["services"].values()
    return service


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml", "compose.triton.yaml"])
def test_the_server_s_files_name_what_exists(name):
    service = composed(name)
    for mount in service["volumes"]:
        source = mount.rsplit(":", 2)[0]
        assert source.endswith("models}") or os.path.exists(os.path.join(SERVING, source))
    build = service.get("build", {})
    assert not build or os.path.exists(os.path.join(SERVING, build["dockerfile"]))


def test_options_of_the_server_that_are_files_are_mounted():
    service = composed("compose.yaml")
    mounted = {mount.rsplit(":", 2)[1] for mount in service["volumes"]}
    named = {option.split("=")[1] for option in service["command"] if "_file=" in option}
    assert named and named <= mounted
    assert {mount.split(":")[1] for mount in composed("compose.gpu.yaml")["volumes"]} <= mounted


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
@on_stack_a
def test_the_health_check_knows_a_server_that_is_ready(model):
    command = composed("compose.yaml")["healthcheck"]["test"][1:]
    with rest_server(model) as url, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port, other = url.rsplit(":", 1)[1], str(unused.getsockname()[1])
        for changes, healthy in (
            ({"8501": port}, True),
            ({"8501": port, "maskrcnn": "leaves"}, False),
            ({"8501": port, "AVAILABLE": "LOADING"}, False),
            ({"8501": other}, False),
        ):
            line = command[-1]
            for old, new in changes.items():
                line = line.replace(old, new)
            done = subprocess.run([*command[:-1], line], capture_output=True, timeout=60)
            assert (done.returncode == 0) == healthy, (changes, done)
