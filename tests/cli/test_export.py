"""`export` with a --format: what each takes, what it refuses, what it hands on."""

import os
import shutil
import subprocess
import sys

import pytest

import tfmaskrcnn as mr
from helpers.one_stack import on_stack_b
from helpers.some_signatures import exported_with
from helpers.tiny import tiny_config
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.config.yaml_files import save_config
from tfmaskrcnn.export import formats
from tfmaskrcnn.export.options import ExportOptions
from tfmaskrcnn.inference.description import describe
from tfmaskrcnn.inference.opening import check_model
from tfmaskrcnn.inference.score_thresholds import ScoreThresholds, exported_thresholds, save_for_run
from tfmaskrcnn.model.weights import save_weights
from tfmaskrcnn.support.shipped import script

THRESHOLDS = ScoreThresholds((0.3, None, 0.6), overall=0.5, iou=0.5, kind="mask", images=2)


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A folder with an untrained `run` and a SavedModel of two of its classes, `exported`."""
    folder = tmp_path_factory.mktemp("given")
    config = tiny_config("class_names=[circle, square, triangle]")
    (folder / "run").mkdir()
    save_config(config, str(folder / "run" / "config.json"))
    model = mr.MaskRCNN(config.model)
    save_weights(model, str(folder / "run" / "weights.npz"))
    options = ExportOptions(classes=["3", "circle"], apply_thresholds=True)
    exported_with(["network"], model, folder / "exported", options, THRESHOLDS)
    return folder


@pytest.fixture
def refused(given, tmp_path, capsys):
    def run(model, *options):
        files = [name for name in ("onnx", "tflite") if name in options]
        out = tmp_path / ".".join(["out", *files])
        assert main(["export", str(given / model), str(out), *options]) == 2
        assert not out.exists()
        return capsys.readouterr().err

    return run


@pytest.mark.parametrize(
    "options, expected",
    [
        (["--build"], "--build is for --format tf-trt"),
        (["--format", "onnx", "--shape", "1x96x128"], "--shape is for --format tf-trt"),
        (["--images", "x.jpg"], "--images is for --format onnx or tflite"),
        (["--format", "tf-trt", "--limit", "3"], "--limit is for --format onnx or tflite"),
        (["--format", "tflite", "--nms", "host"], "--nms is for --format onnx"),
        (
            ["--format", "onnx", "--nms", "host", "--precision", "int8"],
            "--nms host writes float32 and float16",
        ),
        (["--format", "tflite", "--precision", "bf16"], "bfloat16 is not for --format tflite"),
        (["--precision", "int8"], "--precision int8 is not for --format saved_model"),
        (["--format", "tflite", "--precision", "bfloat16"], "bfloat16 is not for --format tflite"),
        (["--format", "onnx"], "run takes images of any size, --format onnx needs one: give --fix"),
        (["--format", "tf-trt"], "give --fixed-size HEIGHT WIDTH or --shape BxHxW"),
        (["--format", "tflite", "--masks", "rle"], "--masks is for --format saved_model"),
        (
            ["--apply-thresholds"],
            "The model has no score thresholds to apply; `tfmaskrcnn evaluate",
        ),
        (["--format", "tf-trt", "--on-error", "report"], "--on-error is for --format saved_model"),
    ],
)
def test_what_a_format_has_no_use_for_is_refused(refused, options, expected):
    assert expected in refused("run", *options)


@pytest.mark.parametrize(
    "options, expected",
    [
        ([], "exported is a SavedModel; wanted the folder of a training run, or another --format"),
        (["--format", "onnx", "--max-detections", "7"], "--max-detections is for run folders"),
        (["--format", "onnx", "--precision", "float16"], "--precision is for run folders"),
        (["--format", "tflite", "--classes", "circle"], "--classes is for run folders"),
        (["--format", "onnx", "--apply-thresholds"], "--apply-thresholds is for run folders"),
        (["--format", "tflite", "--set", "box_head.nms_iou=0.3"], "--set is for run folders"),
    ],
)
def test_a_saved_model_is_as_it_is(refused, options, expected):
    assert expected in refused("exported", *options)


def test_a_file_has_the_ending_by_which_other_commands_know_it(given, capsys):
    model = given / "exported" / "saved_model.pb"
    before = model.read_bytes()
    command = ["export", str(given / "exported"), str(model), "--format", "onnx"]
    assert main([*command, "--fixed-size", "96", "128"]) == 2
    assert "saved_model.pb: the file's name has to end in .onnx" in capsys.readouterr().err
    assert model.read_bytes() == before


@on_stack_b
@pytest.mark.slow
def test_a_run_becomes_a_file_in_one_quiet_command(given, tmp_path):
    file = str(tmp_path / "model.tflite")
    options = ["--format", "tflite", "--fixed-size", "96", "128", "--network-batch", "2"]
    command = [sys.executable, "-m", "tfmaskrcnn", "export", str(given / "run"), file, *options]
    done = subprocess.run(
        [*command, "--max-detections", "7"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    written, inputs = done.stdout.splitlines()
    assert written.startswith(f"written     {file}")
    assert "images float32 [2, 96, 128, 3]" in inputs
    assert os.listdir(tmp_path) == ["model.tflite"]  # nothing of the way is left


@on_stack_b
def test_of_a_run_a_saved_model_is_made_in_between(given):
    options = ExportOptions(fixed_size=(96, 128))
    run = str(given / "run")
    with formats.saved_model_of(run, check_model(run), options) as folder:
        assert os.path.exists(os.path.join(folder, "saved_model.pb"))
    assert not os.path.exists(folder)
    with formats.saved_model_of(str(given / "exported"), None, ExportOptions()) as folder:
        assert folder == str(given / "exported")
    assert os.path.exists(folder)


def test_a_run_s_thresholds_are_handed_on(given, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr("tfmaskrcnn.export.export_saved_model", lambda *given: calls.append(given))
    run = shutil.copytree(given / "run", tmp_path / "run")
    save_for_run(THRESHOLDS, str(run))
    assert main(["export", str(run), str(tmp_path / "1"), "--apply-thresholds"]) == 0
    assert main(["export", str(run), str(tmp_path / "1")]) == 0
    for _, _, options, thresholds in calls:
        assert thresholds.scores == THRESHOLDS.scores
        assert options.apply_thresholds == (options is calls[0][2])
    assert describe(str(run))["score_thresholds"]["overall"] == 0.5


def test_thresholds_travel_with_the_exported_classes_and_info_tells_them(given):
    exported = str(given / "exported")
    carried = exported_thresholds(exported, 2)
    assert carried.scores == (0.6, 0.3) and carried.class_names == ("triangle", "circle")
    about = describe(exported)
    assert about["options"]["apply_thresholds"] is True
    assert about["score_thresholds"]["scores"] == {"triangle": 0.6, "circle": 0.3}


def test_tf_trt_gets_what_its_script_takes(tmp_path):
    out = str(tmp_path / "trt")
    given = {"shapes": ["1x96x128", "2x96x128"], "calibration_images": "photos", "build": True}
    arguments = formats.tf_trt_arguments(
        *("exported", out, "int8"), **given, offline=None, minimum_segment_size=5
    )
    parsed = script("tf_trt").parse(arguments)
    assert (parsed.saved_model, parsed.out, parsed.precision) == ("exported", out, "int8")
    assert parsed.shape == [(1, 96, 128), (2, 96, 128)] and parsed.calibration_images == "photos"
    assert parsed.build and not parsed.offline and parsed.minimum_segment_size == 5
    assert script("tf_trt").parse(formats.tf_trt_arguments("exported", out)).precision == "float16"


def test_where_tf_trt_cannot_work_it_is_said_before_anything_is_made(given, refused):
    preflight = script("tf_trt_preflight")
    try:
        preflight.preflight(offline=True)
    except preflight.Refusal as refusal:
        shown = refused("run", "--format", "tf-trt", "--fixed-size", "96", "128", "--offline")
        assert shown == f"tfmaskrcnn: {refusal}\n"
    else:
        pytest.skip("TF-TRT works here")


def test_tf_trt_is_handed_the_saved_model_and_its_exit_code_is_ours(
    given, tmp_path, monkeypatch, capsys
):
    calls = []
    monkeypatch.setattr(formats, "check_tf_trt", lambda offline: calls.append(offline))
    monkeypatch.setattr(formats, "convert_tf_trt", lambda arguments: calls.append(arguments) or 3)
    out = str(tmp_path / "trt")
    command = ["export", str(given / "exported"), out, "--format", "tf-trt", "--offline"]
    assert main([*command, "--precision", "fp32", "--shape", "1x96x128"]) == 3
    expected = [str(given / "exported"), out, "--precision", "float32", "--shape", "1x96x128"]
    assert calls == [True, [*expected, "--offline"]]


WRONG = {
    "train": ["train", "nothing", "--out", "x"],
    "find-rate": ["find-rate", "nothing", "--out", "x"],
    "show-data": ["show-data", "nothing", "--out", "x"],
    "check-data": ["check-data", "a.json", "b", "--config", "nothing"],
    "evaluate": ["evaluate", "nothing"],
    "predict": ["predict", "nothing", "x.jpg", "--out", "x"],
    "export": ["export", "nothing", "x"],
    "compare": ["compare", "nothing", "--images", "x"],
    "benchmark": ["benchmark", "nothing"],
    "info": ["info", "nothing"],
}


def test_a_wrong_config_or_model_is_told_before_tensorflow_is_imported(tmp_path):
    code = (
        "import sys; from tfmaskrcnn.cli.main import main\n"
        f"for arguments in {list(WRONG.values())!r}:\n"
        "    assert main(arguments) == 2, arguments\n"
        "    assert 'tensorflow' not in sys.modules, arguments\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == len(WRONG) and all("nothing" in line for line in lines)
    assert os.listdir(tmp_path) == []
