"""`export/tf_trt.py` where TensorRT is not: its refusals, its graphs and the report's sums."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import tfmaskrcnn as mr
from helpers.one_stack import on_stack_a
from helpers.paths import ROOT
from helpers.some_signatures import exported_with
from helpers.tiny import tiny_config
from tfmaskrcnn.inference.score_thresholds import ScoreThresholds

sys.path.append(str(ROOT / "export"))
import tf_trt  # noqa: E402
import tf_trt_graph  # noqa: E402
import tf_trt_preflight  # noqa: E402
from tf_trt_preflight import Refusal  # noqa: E402

# The last TensorFlow with TF-TRT is 2.17.
pytestmark = on_stack_a
# What TensorRT does not take, and what fixed shapes make constant.
NOT_OF_TENSORRT = {"Shape", "Range", "Cast", "OneHot", "Where", "Fill", "Switch", "While"}
IMAGE = ROOT / "examples/nuclei/images"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """With the operations of --apply-thresholds: of class 1 nothing is left."""
    settings = "box_head.score_threshold=0.01", "box_head.max_detections=100"
    model = mr.MaskRCNN(tiny_config(*settings).model)
    thresholds = ScoreThresholds([0.9, 0.0, 0.0], overall=0.3, iou=0.5, kind="mask", images=9)
    options = mr.ExportOptions(apply_thresholds=True)
    folder = str(tmp_path_factory.mktemp("exported") / "1")
    return mr.export_saved_model(model, folder, options, thresholds)


@pytest.fixture(scope="module")
def loaded(exported):
    return tf_trt.open_model(exported)


def test_no_tensorrt_ends_in_one_sentence_and_without_a_folder(exported, tmp_path):
    command = [sys.executable, str(ROOT / "export/tf_trt.py"), exported, str(tmp_path / "out")]
    done = subprocess.run(
        [*command, "--shape", "1x96x128", "--offline"], text=True, capture_output=True, timeout=300
    )
    try:
        tf_trt_preflight.preflight(offline=True)
    except Refusal as refusal:
        assert done.returncode == 2
        assert done.stderr.strip() == f"tf_trt: {refusal}"
        assert not done.stdout and not (tmp_path / "out").exists()
    else:
        assert done.returncode == 0


def fake_tensorflow(monkeypatch, version, is_tensorrt_build=True):
    monkeypatch.setattr(tf, "__version__", version)
    built = {"is_tensorrt_build": is_tensorrt_build}
    monkeypatch.setattr(tf.sysconfig, "get_build_info", lambda: built)


def test_a_tensorflow_after_2_17_is_told_from_one_built_without_tensorrt(monkeypatch):
    fake_tensorflow(monkeypatch, "2.18.0", is_tensorrt_build=False)
    with pytest.raises(Refusal, match="TensorFlow 2.18.0 has no TF-TRT, 2.17 was the last"):
        tf_trt_preflight.preflight(offline=True)
    fake_tensorflow(monkeypatch, "2.15.1", is_tensorrt_build=False)
    with pytest.raises(Refusal, match="2.15.1 was built without TensorRT"):
        tf_trt_preflight.preflight(offline=True)


def test_the_file_that_tensorflow_looks_for_is_named():
    assert tf_trt_preflight.library_names((2, 14), (8, 4, 3)) == [
        "libnvinfer.so.8",
        "libnvinfer_plugin.so.8",
    ]
    names = tf_trt_preflight.library_names((2, 15), (8, 6, 1))
    assert names == ["libnvinfer.so.8.6.1", "libnvinfer_plugin.so.8.6.1"]
    with pytest.raises(Refusal, match="2.15.1 needs TensorRT 8.6.1 and looks for libnothing.so.8"):
        tf_trt_preflight.load_libraries("2.15.1", ["libnothing.so.8"], "8.6.1")


def test_an_older_tensorrt_cuts_graphs_but_builds_no_engines():
    check = tf_trt_preflight.check_version
    assert check("2.14.1", (8, 4, 3), (8, 4, 3), False) == ""
    assert check("2.14.1", (8, 6, 1), (8, 4, 3), False) == ""
    assert "offline" in check("2.14.1", (8, 4, 1), (8, 4, 3), True)
    with pytest.raises(Refusal, match="TensorRT 8.4.1 is here, TensorFlow 2.14.1 needs 8.4.3"):
        check("2.14.1", (8, 4, 1), (8, 4, 3), False)
    for offline in (True, False):
        with pytest.raises(Refusal, match="another major version"):
            check("2.14.1", (10, 0, 0), (8, 4, 3), offline)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--shape", "832x1344"], "is not BxHxW"),
        (["--shape", "0x832x1344"], "is not BxHxW"),
        (["--shape", "1x830x1344"], "multiples of 32"),
        (["--precision", "int8"], "belong together"),
        (["--calibration-images", "images"], "belong together"),
        (["--offline", "--build"], "both need the GPU"),
        (["--offline", "--precision", "int8", "--calibration-images", "images"], "need the GPU"),
    ],
)
def test_a_wrong_command_line_is_explained(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        tf_trt.parse(["model", str(tmp_path / "out"), *arguments])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_a_folder_that_holds_something_is_not_overwritten(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit):
        tf_trt.parse(["model", str(tmp_path)])
    assert "is not empty" in capsys.readouterr().err


def test_box_arithmetic_stays_in_float32_unless_asked_for_or_in_full_precision(tmp_path):
    def options(*arguments):
        parsed = tf_trt.parse(["model", str(tmp_path / "out"), *arguments])
        return parsed.box_arithmetic, parsed.minimum_segment_size

    assert options() == ("outside", 20)
    for name in ("float32", "fp32"):
        assert options("--precision", name) == ("inside", 3)
    assert options("--box-arithmetic", "inside") == ("inside", 3)
    assert options("--minimum-segment-size", "5") == ("outside", 5)


def test_what_is_no_saved_model_of_ours_is_refused(tmp_path):
    with pytest.raises(Refusal, match="is no SavedModel"):
        tf_trt.open_model(str(tmp_path))
    module = tf.Module()
    module.f = tf.function(lambda x: x, input_signature=[tf.TensorSpec([1])])
    tf.saved_model.save(module, str(tmp_path / "other"), signatures={"other": module.f})
    with pytest.raises(Refusal, match="no signature `network`, only other"):
        tf_trt.open_model(str(tmp_path / "other"))


def test_shapes_are_wanted_where_the_network_takes_any_and_must_fit_where_not(loaded, tmp_path):
    network = loaded.signatures["network"]
    assert tf_trt.checked_shapes(network, [(2, 96, 128)]) == [(2, 96, 128)]
    with pytest.raises(Refusal, match="give --shape BxHxW"):
        tf_trt.checked_shapes(network, [])
    model = mr.MaskRCNN(tiny_config("input.fixed_size=[96, 128]").model)
    fixed = tf.saved_model.load(exported_with(["network"], model, tmp_path / "1"))
    network = fixed.signatures["network"]
    assert tf_trt.checked_shapes(network, []) == [(1, 96, 128)]
    with pytest.raises(Refusal, match="exported for 96x128 images, --shape says 128x96"):
        tf_trt.checked_shapes(network, [(1, 128, 96)])


def test_a_pinned_network_is_static_and_computes_the_same(loaded):
    network = tf_trt_graph.pin(loaded.signatures["network"], (2, 96, 128))
    left = {node.op for node in network.graph_def.node}
    assert not left & NOT_OF_TENSORRT
    new_axis = [n for n in network.graph_def.node if n.op == "StridedSlice"]
    assert all(node.attr["new_axis_mask"].i == 0 for node in new_axis)
    run = tf.compat.v1.wrap_function(
        lambda: tf.graph_util.import_graph_def(network.graph_def, name=""), []
    ).prune(network.inputs, list(network.outputs.values()))
    images = tf.random.stateless_normal([2, 96, 128, 3], seed=(1, 2))
    sizes = tf.constant([[96.0, 128.0], [80.0, 100.0]])
    expected = loaded.signatures["network"](images=images, sizes=sizes)
    assert expected["num_detections"].numpy().min() > 0
    assert not np.any(expected["detection_classes"] == 1.0)
    for name, value in zip(network.outputs, run(images, sizes)):
        np.testing.assert_allclose(value, expected[name], atol=1e-5, err_msg=name)


def test_a_pinned_network_is_saved_as_a_program_of_static_shape(loaded, tmp_path):
    network = tf_trt_graph.pin(loaded.signatures["network"], (1, 96, 128))
    tf_trt_graph.save(network, str(tmp_path / "pinned"))
    nodes, engines = tf_trt_graph.saved_program(str(tmp_path / "pinned"))
    assert not engines and {"Conv2D", "CropAndResize"} <= {node.op for node in nodes}
    report = tf_trt_graph.coverage(nodes, engines, tf_trt_graph.flops(network.graph_def), {})
    assert report["share"] == 0 and report["gflop"] > 0
    signature = tf.saved_model.load(str(tmp_path / "pinned")).signatures["network"]
    assert signature.structured_input_signature[1]["images"].shape == (1, 96, 128, 3)
    assert set(signature.structured_outputs) == set(loaded.signatures["network"].structured_outputs)


def test_calibration_batches_are_what_the_model_makes_of_the_images(loaded, tmp_path):
    files = sorted(IMAGE.glob("*"))[:3]
    for file in files:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    encoded = tf.constant([file.read_bytes() for file in files[:2]])
    height, width = loaded.signatures["preprocess"](image_bytes=encoded)["images"].shape[1:3]
    batches = list(tf_trt.calibration_batches(loaded, str(tmp_path), (2, height, width))())
    assert len(batches) == 1  # a third image fills no batch of two
    images, sizes = batches[0]
    found = loaded.signatures["network"](images=images, sizes=sizes)
    expected = loaded.signatures["image_bytes"](image_bytes=encoded)
    assert set(expected) - set(found) == {"image_size"}
    for name, value in found.items():
        np.testing.assert_allclose(expected[name], value, atol=1e-4, err_msg=name)
    shape = (2, height + 32, width + 64)
    (padded, _), *_ = tf_trt.calibration_batches(loaded, str(tmp_path), shape)()
    assert padded.shape == (*shape, 3)
    np.testing.assert_array_equal(padded[:, :height, :width], images)
    assert not np.any(padded[:, height:]) and not np.any(padded[:, :, width:])
    with pytest.raises(Refusal, match="more than the 64x64"):
        next(tf_trt.calibration_batches(loaded, str(tmp_path), (1, 64, 64))())
    with pytest.raises(Refusal, match="holds 3 images"):
        tf_trt.calibration_batches(loaded, str(tmp_path), (4, 96, 128))


def synthetic_graph():
    """x [1, 8, 8, 3] -> 3x3 convolution to 4 channels -> depthwise -> transposed -> dense."""
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [1, 8, 8, 3], "x")
        y = tf.nn.conv2d(x, tf.zeros([3, 3, 3, 4]), 1, "SAME", name="conv")
        y = tf.nn.depthwise_conv2d(y, tf.zeros([3, 3, 4, 1]), [1, 1, 1, 1], "SAME", name="deep")
        y = tf.nn.conv2d_transpose(y, tf.zeros([2, 2, 5, 4]), [1, 16, 16, 5], 2, name="up")
        y = tf.reshape(y, [16, 80])
        tf.matmul(y, tf.zeros([80, 7]), name="dense")
    return graph.as_graph_def()


EXPECTED = {
    "conv": 2 * 64 * 9 * 3 * 4,
    "deep": 2 * 64 * 9 * 4,
    "up": 2 * 64 * 4 * 4 * 5,
    "dense": 2 * 16 * 80 * 7,
}


def test_operations_are_counted_as_by_hand():
    assert tf_trt_graph.flops(synthetic_graph()) == EXPECTED


def node(op, name):
    return tf.compat.v1.NodeDef(op=op, name=name)


def test_the_report_shares_operations_out_to_engines_and_the_rest():
    engines = {
        "TRTEngineOp_0": [node("Conv2D", "conv"), node("Relu", "relu"), node("Const", "c")],
        "TRTEngineOp_1": [node("MatMul", "dense")],
    }
    network = [
        node("Placeholder", "x"),
        node("TRTEngineOp", "TRTEngineOp_0"),
        node("DepthwiseConv2dNative", "deep"),
        node("Conv2DBackpropInput", "up"),
        node("TRTEngineOp", "TRTEngineOp_1"),
        node("Identity", "y"),
    ]
    why = {"DepthwiseConv2dNative": "not today"}
    report = tf_trt_graph.coverage(network, engines, EXPECTED, why)
    assert [e["name"] for e in report["engines"]] == ["TRTEngineOp_1", "TRTEngineOp_0"]
    assert [(e["nodes"], e["matrix_ops"]) for e in report["engines"]] == [(1, 1), (3, 1)]
    total = sum(EXPECTED.values())
    assert report["gflop"] == pytest.approx(total / 1e9)
    assert report["share"] == pytest.approx((EXPECTED["conv"] + EXPECTED["dense"]) / total)
    assert [(n["name"], n["reason"]) for n in report["outside"]] == [
        ("deep", "not today"),
        ("up", tf_trt_graph.TOO_SMALL),
    ]
    untold = tf_trt_graph.coverage(network, engines, EXPECTED, {})["outside"][0]["reason"]
    assert untold == tf_trt_graph.UNSAID
    lines = tf_trt_graph.table(report).splitlines()
    assert any(line.split() == ["TRTEngineOp_0", "3", "0.00", "1"] for line in lines)
    assert any("DepthwiseConv2dNative" in line and "not today" in line for line in lines)


def test_the_reasons_come_out_of_the_log():
    log = """
2026-11-22 19:33:09.031849: W tensorflow/compiler/tf2tensorrt/segment/segment.cc:970]
TensorRT unsupported/non-converted OP Report:
\t- StridedSlice -> 5x
\t\t- [Count: 5x] new_axis_mask is not supported for StridedSlice
\t- Exp -> 2x
\t\t- [Count: 2x] Denylisted with the env var TF_TRT_OP_DENYLIST
\t- Cast -> 3x
\t\t- [Count: 1x] one reason
\t\t- [Count: 2x] another
"""
    assert tf_trt_graph.reasons(log) == {
        "StridedSlice": "new_axis_mask is not supported for StridedSlice",
        "Exp": tf_trt_graph.KEPT_OUT,
        "Cast": "one reason; another",
    }


def test_what_native_code_says_goes_to_the_log_and_python_keeps_stderr(capfd):
    with tf_trt.native_log() as log:
        os.write(2, b"native\n")
        print("python", file=sys.stderr)
        log.seek(0)
        assert log.read() == b"native\n"
    assert capfd.readouterr().err == "python\n"


def test_a_top_k_beyond_tensorrt_stays_outside_the_engines_and_is_told(monkeypatch, capsys):
    def graph_of(count):
        return tf.function(lambda x: tf.math.top_k(x, count)).get_concrete_function(
            tf.TensorSpec([1, 9000])
        )

    monkeypatch.setenv("TF_TRT_OP_DENYLIST", "Abs")
    tf_trt_preflight.leave_wide_top_k(graph_of(3840).graph.as_graph_def())
    assert os.environ["TF_TRT_OP_DENYLIST"] == "Abs" and not capsys.readouterr().err
    tf_trt_preflight.leave_wide_top_k(graph_of(6000).graph.as_graph_def())
    assert os.environ["TF_TRT_OP_DENYLIST"] == "Abs,TopKV2"
    assert "it is asked for the best 6000, TensorRT gives 3840 at most" in capsys.readouterr().err
