"""`tfmaskrcnn export --format tflite --precision int8 --calibration-images` as a user types it."""

import os

import pytest

from helpers.one_stack import on_stack_b
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.inference.runtimes.file_about import file_about

pytest.importorskip("ai_edge_quantizer", reason="the extra tflite-int8, of Python 3.10 and newer")
SIZE = ["--fixed-size", "96", "128"]


@on_stack_b
@pytest.mark.slow
def test_it_tells_what_stays_float_and_finds_the_same(
    saved_model, image_folder, ten_images, tmp_path, capsys
):
    out = str(tmp_path / "model.tflite")
    arguments = ["export", saved_model, out, "--format", "tflite", "--precision", "int8", *SIZE]
    arguments += ["--calibration-images", ten_images, "--images", image_folder]
    assert main(arguments) == 0
    told, remarks = capsys.readouterr()
    assert "%|" not in remarks  # bars of the library's
    for layer in ("rpn/objectness", "rpn/deltas", "box_head/class_logits", "box_head/box_deltas"):
        assert layer in told
    assert "NON_MAX_SUPPRESSION_V4" in told and "trtexec" not in told
    assert os.path.getsize(out) < 13e6  # of 45 in float32
    assert file_about(out)["precision"] == "int8"
    (total,) = [line.split() for line in told.splitlines() if line.startswith("all ")]
    expected, found, matched = map(int, total[1:4])
    assert found > 10 and matched >= 0.8 * expected


def test_what_does_not_go_together_is_refused(saved_model, ten_images, tmp_path, capsys):
    (tmp_path / "few").mkdir()
    out, images = str(tmp_path / "x.tflite"), ["--calibration-images", ten_images]
    for more, message in (
        (images, "is for --precision int8"),
        ([*images, "--precision", "float16"], "is for --precision int8"),
        (["--precision", "int8", *images[:1], str(tmp_path / "few")], "few"),
    ):
        assert main(["export", saved_model, out, "--format", "tflite", *SIZE, *more]) == 2
        assert message in capsys.readouterr().err.strip().splitlines()[-1]
    assert not os.path.exists(out)
