"""What the real TF-TRT segmenter does with our network; `make test-trt` runs this.

It runs in the environment of `make trt-env` (TensorFlow 2.14 with TensorRT 8.4, no GPU) on
SavedModels that stacks A and B export in processes of their own, and shows segmentation and
validation only: no engine is built.
"""

import glob
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from helpers.paths import ROOT

sys.path.append(str(ROOT / "export"))
import tf_trt  # noqa: E402
import tf_trt_graph  # noqa: E402
from tf_trt_preflight import Refusal, preflight  # noqa: E402

PYTHONS = {
    stack: os.environ.get(
        f"EXPORTING_PYTHON_{stack}", str(ROOT / f".venv-{stack.lower()}/bin/python")
    )
    for stack in "AB"
}
EXPORT = """
import sys
import tfmaskrcnn as mr
from tfmaskrcnn.config.yaml_files import load_config
mr.export_saved_model(mr.MaskRCNN(load_config(None, sys.argv[2:]).model), sys.argv[1])
"""
# The paper's network (ResNet-50, FPN, 80 classes, 1000 proposals) with random weights, which find
# nothing above the usual threshold.
DEFAULT = ("box_head.score_threshold=0.001",)
SHAPE = "1x512x512"


def reason_to_skip():
    try:
        preflight(offline=True)
    except Refusal as refusal:
        return f"`make test-trt` runs these: {refusal}"
    missing = [python for python in PYTHONS.values() if not os.path.exists(python)]
    return f"no {missing[0]} to export with; see `make test-trt`" if missing else ""


REASON = reason_to_skip()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(REASON), reason=REASON)]


@pytest.fixture(scope="module", params=sorted(PYTHONS))
def exported(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / request.param
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LD_LIBRARY_PATH": ""}
    command = [PYTHONS[request.param], "-c", EXPORT, str(folder), *DEFAULT]
    subprocess.run(command, check=True, timeout=600, env=environment)
    return str(folder)


def converted(exported, out, *options):
    """(report, SavedModel) of an offline conversion in a process of its own."""
    command = [sys.executable, str(ROOT / "export/tf_trt.py"), exported, str(out), "--offline"]
    subprocess.run([*command, *options], check=True, timeout=600)
    with open(out / "report.json", encoding="utf-8") as file:
        return json.load(file)


def found_by(network, images, sizes):
    """The outputs of a `Network` on the CPU, engines run as the functions that they hold."""
    run = tf.compat.v1.wrap_function(
        lambda: tf.graph_util.import_graph_def(network.graph_def, name=""), []
    ).prune(network.inputs, list(network.outputs.values()))
    return dict(zip(network.outputs, (value.numpy() for value in run(images, sizes))))


def engines_as_functions(network):
    graph_def = tf.compat.v1.GraphDef()
    graph_def.CopyFrom(network.graph_def)
    for node in graph_def.node:
        if node.op == "TRTEngineOp":
            old = tf.compat.v1.NodeDef()
            old.CopyFrom(node)
            node.op = "PartitionedCall"
            node.ClearField("attr")
            for new, name in (("Tin", "InT"), ("Tout", "OutT"), ("f", "segment_func")):
                node.attr[new].CopyFrom(old.attr[name])
    return network._replace(graph_def=graph_def)


def test_fp16_takes_at_most_three_engines_and_leaves_two_operations_outside(exported, tmp_path):
    options = ("--precision", "float16", "--box-arithmetic", "inside", "--shape", SHAPE)
    (report,) = converted(exported, tmp_path / "out", *options)
    assert len(report["engines"]) <= 3
    assert report["share"] == 1.0
    assert [node["op"] for node in report["outside"]] == ["CropAndResize"] * 2
    assert "not supported" in report["outside"][0]["reason"]


def test_with_box_arithmetic_outside_there_are_three_dense_engines(exported, tmp_path):
    # Also what several shapes give: a SavedModel each, engines numbered apart.
    shapes = ("--shape", SHAPE, "--shape", "2x256x320")
    first, second = converted(exported, tmp_path / "out", *shapes)
    for report in (first, second):
        assert [engine["matrix_ops"] for engine in report["engines"]].count(0) == 0
        assert sorted(engine["matrix_ops"] for engine in report["engines"]) == [4, 8, 76]
        assert report["share"] == 1.0
        kept = {node["op"] for node in report["outside"]}
        assert {"TopKV2", "CombinedNonMaxSuppression", "Exp", "Log", "Floor"} <= kept
    names = [engine["name"] for report in (first, second) for engine in report["engines"]]
    assert len(set(names)) == 6
    folders = [os.path.dirname(path) for path in glob.glob(f"{tmp_path}/out/*/saved_model.pb")]
    assert sorted(map(os.path.basename, folders)) == [SHAPE, "2x256x320"]
    for folder in folders:
        assert os.path.exists(os.path.join(folder, "assets/config.json"))
        assert list(tf.saved_model.load(folder).signatures) == ["network"]


@pytest.mark.parametrize(
    "precision, box_arithmetic", [("float32", "inside"), ("float16", "outside")]
)
def test_the_cut_graph_computes_what_the_exported_one_does(
    exported, precision, box_arithmetic, monkeypatch
):
    model = tf.saved_model.load(exported)
    denied = tf_trt.BOX_ARITHMETIC if box_arithmetic == "outside" else ""
    monkeypatch.setenv("TF_TRT_OP_DENYLIST", denied)
    network = tf_trt_graph.pin(model.signatures["network"], (1, 256, 320))
    cut = tf_trt.convert_offline(network, precision, tf_trt.MIN_SEGMENT[box_arithmetic])
    assert sum(node.op == "TRTEngineOp" for node in cut.graph_def.node) == 3
    images = tf.random.stateless_normal([1, 256, 320, 3], seed=(1, 2))
    sizes = tf.constant([[256.0, 300.0]])
    expected = model.signatures["network"](images=images, sizes=sizes)
    assert expected["num_detections"] > 0
    found = found_by(engines_as_functions(cut), images, sizes)
    assert sorted(found) == sorted(expected)
    for name, value in expected.items():
        assert np.abs(value).max() > 0
        np.testing.assert_allclose(found[name], value, atol=1e-5, err_msg=name)


def test_the_way_for_gpus_cuts_alike(exported, tmp_path, monkeypatch):
    # TrtGraphConverterV2 wants TensorRT 8.4.3 and a GPU before it does what needs neither.
    from tensorflow.python.compiler.tensorrt import trt_convert

    class OnGpu:
        array_ops = trt_convert.array_ops

        def __getattr__(self, name):
            return getattr(self.array_ops, name)

        def zeros(self, _):
            return SimpleNamespace(device="/device:GPU:0")

    monkeypatch.setattr(trt_convert, "_check_trt_version_compatibility", lambda: None)
    monkeypatch.setattr(trt_convert, "array_ops", OnGpu())
    monkeypatch.setenv("TF_TRT_OP_DENYLIST", tf_trt.BOX_ARITHMETIC)
    model = tf.saved_model.load(exported)
    network = tf_trt_graph.pin(model.signatures["network"], (1, 256, 320))
    pinned, out = str(tmp_path / "pinned"), str(tmp_path / "out")
    tf_trt_graph.save(network, pinned)
    options = tf_trt.parse(["model", str(tmp_path / "none"), "--precision", "float16"])
    before = tf_trt.convert_online(pinned, out, options, batches=None)
    counts = tf_trt_graph.flops(before)
    assert sum(counts.values()) == sum(tf_trt_graph.flops(network.graph_def).values())
    report = tf_trt_graph.coverage(*tf_trt_graph.saved_program(out), counts, {})
    assert sorted(engine["matrix_ops"] for engine in report["engines"]) == [4, 8, 76]
    assert report["share"] == 1.0
