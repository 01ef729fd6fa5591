"""Published weights by name, as `mr.load`, training and the commands take them."""

import hashlib
import json
import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfmaskrcnn as mr
from golden.weights_by_name import image
from helpers.file_server import FileServer
from helpers.thin_torchvision import THIN_HEADS, thin_state_dict
from helpers.torch_files import whole, write_zip
from tfmaskrcnn.checkpoints import named_runs
from tfmaskrcnn.checkpoints.named_runs import model_folder, run_of, with_network_of_weights
from tfmaskrcnn.checkpoints.published import BACKBONES, DETECTORS
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.config.yaml_files import load_config, override
from tfmaskrcnn.inference.opening import check_model
from tfmaskrcnn.model.weights import CLASS_LAYERS, named_weights
from tfmaskrcnn.support import cache_folder
from tfmaskrcnn.train.first_weights import start_weights

NAME = "maskrcnn_resnet50_fpn_coco"
FILE = DETECTORS[NAME].file


@pytest.fixture(scope="module")
def tensors():
    return thin_state_dict()


@pytest.fixture(scope="module")
def content(tmp_path_factory, tensors):
    path = tmp_path_factory.mktemp("published") / FILE
    write_zip(path, {n: whole(array, str(i)) for i, (n, array) in enumerate(tensors.items())})
    return path.read_bytes()


@pytest.fixture(scope="module")
def home(tmp_path_factory, content):
    """A cache, and a server at which a thin network takes the place of a published one."""
    patch, server = pytest.MonkeyPatch(), FileServer(**{FILE: content})
    home = tmp_path_factory.mktemp("home")
    patch.setenv(cache_folder.HOME, str(home))
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    entry = DETECTORS[NAME]._replace(address=f"{server.address}/{FILE}", digest=digest)
    patch.setitem(DETECTORS, NAME, entry)
    yield home
    patch.undo()
    server.close()


@pytest.fixture(scope="module")
def run(home):
    return run_of(NAME)


def test_a_name_opens_as_a_model_in_its_files_own_dialect(home, run, tensors):
    model = mr.load(NAME, ["input.min_side=128", "input.max_side=128"])
    assert model.config.backbone.norm_epsilon == 0 and model.config.num_classes == 4
    expected = named_weights(mr.from_checkpoint(tensors))
    for name, value in named_weights(model).items():
        np.testing.assert_array_equal(value.numpy(), expected[name].numpy(), name)
    assert os.listdir(home / "weights") == [NAME]
    assert sorted(os.listdir(home / "weights" / NAME)) == [FILE, "run-1"]


def test_it_is_imported_once(run, monkeypatch):
    monkeypatch.setattr(named_runs, "file_in", None)
    assert run_of(NAME) == model_folder(NAME) == run
    assert check_model(run).model.backbone.name == "resnet18"


def test_another_file_than_was_published_is_never_loaded(home, run, monkeypatch, tmp_path):
    monkeypatch.setenv(cache_folder.HOME, str(tmp_path))
    entry = DETECTORS[NAME]
    monkeypatch.setitem(DETECTORS, NAME, entry._replace(digest=f"sha256:{'0' * 64}"))
    with pytest.raises(mr.InputError, match="are another file than was published, by the sha256"):
        mr.load(NAME)
    assert not os.listdir(tmp_path / "weights" / NAME)


def test_a_half_made_run_is_made_anew(home, run, monkeypatch, tmp_path, content):
    monkeypatch.setenv(cache_folder.HOME, str(tmp_path))
    folder = tmp_path / "weights" / NAME
    (folder / "run-1.tmp").mkdir(parents=True)
    (folder / "run-1.tmp" / "weights.npz").write_bytes(b"")
    (folder / FILE).write_bytes(content)
    assert sorted(os.listdir(run_of(NAME))) == ["config.json", "weights.npz"]
    assert sorted(os.listdir(folder)) == [FILE, "run-1"]


def test_what_lies_here_goes_before_a_name(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / NAME).mkdir()
    assert model_folder(NAME) == NAME
    with pytest.raises(mr.InputError, match=r"no config\.json"):
        mr.load(NAME)


def test_a_slip_in_a_name_is_told_and_other_words_are_paths():
    with pytest.raises(mr.InputError, match="neither a folder .* did you mean 'maskrcnn_res"):
        mr.load("maskrcnn_resnet50_fpn_coc")
    with pytest.raises(mr.InputError, match="no run folder, file or SavedModel .runs/nothing"):
        mr.load("runs/nothing")
    with pytest.raises(mr.InputError, match="model.backbone.weights=resnet50_imagenet1k_v1"):
        mr.load("resnet50_imagenet1k_v1")


def test_import_weights_takes_the_name_or_the_file_in_the_same_dialect(home, run, tmp_path, capsys):
    made = [str(tmp_path / "by_name"), str(tmp_path / "by_file")]
    path = str(home / "weights" / NAME / FILE)
    assert main(["import-weights", NAME, made[0], "--skip", "heads", "--set", "num_classes=2"]) == 0
    assert main(["import-weights", "torchvision", path, made[1]]) == 0
    first, second = (load_config(folder).model for folder in made)
    assert first.backbone.norm_epsilon == second.backbone.norm_epsilon == 0
    assert (first.num_classes, second.num_classes) == (2, 4)
    assert main(["import-weights", "torchvision", path, "--set", "backbone.norm_epsilon=1"]) == 2
    assert main(["import-weights", "torchvison", path, str(tmp_path / "c")]) == 2
    assert main(["import-weights", "resnet18_imagenet1k_v1", str(tmp_path / "c")]) == 2
    errors = capsys.readouterr().err
    assert "FILE or FOLDER is missing" in errors and "There is no source 'torchvison'" in errors
    assert "is a backbone without a detector's heads" in errors


def test_predict_finds_objects_with_what_a_name_stands_for(run, tmp_path, capsys):
    Image.fromarray(image(60, 70, seed=0)).save(tmp_path / "photo.png")
    out, sizes = tmp_path / "found", ["input.min_side=64", "input.max_side=64"]
    tf.config.run_functions_eagerly(True)
    try:
        command = ["predict", NAME, str(tmp_path / "photo.png"), "--out", str(out)]
        assert main([*command, "--set", *sizes, "box_head.score_threshold=0"]) == 0
    finally:
        tf.config.run_functions_eagerly(False)
    assert json.loads((out / "results.json").read_text())
    assert "1 image" in capsys.readouterr().out or (out / "photo.png").exists()


def test_the_commands_take_a_name(run, tmp_path, capsys):
    assert main(["info", NAME]) == 0
    assert "resnet18" in capsys.readouterr().out
    assert main(["evaluate", NAME]) == 2
    assert main(["evaluate", NAME, "--json", "a", "--images", "b", "--save-thresholds"]) == 2
    assert main(["evaluate", NAME, "--json", "a.json", "--images", "b"]) == 2
    assert main(["export", NAME, str(tmp_path / "m.onnx"), "--format", "onnx"]) == 2
    shown = capsys.readouterr().err.splitlines()
    told = [f"{NAME} has no val split", "has no folder of your own to keep", "no file a.json"]
    told.append("takes images of any size")
    assert len(shown) == 4 and all(text in line for text, line in zip(told, shown)), shown


def test_weights_lists_what_is_here(home, run, capsys):
    assert main(["weights"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in (*DETECTORS, *BACKBONES)) and "CC BY-SA 3.0" in shown
    here = [line.split()[0] for line in shown.splitlines() if line.rstrip().endswith("yes")]
    assert here == [NAME]
    assert max(map(len, shown.splitlines())) < 120 and str(home) in shown
    assert main(["weights", NAME]) == 0
    assert "norm_epsilon=0" in capsys.readouterr().out
    assert main(["weights", "mask_rcnn"]) == 2


def test_training_takes_their_network_and_keeps_its_own_settings(run):
    overrides = [f"train.weights={NAME}", "input.min_side=96", "train.batch_size=2"]
    config = load_config("finetune", overrides)
    found = with_network_of_weights(config, "finetune", overrides)
    assert found.model.backbone.name == "resnet18" and found.model.fpn.channels == 16
    assert found.model.input.min_side == 96 and found.model.input.resize == "torch"
    assert found.train == config.train and found.data == config.data
    config = override(config, ["box_head={loss: focal, class_weights: balanced}"])
    head = with_network_of_weights(config, "finetune", overrides).model.box_head
    assert (head.loss, head.class_weights, head.hidden) == ("focal", "balanced", 32)
    # Of the classes nothing is said: they are the data set's.
    assert not {"num_classes", "class_names"} & found.model.model_fields_set
    assert with_network_of_weights(config, run, overrides) is config
    named = load_config("finetune", [*overrides, "num_classes=3", "class_names=[a, b, c]"])
    named = with_network_of_weights(named, "finetune", overrides)
    assert named.model.class_names == ("a", "b", "c")
    model = mr.MaskRCNN(named)
    start_weights(model, named)
    theirs = named_weights(mr.load(run))
    for name, value in named_weights(model).items():
        if not name.startswith(CLASS_LAYERS):
            np.testing.assert_array_equal(value.numpy(), theirs[name].numpy(), name)


def test_detectron2s_adaptive_pooling_makes_way_for_training(run, monkeypatch, tmp_path):
    changed = load_config(run, ["roi.sampling_ratio=0", *THIN_HEADS])
    (tmp_path / "config.json").write_text(changed.model_dump_json())
    monkeypatch.setattr(named_runs, "run_of", lambda name: str(tmp_path))
    config = load_config("finetune", [f"train.weights={NAME}"])
    assert with_network_of_weights(config, "finetune", ()).model.roi.sampling_ratio == 2
