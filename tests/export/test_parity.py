"""`tfmaskrcnn compare`: what is matched, what is counted, and what it says about wrong input."""

import dataclasses
import json
import os

import numpy as np
import pytest
import tensorflow as tf

import tfmaskrcnn as mr
from helpers.one_stack import on_stack_a
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.config.yaml_files import save_config
from tfmaskrcnn.data import read_image
from tfmaskrcnn.export import parity
from tfmaskrcnn.inference.exported import exported_config, saved_model_predictor
from tfmaskrcnn.inference.prediction_files import find_images
from tfmaskrcnn.inference.runtimes.file_network import FileNetwork
from tfmaskrcnn.inference.runtimes.file_predictor import file_predictor
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.model.weights import save_weights


def instances(boxes, classes=None, scores=None, mask=1.0):
    count = len(boxes)
    return Instances(
        boxes=boxes,
        scores=np.linspace(0.9, 0.5, count) if scores is None else scores,
        classes=np.ones(count) if classes is None else classes,
        size=(50, 60),
        mask_probabilities=np.full([count, 28, 28], mask),
    )


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory):
    """A run folder, the SavedModel of it, and data: (run, saved model, json, images)."""
    folder = tmp_path_factory.mktemp("artefacts")
    json_path, images = tiny_data(folder / "data", num_images=3)
    labels = "class_names=[circle, square, triangle]"
    config = tiny_config("box_head.score_threshold=0.01", labels, "input.fixed_size=[96, 128]")
    run = folder / "run"
    os.makedirs(run)
    save_config(config, os.fspath(run / "config.json"))
    model = mr.MaskRCNN(config.model)
    save_weights(model, os.fspath(run / "weights.npz"))
    exported = mr.export_saved_model(model, str(folder / "exported"))
    return str(run), exported, json_path, images


def test_an_artefact_is_equal_to_itself():
    one = [instances([[0, 0, 10, 10], [5, 5, 30, 40]]), instances([])]
    found = parity.compare(one, one)
    assert (found.found, found.matched) == (2, 2)
    assert (found.box, found.score, found.mask, found.mask_iou) == (0, 0, 0, 1)


def test_the_largest_differences_are_reported():
    one = [instances([[0, 0, 10, 10], [5, 5, 30, 40]], scores=[0.9, 0.5])]
    other = [instances([[0, 0, 10, 11], [5, 5.5, 30, 40]], scores=[0.9, 0.4], mask=0.75)]
    found = parity.compare(one, other)
    assert found.matched == 2
    assert found.box == pytest.approx(1.0) and found.score == pytest.approx(0.1)
    assert found.mask == pytest.approx(0.25)
    assert found.mask_iou < 0.95  # of the first, a column wider


def test_masks_that_are_runs_are_compared_as_pixels():
    one = instances([[0, 0, 10, 10]])
    runs = dataclasses.replace(one, mask_probabilities=None, exact_rle=one.rle())
    found = parity.compare([one], [runs])
    assert (found.matched, found.mask, found.mask_iou) == (1, 0, 1)
    narrow = instances([[0, 0, 10, 9]])
    runs = dataclasses.replace(narrow, mask_probabilities=None, exact_rle=narrow.rle())
    assert parity.compare([one], [runs]).mask_iou < 0.95


def test_keypoints_are_compared_where_there_are_any():
    def found(x):
        points = np.float32([[[5, x, 0.9]], [[7, 7, 0.9]]])
        return [dataclasses.replace(instances([[0, 0, 10, 10], [5, 5, 30, 40]]), keypoints=points)]

    assert parity.compare(found(5), found(5)).keypoint == 0
    assert parity.compare(found(5), found(3)).keypoint == 2


def test_each_detection_is_matched_once_and_within_its_class():
    one = instances([[0, 0, 10, 10], [0, 0, 10, 10], [20, 20, 40, 40]], classes=[1, 1, 2])
    other = instances([[0, 0, 10, 10], [20, 20, 40, 40]], classes=[1, 3])
    assert parity.compare([one], [other]).matched == 1
    assert parity.compare([one], [instances([])]).matched == 0


@on_stack_a
def test_keras_and_saved_model_agree_and_the_numbers_are_written(artefacts, tmp_path, capsys):
    run, exported, json_path, images = artefacts
    out = tmp_path / "parity.json"
    arguments = [run, exported, "--json", json_path, "--images", images, "--results", str(out)]
    assert main(["compare", *arguments]) == 0
    printed = capsys.readouterr().out
    assert "mask AP" in printed and exported in printed
    result = json.loads(out.read_text())
    first, second = result["rows"]
    assert result["images"] == 3 and result["expected"] == first["found"] > 0
    assert first["matched"] == first["found"] == second["matched"]
    assert second["box"] < 1e-2 and second["score"] < 1e-4 and second["mask"] < 1e-3
    assert first["box_ap"] == pytest.approx(second["box_ap"], abs=1e-6)


def test_around_a_file_s_network_everything_is_as_around_the_saved_model_s(artefacts):
    # A file's network, answered by the SavedModel's own.
    _, exported, _, images = artefacts
    loaded = tf.saved_model.load(exported)

    def run(feed):
        outputs = loaded.signatures["network"](**{n: tf.constant(v) for n, v in feed.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    network = FileNetwork("model.onnx", (1, 96, 128, 3), run)
    pixels = [read_image(path) for path in find_images([images])]
    pixels.append(pixels[0][:50, :90])  # which is enlarged and padded
    expected = saved_model_predictor(exported)(pixels[:1])
    expected += saved_model_predictor(exported)(pixels[1:])
    found = file_predictor(network, exported_config(exported))(pixels)
    difference = parity.compare(expected, found)
    assert difference.matched == difference.found == sum(map(len, expected)) > 3
    assert difference.box < 1e-4 and difference.score == 0.0 and difference.mask == 0.0


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["model.onnx"], "There is no file model.onnx"),
        (["absent"], "There is no folder absent"),
        (["{run}", "absent"], "There is no folder absent"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(artefacts, capsys, arguments, message):
    run, _, _, images = artefacts
    command = [a.format(run=run) for a in arguments]
    assert main(["compare", *command, "--images", images, "--limit", "1"]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and not captured.out
