"""`export/latency.py`: what it says and writes, not how fast anything is."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import tfmaskrcnn as mr
from helpers.one_stack import on_stack_a
from helpers.plain_networks import write_onnx
from helpers.tiny import tiny_config
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.support.shipped import script

latency, stages, runners = map(script, ("latency", "latency_stages", "latency_runners"))
EXPORT = Path(latency.__file__).parent


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    model = mr.MaskRCNN(tiny_config("box_head.score_threshold=0.05").model)
    return mr.export_saved_model(model, str(tmp_path_factory.mktemp("exported") / "1"))


def run(capsys, *arguments):
    code = latency.main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@on_stack_a
@pytest.mark.slow
def test_every_artefact_has_a_row_for_every_batch(exported, tmp_path, capsys):
    path = tmp_path / "latency.json"
    options = ("--size", "96x128", "--batch", "1,2", "--repeats", "2", "--warmup", "1")
    code, out, _ = run(
        capsys, exported, "--threads", "1", "--bfloat16", "--profile", "--json", path, *options
    )
    assert code == 0 and "1 thread" in out and "bfloat16 " in out
    result = json.loads(path.read_text())
    rows = result["rows"]
    assert [(r["precision"], r["batch"]) for r in rows] == [
        ("float32", 1),
        ("bfloat16", 1),
        ("float32", 2),
        ("bfloat16", 2),
    ]
    for row in rows:
        assert len(row["seconds"]) == 2 and 0 < row["p50"] <= row["p90"] <= row["p99"]
        assert row["images_per_second"] == pytest.approx(row["batch"] / row["p50"])
        assert row["peak_rss_mb"] > 50 and row["device"] and row["versions"]["tensorflow"]
        assert 0 < row["paste_seconds"] < row["p99"] and row["detections"] <= 20 * row["batch"]
    for first, other in (rows[:2], rows[2:]):
        assert first["ratio"] == 1 and other["ratio"] == other["p50"] / first["p50"]
    found = result["profiles"][exported]["stages"]
    assert {"backbone", "RoIAlign", "NMS", "preprocessing", "mask head", "pasting"} <= set(found)
    assert all(seconds >= 0 for seconds in found.values())
    assert found["backbone"] > 0
    assert set(result["convolution_ms"]) == {"float32", "bfloat16"}


@on_stack_a
@pytest.mark.slow
def test_these_files_and_paste_are_all_that_a_target_machine_needs(exported, tmp_path):
    import subprocess
    import sys

    files = [
        EXPORT / f"latency{part}.py"
        for part in ("", "_arguments", "_runners", "_worker", "_stages")
    ]
    for file in [*files, EXPORT.parent / "tfmaskrcnn" / "ops" / "paste.py"]:
        shutil.copy(file, tmp_path)
    small = ("--size", "64x64", "--repeats", "1", "--warmup", "0")
    command = [sys.executable, "latency.py", exported, *small]
    environment = {"PATH": "", "PYTHONPATH": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (tmp_path / "paste.py").unlink()
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and "copy tfmaskrcnn/ops/paste.py" in done.stderr


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["absent"], "There is no absent."),
        ([__file__], "neither a run or SavedModel folder nor an .onnx or .tflite file"),
        (["{exported}", "--size", "800"], "--size is '800'; wanted HEIGHTxWIDTH"),
        (["{exported}", "--size", "0x8"], "--size is '0x8'; wanted HEIGHTxWIDTH"),
        (["{exported}", "--batch", "1,two"], "--batch is '1,two'; wanted numbers"),
        (["{exported}", "--repeats", "0"], "--repeats must be at least 1"),
        (
            ["{exported}", "--against", "torchvision", "--score-threshold", "0.5"],
            "was exported with the score threshold 0.05",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(exported, capsys, arguments, message):
    code, out, err = run(capsys, *(a.format(exported=exported) for a in arguments))
    assert code == 2 and not out
    assert err.startswith("error: ") and message in err and err.count("\n") == 1


@pytest.mark.slow
def test_a_broken_model_is_named_with_the_reason(tmp_path, capsys):
    (tmp_path / "saved_model.pb").write_bytes(b"nothing")
    code, _, err = run(capsys, tmp_path)
    assert code == 2 and str(tmp_path) in err and err.count("\n") == 1


def test_stages_are_read_from_names():
    assert stages.stage_of("StatefulPartitionedCall/backbone/res3_0/conv1/Relu") == "backbone"
    assert stages.stage_of("proposals/nms/combined/CombinedNonMaxSuppression") == "NMS"
    assert stages.stage_of("proposals/TopKV2") == "proposals"
    assert stages.stage_of("a/roi_align_1/CropAndResize") == "RoIAlign"
    assert stages.stage_of("preprocess/map/while/body/fpn_like/Mul") == "preprocessing"
    assert stages.stage_of("Identity") == "other"


def test_the_shares_of_the_stages_make_up_the_whole():
    lines = latency.stage_table("model", {"backbone": 0.6, "RoIAlign": 0.1, "NMS": 0.3})
    assert [line.split()[0] for line in lines[1:4]] == ["backbone", "NMS", "RoIAlign"]
    assert "600.0 ms" in lines[1] and "60.0%" in lines[1]
    assert lines[-1].endswith("together: 40.0%")


def test_a_gain_and_a_loss_of_bfloat16_are_told_apart():
    result = {"rows": [], "threads": 2}
    row = {"artefact": "m", "batch": 1, "p50": 2.0, "p90": 2.0, "p99": 3.0, "ratio": 0.5}
    row.update(images_per_second=0.5, peak_rss_mb=100.0, detections=7, device="a CPU")
    result["rows"].append(row)
    text = latency.table({**result, "convolution_ms": {"float32": 10.0, "bfloat16": 20.0}})
    assert "loses (0.50 times" in text and "a CPU, 2 threads" in text and "2.000s" in text
    text = latency.table({**result, "convolution_ms": {"float32": 20.0, "bfloat16": 10.0}})
    assert "gains (2.00 times" in text


def test_an_onnx_file_has_a_row_of_each_runtime(tmp_path, capsys):
    pytest.importorskip("openvino")
    path = write_onnx(tmp_path / "a.onnx")
    options = ("--size", "64x96", "--repeats", "1", "--warmup", "0", "--threads", "1")
    code, out, _ = run(capsys, path, "--runtime", "onnxruntime", "openvino", *options)
    rows = [line.split() for line in out.splitlines() if line.startswith(f"  {path}")]
    assert code == 0 and [row[1] for row in rows] == ["onnxruntime", "openvino"]
    assert {row[-2] for row in rows} == {"2"}  # detections
    assert rows[0][-1] == "1.00"  # ratio


def test_a_run_is_timed_by_keras(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text("{}")
    assert latency.kind_of(str(tmp_path)) == "run"
    asked = []

    class Model:
        def predict_images(self, images, batch_size):
            asked.append((len(images), batch_size))
            return [Instances(np.ones((1, 4)), [0.5], [1], (4, 4), np.ones((1, 28, 28)))] * 2

    monkeypatch.setattr("tfmaskrcnn.inference.loading.load", lambda path: Model())
    spec = {"path": str(tmp_path), "threads": 0, "precision": "float32"}
    found = runners.RUNNERS["run"](spec)(np.zeros((2, 4, 4, 3), np.uint8))
    assert asked == [(2, 2)] and [len(boxes) for boxes, _ in found] == [1, 1]
