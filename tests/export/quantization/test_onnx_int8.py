"""`tfmaskrcnn export --format onnx --precision int8` as a user types it, on a tiny SavedModel."""

import os

import onnx
import pytest

from helpers.one_stack import on_stack_b
from tfmaskrcnn.cli.main import main

SIZE = ["--fixed-size", "96", "128"]


@on_stack_b
@pytest.mark.slow
def test_it_writes_both_files_tells_what_stays_float_and_finds_the_same(
    saved_model, image_folder, ten_images, tmp_path, capsys
):
    out = str(tmp_path / "model.onnx")
    arguments = ["export", saved_model, out, "--format", "onnx", "--precision", "int8", *SIZE]
    arguments += ["--calibration-images", ten_images, "--images", image_folder]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    first, second = (tmp_path / name for name in ("model.onnx", "model_trt.onnx"))
    assert f"{first}, {second}" in told and f"trtexec --onnx={second}" in told
    assert "objectness" in told and "class_logits" in told and "RoiAlign" in told, told
    assert os.path.getsize(first) < 13e6  # of 45 in float32
    for path in (first, second):
        entries = {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}
        assert '"precision": "int8"' in entries["tfmaskrcnn"]
    (total,) = [line.split() for line in told.splitlines() if line.startswith("all ")]
    expected, found, matched = map(int, total[1:4])
    assert found > 10 and matched >= 0.8 * expected


def test_what_does_not_go_together_is_refused(saved_model, ten_images, tmp_path, capsys):
    (tmp_path / "few").mkdir()
    out, images = str(tmp_path / "x.onnx"), ["--calibration-images", ten_images]
    int8 = ["--format", "onnx", "--precision", "int8"]
    for more, message in (
        (int8, "wants --calibration-images FOLDER"),
        (["--format", "onnx", *images], "is for --precision int8"),
        ([*int8, *images[:1], str(tmp_path / "few")], "few"),
        (images, "--calibration-images is for --format onnx or tflite or tf-trt"),
    ):
        assert main(["export", saved_model, out, *SIZE, *more]) == 2
        assert message in capsys.readouterr().err.strip().splitlines()[-1]
    assert not os.path.exists(out)
