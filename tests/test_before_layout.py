"""What an older version wrote is read as it was: a run, its state, its SavedModel."""

import json
import tarfile

import numpy as np
import pytest

import tfmaskrcnn as mr
from helpers.one_stack import on_stack_b
from helpers.paths import GOLDEN
from tfmaskrcnn.compat import KERAS3
from tfmaskrcnn.inference.description import describe
from tfmaskrcnn.inference.opening import open_source
from tfmaskrcnn.train.state import training_digest

THIS_STACK = "b" if KERAS3 else "a"


def unpacked(name, folder):
    with tarfile.open(GOLDEN / f"before_layout_{name}.tar.xz") as file:
        file.extractall(folder, filter="data")


def image_and_expected():
    """The first image of the data that were unpacked here, and the older version's results."""
    with open("data/instances.json", encoding="utf-8") as file:
        name = json.load(file)["images"][0]["file_name"]
    return mr.data.read_image(f"data/images/{name}"), np.load("expected.npz")


def assert_equal(found, expected):
    assert len(found) == len(expected["found/scores"]) > 3
    np.testing.assert_array_equal(found.classes, expected["found/classes"])
    np.testing.assert_allclose(found.boxes, expected["found/boxes"], atol=1e-3)
    np.testing.assert_allclose(found.scores, expected["found/scores"], atol=1e-5)
    masks = expected["found/mask_probabilities"]
    np.testing.assert_allclose(found.mask_probabilities, masks, atol=1e-4)


@pytest.mark.parametrize("stack", ["a", "b"])
def test_a_run_finds_what_it_found(stack, tmp_path, monkeypatch):
    unpacked(f"run_{stack}", tmp_path)
    monkeypatch.chdir(tmp_path)
    image, expected = image_and_expected()
    found = mr.load("run").predict_images([image])[0]
    assert found.class_names == ("circle", "square", "triangle")
    assert_equal(found, expected)


@pytest.mark.parametrize("stack", ["a", "b"])
def test_a_state_knows_its_run_whatever_settings_came_later(stack, tmp_path, monkeypatch):
    unpacked(f"run_{stack}", tmp_path)
    monkeypatch.chdir(tmp_path)
    with np.load(next(tmp_path.glob("run/states/*.npz"))) as state:
        about = json.loads(str(state["about"]))
    assert about["training"] == training_digest(mr.load_config("run"))


@pytest.mark.slow
def test_a_state_goes_on_to_the_weights_it_went_on_to(tmp_path, monkeypatch):
    unpacked(f"run_{THIS_STACK}", tmp_path)
    monkeypatch.chdir(tmp_path)
    mr.train.train(mr.load_config("run"), "run", resume=True)
    found, expected = np.load("run/weights.npz"), np.load("expected.npz")
    names = [name for name in expected.files if name.startswith("weights/")]
    assert len(names) > 10
    for name in names:
        weight = found[name.partition("/")[2]]
        np.testing.assert_allclose(weight, expected[name], rtol=1e-3, atol=1e-6, err_msg=name)


@on_stack_b
def test_a_saved_model_finds_what_it_found(tmp_path, monkeypatch):
    unpacked("saved_model", tmp_path)
    unpacked("run_a", tmp_path)
    monkeypatch.chdir(tmp_path)
    image, expected = image_and_expected()
    source = open_source("saved_model")
    assert source.class_names == ("circle", "square", "triangle")
    assert_equal(source.predict([image])[0], expected)
    assert set(describe("saved_model")["signatures"]) >= {"serving_default", "image_bytes"}
