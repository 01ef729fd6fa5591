"""Files that are opened to predict: each runtime, what is wrong with a file, what it tells."""

import json
import sys

import numpy as np
import onnx
import pytest
from PIL import Image

import tfmaskrcnn as mr
from helpers.plain_networks import ABOUT, BOXES, SIZE, write_onnx
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.inference.runtimes.network_opening import open_network


@pytest.fixture
def file(tmp_path):
    return write_onnx(tmp_path / "a.onnx")


@pytest.mark.parametrize("runtime", [None, "onnxruntime", "openvino"])
def test_each_runtime_gives_the_same(file, runtime):
    pytest.importorskip(runtime or "onnxruntime")
    image = np.full((32, 48, 3), 60, np.uint8)  # (60 - 10) / 50 is 1 everywhere
    (found,) = mr.open(file, runtime=runtime).predict_images([image])
    np.testing.assert_allclose(found.boxes, BOXES * np.float32([32, 48, 32, 48]), rtol=1e-6)
    np.testing.assert_allclose(found.scores, [0.9, 0.5 / (1 + np.exp(-1.0))], rtol=1e-5)
    assert found.names == ["cell", "star"] and found.masks[0].sum() == 16 * 24


def test_images_are_padded_and_a_batch_is_filled_up(tmp_path):
    model = mr.load(write_onnx(tmp_path / "a.onnx", batch=2))
    wide, high = np.full((32, 48, 3), 60, np.uint8), np.full((64, 48, 3), 60, np.uint8)
    scores = [found.scores[1] for found in model.predict_images([wide, high, wide], batch_size=3)]
    # The second image fills half of the network's input, the rest is zeros.
    expected = [0.5 / (1 + np.exp(-mean)) for mean in (1.0, 0.5, 1.0)]
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_it_tells_what_a_saved_model_tells(file):
    model = mr.open(file)
    assert (model.class_names, model.category_ids) == (("cell", "star"), (7, 9))
    assert model.thresholds.scores == (0.2, 0.3)
    assert model.source.input.fixed_size == SIZE and model.source.exif == "apply"
    about = mr.inference.describe(file)
    assert about["kind"] == "ONNX file" and about["precision"] == "float32"


@pytest.mark.parametrize(
    "about, said",
    [
        (None, "does not say which classes it finds"),
        ("text", "What .* says of itself is damaged"),
        ({**ABOUT, "format": 2}, r"exported by a newer version \(format 2, 1 is known here\)"),
        ({**ABOUT, "model": {"input": {"mean": [1.0]}}}, "is of another version"),
        ({**ABOUT, "model": {"input": {}, "class_names": 5}}, "is of another version"),
        ({**ABOUT, "model": {"input": {}, 7: 5}}, "is of another version"),
        ({**ABOUT, "thresholds": {"scores": [0.2]}}, "holds no score thresholds"),
    ],
)
def test_what_a_file_says_of_itself_is_checked(tmp_path, about, said):
    with pytest.raises(mr.InputError, match=said):
        mr.open(write_onnx(tmp_path / "a.onnx", about))


def test_a_damaged_file_is_refused(file, tmp_path):
    with open(file, "rb") as stream:
        content = stream.read()
    cut = tmp_path / "cut.onnx"
    for length in range(0, len(content), 97):
        cut.write_bytes(content[:length])
        with pytest.raises(mr.InputError, match=r"cut.onnx (is|does not say)"):
            mr.open(str(cut))
    cut.write_bytes(b"")
    with pytest.raises(mr.InputError, match="no ONNX model: it holds no network"):
        mr.open(str(cut))
    cut.write_bytes(bytes([255]) * 40)
    with pytest.raises(mr.InputError, match="is damaged or no ONNX model"):
        mr.open(str(cut))


@pytest.mark.parametrize(
    "name, runtime, said",
    [
        ("a.onnx", "tensorrt", "runtime is 'tensorrt'; wanted one of onnxruntime, openvino"),
        ("a.tflite", "openvino", "a.tflite is no .onnx file"),
        ("none.onnx", None, "There is no file none.onnx"),
        ("none.tflite", None, "There is no file none.tflite"),
    ],
)
def test_a_wrong_runtime_or_file_is_told(name, runtime, said):
    with pytest.raises(mr.InputError, match=said):
        mr.open(name, runtime=runtime)


@pytest.mark.parametrize(
    "module, runtime, extra", [("onnxruntime", None, "onnx"), ("openvino", "openvino", "openvino")]
)
def test_a_runtime_that_is_not_installed_is_named(file, monkeypatch, module, runtime, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(mr.InputError, match=rf"pip install 'tfmaskrcnn\[{extra}\]'"):
        open_network(file, runtime)


def test_other_networks_and_shapes_are_refused(file, tmp_path):
    network = open_network(file)
    with pytest.raises(mr.InputError, match=r"takes images \[1, 64, 96, 3\]"):
        network(np.zeros((2, *SIZE, 3)), np.zeros((2, 2)))
    model = onnx.load(file)
    model.graph.input[0].name = model.graph.node[4].input[0] = "x"
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(mr.InputError, match=r"no model of this package: its inputs are \['sizes'"):
        open_network(str(tmp_path / "other.onnx"))


def test_the_commands_take_it(file, tmp_path, monkeypatch, capsys):
    pytest.importorskip("openvino")
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (48, 32), (60, 60, 60)).save("a.png")
    box = {"bbox": [0, 0, 24, 16], "area": 384, "segmentation": [[0, 0, 24, 0, 24, 16, 0, 16]]}
    data = {
        "images": [{"id": 1, "file_name": "a.png", "height": 32, "width": 48}],
        "categories": [{"id": 7, "name": "cell"}, {"id": 9, "name": "star"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 7, "iscrowd": 0, **box}],
    }
    (tmp_path / "val.json").write_text(json.dumps(data))
    judged = ["--json", "val.json", "--images", "."]
    assert main(["predict", "a.onnx", "a.png", "--out", "out", "--runtime", "openvino"]) == 0
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [entry["category_id"] for entry in found] == [7, 9]
    assert main(["evaluate", "a.onnx", *judged, "--tta", "hflip"]) == 0
    assert main(["info", "a.onnx"]) == 0
    both = ["--runtime", "onnxruntime", "openvino", "--results", "c.json"]
    assert main(["compare", "a.onnx", "a.onnx", *judged, *both]) == 0
    rows = json.loads((tmp_path / "c.json").read_text())["rows"]
    assert [row["artefact"].split()[1] for row in rows] == ["onnxruntime", "openvino"] * 2
    assert {(row["found"], row["matched"], round(row["box_ap"], 6)) for row in rows} == {
        (2, 2, 1.0)
    }
    capsys.readouterr()
    for arguments, said in (
        (["evaluate", "a.onnx"], "a.onnx names no data; give --json"),
        (["predict", "a.onnx", "a.png", "--out", "x", "--set", "box_head.nms_iou=0.6"], "an ONNX"),
        (["predict", "a.onnx", "a.png", "--out", "x", "--tta", "1.5"], "needs a run folder"),
        (["export", "a.onnx", "x"], "a.onnx is exported already; name the run"),
        (["evaluate", "a.onnx", *judged, "--save-thresholds"], "is for run folders"),
    ):
        assert main(arguments) == 2
        assert said in capsys.readouterr().err


def test_compare_takes_an_old_file_behind_one_that_knows(file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_onnx("old.onnx", None)
    Image.new("RGB", (48, 32), (60, 60, 60)).save("a.png")
    config = mr.Config(model={**_model(), "class_names": ["cell", "star"], "category_ids": [7, 9]})
    monkeypatch.setattr("tfmaskrcnn.export.parity.config_of", lambda path: config.model)
    assert main(["compare", "a.onnx", "old.onnx", "--images", "a.png"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[1:3] == ["2", "2"]
    assert main(["compare", "old.onnx", "--images", "a.png"]) == 2
    assert "does not say which classes" in capsys.readouterr().err


def _model():
    """ABOUT's configuration, without the values that a whole one checks against others."""
    return {"num_classes": 2, "input": ABOUT["model"]["input"]}
