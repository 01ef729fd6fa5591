"""`mr.load` of whatever a person has of a model."""

import numpy as np
import pytest

import tfmaskrcnn as mr
from helpers.tiny import tiny_config
from tfmaskrcnn.config.yaml_files import save_config
from tfmaskrcnn.inference.opened_model import OpenedModel
from tfmaskrcnn.inference.opening import Source
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.model.weights import named_weights, save_weights


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    config = tiny_config()
    save_config(config, str(folder / "config.json"))
    save_weights(mr.MaskRCNN(config.model), str(folder / "weights.npz"))
    return folder


def test_weights_find_the_configuration_beside_them(run):
    expected = named_weights(mr.load(run))
    for name, variable in named_weights(mr.load(run / "weights.npz")).items():
        np.testing.assert_array_equal(variable.numpy(), expected[name].numpy())


def test_weights_alone_want_a_configuration(run, tmp_path):
    path = tmp_path / "weights.npz"
    path.write_bytes((run / "weights.npz").read_bytes())
    with pytest.raises(mr.InputError, match=r"weights alone.*load\(path, config=...\)"):
        mr.load(path)
    model = mr.load(path, ["box_head.score_threshold=0.4"], tiny_config().model)
    assert model.config.box_head.score_threshold == 0.4
    with pytest.raises(mr.InputError, match="does not fit the model"):
        mr.load(path, ["mask_head.enabled=false"], run)


@pytest.mark.parametrize(
    "name, said",
    [
        ("nothing", "There is no run folder, file or SavedModel 'nothing'"),
        ("no.npz", "There is no weights file no.npz"),
        ("maskrcnn_resnet50_fpn_coc", "did you mean|nearly|There is neither"),
        (None, "What is loaded is None; wanted a path"),
        ("", "What is loaded is ''; wanted a path"),
        (7, "What is loaded is 7; wanted a path"),
    ],
)
def test_what_is_not_there_is_told(name, said):
    with pytest.raises(mr.InputError, match=said):
        mr.load(name)


@pytest.mark.parametrize(
    "name, said",
    [
        ("x.keras", "keras.models.load_model"),
        ("x.pth", "mr.from_checkpoint"),
        ("x.onnx", "is damaged or no ONNX model"),
        ("x.txt", "is no run folder, SavedModel, .npz, .tfmaskrcnn, .onnx or .tflite file"),
    ],
)
def test_files_of_other_kinds_are_told_apart(tmp_path, name, said):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(mr.InputError, match=said):
        mr.load(tmp_path / name)


def test_a_configuration_is_for_weights_alone(run):
    with pytest.raises(mr.InputError, match="config is for a weights file"):
        mr.load(run, config="finetune")


def found(images):
    size = images[0].shape[:2]
    boxes = np.float32([[0, 0, 4, 4], [1, 1, 5, 5]])
    return [Instances(boxes, np.float32([0.9, 0.2]), np.int32([1, 1]), size) for _ in images]


def test_a_saved_model_predicts_and_says_that_it_cannot_be_trained():
    model = OpenedModel("exported/1", Source(found, ("cell",), (1,)))
    images = [np.zeros((8, 8, 3), np.uint8)] * 3
    assert [len(each) for each in model.predict_images(images, batch_size=2)] == [2, 2, 2]
    assert [len(each) for each in model.predict_images(images, 0.5)] == [1, 1, 1]
    assert model.class_names == ("cell",)
    with pytest.raises(mr.InputError, match="opened to predict .* no 'fit' here; mr.load of"):
        model.fit(None)
    assert not hasattr(model, "nothing")
    assert "exported/1" in repr(model)


def test_a_folder_with_a_saved_model_is_opened_as_one(tmp_path, monkeypatch):
    (tmp_path / "saved_model.pb").write_bytes(b"")
    source = Source(found, ("cell",), (1,))
    monkeypatch.setattr("tfmaskrcnn.inference.loading.open_source", lambda *_, **__: source)
    assert mr.load(tmp_path).source is source
    monkeypatch.undo()
    with pytest.raises(mr.InputError, match="is a SavedModel, whose settings were fixed"):
        mr.load(tmp_path, ["input.min_side=64"])
