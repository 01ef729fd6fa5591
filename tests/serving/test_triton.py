"""A model repository for Triton, checked by Triton's own message, and its client."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf

import tfmaskrcnn as mr
from helpers import triton_stand_in
from helpers.some_signatures import exported_with
from helpers.tiny import tiny_config
from helpers.triton_messages import model_config
from tfmaskrcnn import InputError
from tfmaskrcnn.inference.exported import served_instances
from tfmaskrcnn.serving import client, triton, triton_client
from tfmaskrcnn.serving.sending import png_of

SLOW = 240.0  # seconds: under load an answer may take long
SIZE, FOUND, MASK = (64, 96), 3, 4  # of the network's input; detections, and sides of their masks


def pictures(*sizes):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]


def config_of(folder):
    with open(os.path.join(folder, "config.pbtxt"), encoding="utf-8") as file:
        return model_config(file.read())


@pytest.fixture(scope="module", params=triton.BACKENDS)
def repository(request, exported_rle, model_rle, tmp_path_factory):
    """(repository, the stand-in's) of the SavedModel."""
    folder = str(tmp_path_factory.mktemp("triton"))
    triton.write_model(exported_rle, folder, backend=request.param)

    def load(path):
        assert os.path.exists(os.path.join(path, "saved_model.pb"))
        return model_rle.loaded  # the same, loaded before

    return folder, triton_stand_in.Repository(folder, load)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A SavedModel of a fixed size, with its preprocessing alone; and what TensorFlow loads."""
    config = tiny_config(f"input.fixed_size={list(SIZE)}")
    folder = tmp_path_factory.mktemp("prepared") / "1"
    exported_with(["preprocess"], mr.MaskRCNN(config.model), folder)
    return str(folder), tf.saved_model.load(str(folder))


@pytest.fixture(scope="module", params=[1, 2])
def batch(request):
    """Images that the ONNX file takes at once."""
    return request.param


@pytest.fixture(scope="module")
def network(batch, tmp_path_factory):
    """An ONNX file of the network's inputs and outputs that finds the same in all images."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    values = {
        "detection_boxes": np.tile(np.float32([0.0, 0.25, 0.5, 1.0]), (batch, FOUND, 1)),
        "detection_scores": np.tile(np.float32([0.9, 0.8, 0.0]), (batch, 1)),
        "detection_classes": np.ones((batch, FOUND), np.float32),
        "num_detections": np.full(batch, 2, np.float32),
        "detection_masks": np.ones((batch, FOUND, MASK, MASK), np.float32),
    }
    shapes = {"images": [batch, *SIZE, 3], "sizes": [batch, 2]}
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value))
        for name, value in values.items()
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, v.shape) for n, v in values.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = str(tmp_path_factory.mktemp("onnx") / "model.onnx")
    onnx.save(made, path)
    return path


def test_the_configuration_is_triton_s_and_the_model_s(repository):
    config = config_of(os.path.join(repository[0], "maskrcnn"))
    assert config.max_batch_size == 8 and not config.version_policy.ByteSize()
    (files,) = config.input
    assert (files.name, list(files.dims)) == ("image_bytes", [1]) and not files.reshape.shape
    outputs = {tensor.name: tensor for tensor in config.output}
    assert outputs["image_size"].data_type != outputs["image_errors"].data_type == files.data_type
    assert list(outputs["detection_boxes"].dims) == [20, 4]
    assert list(outputs["detection_masks_rle"].dims) == [20]
    assert outputs["num_detections"].HasField("reshape")
    # Of a model that reports bad images, requests may be merged.
    assert config.HasField("dynamic_batching") == (config.platform == "tensorflow_savedmodel")


def test_files_and_arrays_come_back_as_instances(repository, model_rle):
    images = pictures((60, 90), (40, 60), (50, 50))
    with triton_stand_in.serving(repository[1]) as url:
        serving = client.TritonClient(url, "maskrcnn", deadline=SLOW, max_batch=2)
        repository[1].requests = 0
        found = serving.predict(images)
        assert repository[1].requests == 2
        (file,) = serving.predict([png_of(images[0])])
    outputs = model_rle.predict("maskrcnn", "image_bytes", {"image_bytes": [png_of(images[0])]})
    expected = served_instances(outputs, 0)
    assert [instances.size for instances in found] == [(60, 90), (40, 60), (50, 50)]
    for instances in (found[0], file):
        assert len(instances) > 0
        np.testing.assert_allclose(instances.boxes, expected.boxes, atol=0.5)  # beside others
    assert file.rle() == expected.rle()


def test_one_bad_image_among_five_is_named(repository):
    images = [png_of(image) for image in pictures((40, 60), (60, 40), (50, 50), (30, 70))]
    with triton_stand_in.serving(repository[1]) as url:
        serving = client.TritonClient(url, "maskrcnn", deadline=SLOW, max_batch=2)
        with pytest.raises(client.ServingError) as error:
            serving.predict([*images[:3], b"no image", images[3]])
    assert str(error.value) == "Image 3 of the batch is no JPEG, PNG or BMP file."


def test_what_the_server_does_not_have_is_named(repository):
    with triton_stand_in.serving(repository[1]) as url:
        for model in ("leaves", "maskrcnn/versions/7"):
            serving = client.TritonClient(url, model, deadline=SLOW)
            with pytest.raises(client.ServingError) as error:
                serving.predict([b"x"])
            assert f"has no model {model!r}: Request for unknown model" in str(error.value)
        with pytest.raises(client.ServingError, match="takes image_bytes, these .* as images"):
            client.TritonClient(url, "maskrcnn").predict([np.zeros((3, 4, 2), np.uint8)])
        newest = client.TritonClient(url, "maskrcnn/versions/1", deadline=SLOW)
        assert len(newest.predict(pictures((40, 60)))) == 1
    serving = client.TritonClient("http://127.0.0.1:9", "maskrcnn", deadline=SLOW, attempts=2)
    with pytest.raises(client.ServingError, match="no answer from .*config: .*after 2 attempts"):
        serving.predict([b"x"])


def test_the_command_line_asks_triton(repository, tmp_path, capsys):
    (image,) = pictures((40, 60))
    (tmp_path / "good.png").write_bytes(png_of(image))
    (tmp_path / "bad.png").write_bytes(b"x")
    paths = [str(tmp_path / name) for name in ("bad.png", "good.png")]
    with triton_stand_in.serving(repository[1]) as url:
        assert client.main([*paths, "--triton", url, "--threshold", "0"]) == 1
    shown = capsys.readouterr()
    assert f"{paths[1]}: 40 x 60" in shown.out
    assert shown.err == f"{paths[0]}: Image 0 of the batch is no JPEG, PNG or BMP file.\n"


def test_an_ensemble_prepares_images_for_the_onnx_file(prepared, network, batch, tmp_path):
    pytest.importorskip("onnxruntime")
    written = triton.write_ensemble(prepared[0], network, str(tmp_path), name="cells")
    names = ["cells_preprocess", "cells_network", "cells"]
    assert written == [str(tmp_path / name / "1") for name in names]
    repository = triton_stand_in.Repository(str(tmp_path), lambda path: prepared[1])
    with triton_stand_in.serving(repository) as url:
        serving = client.TritonClient(url, "cells", deadline=SLOW)
        found = serving.predict(pictures((60, 90), (40, 60), (20, 30)))
        with pytest.raises(client.ServingError) as error:
            serving.predict([*map(png_of, pictures((60, 90), (40, 60))), b""])
    assert [instances.size for instances in found] == [(60, 90), (40, 60), (20, 30)]
    assert found[1].boxes.tolist() == [[0, 15, 20, 60]] * 2  # relative to the image
    assert found[1].masks.shape == (2, 40, 60) and found[1].masks[0, 5, 30]
    assert str(error.value) == "Image 2 of the batch is empty (0 bytes)."
    assert error.value.code in (400, "INVALID_ARGUMENT")


def test_what_does_not_fit_together_is_refused(prepared, network, exported, tmp_path):
    where, prepared = str(tmp_path / "models"), prepared[0]
    with pytest.raises(InputError, match=r"any x any x 3.*takes 64 x 96 x 3; export both"):
        triton.write_ensemble(exported, network, where)
    other = tmp_path / "other.onnx"
    other.write_bytes(b"no model")
    for path, sentence in ((str(other), "is no ONNX model"), ("none.onnx", "There is no file")):
        with pytest.raises(InputError, match=sentence):
            triton.write_ensemble(prepared, path, where)
    with pytest.raises(InputError, match="is no name of a model"):
        triton.write_ensemble(prepared, network, where, name="a/b")
    with pytest.raises(InputError, match="has no signature 'serving_default'"):
        triton.write_model(prepared, where)
    with pytest.raises(InputError, match="backend is 'jax'; wanted one of python, tensorflow"):
        triton.write_model(exported, where, backend="jax")
    (tmp_path / "saved_model.pb").write_bytes(b"garbage")
    assert triton.main([str(tmp_path), where]) == 2
    assert not os.path.exists(where)


def test_the_command_writes_the_next_version(exported, tmp_path, capsys):
    where = str(tmp_path / "models")
    for version in ("1", "2"):
        assert triton.main([exported, where, "--name", "shapes"]) == 0
        assert capsys.readouterr().out == os.path.join(where, "shapes", version) + "\n"
    folder = os.path.join(where, "shapes")
    assert sorted(os.listdir(folder)) == ["1", "2", "config.pbtxt"]
    assert sorted(os.listdir(os.path.join(folder, "2"))) == ["model.py", "model.savedmodel"]
    # This one fails the request of a bad image: nothing is merged.
    assert not config_of(folder).HasField("dynamic_batching")


FORM = b'{"max_batch_size": 2, "input": [{"name": "image_bytes", "dims": ["1"]}]}'


def asked_of(monkeypatch, *bodies):
    """What the client says of a server that answers with these."""
    answers = iter([(body, {}) for body in bodies])
    monkeypatch.setattr(triton_client, "asked", lambda *_: next(answers))
    with pytest.raises(client.ServingError) as error:
        client.TritonClient("http://localhost:8000", "leaves").predict([b"x"])
    return str(error.value)


@pytest.mark.parametrize(
    "config",
    [
        *(
            b"",
            b"[]",
            b"{}",
            b'{"input": []}',
            b'{"input": [{"name": "image_bytes"}]}',
            b"[" * 99_999,
        ),
        b'{"input": [{"name": "image_bytes", "dims": [1e999]}]}',
        b'{"input": [{"name": "image_bytes", "dims": [999999999]}]}',
        b'{"input": [{"name": "image_bytes", "dims": [1]}], "max_batch_size": 999999999}',
    ],
)
def test_a_configuration_that_is_none_is_a_sentence(config, monkeypatch):
    assert "/config answers with no configuration of a model" in asked_of(monkeypatch, config)


@pytest.mark.parametrize("shape, data", [([], [1]), ([1, 0], []), ([1], [7]), ([1], ["x"])])
def test_numbers_of_detections_that_are_none_are_a_sentence(shape, data, monkeypatch):
    values = {
        "detection_boxes": [[[0, 0, 1, 1]]],
        "detection_scores": [[0.5]],
        "detection_classes": [[1]],
        "image_size": [[4, 5]],
    }
    tensors = [
        {"name": name, "datatype": "FP64", "shape": np.shape(value), "data": value}
        for name, value in values.items()
    ]
    number = {"name": "num_detections", "datatype": "BYTES", "shape": shape, "data": data}
    body = json.dumps({"outputs": [*tensors, number]}).encode()
    assert "leaves" in asked_of(monkeypatch, FORM, body)
