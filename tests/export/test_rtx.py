"""What TensorRT for RTX makes of our ONNX files; `make test-rtx` runs this.

NVIDIA's parser and builder from the package index, in an environment of their own, on the paper's
network as stack A exports it in a process of its own. Engines are built, not run: that needs a GPU.
"""

import ctypes
import os
import re
import subprocess

import pytest

from helpers.paths import ROOT

trt = pytest.importorskip("tensorrt_rtx", reason="`make test-rtx` runs these")
import onnx  # noqa: E402

PYTHON = os.environ.get("EXPORTING_PYTHON_A", str(ROOT / ".venv-a/bin/python"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.exists(PYTHON), reason=f"no {PYTHON} to export with"),
]
# ResNet-50, FPN, 80 classes, 1000 proposals, random weights.
EXPORT = """
import sys
import tfmaskrcnn as mr
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.config.yaml_files import load_config
folder, precision = sys.argv[1:]
config = load_config(None, ["input.fixed_size=[512, 512]"]).model
options = mr.ExportOptions(precision=precision)
mr.export_saved_model(mr.MaskRCNN(config), folder + "/1", options)
for nms in ("graph", "host"):
    main(["export", folder + "/1", f"{folder}/{nms}.onnx", "--format", "onnx", "--nms", nms])
"""
PARTS = ("host.onnx", "host.part2.onnx", "host.part3.onnx")


def has_driver():
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


# RoiAlign is a plugin that asks the driver for its version as soon as it is parsed.
MISSING = set() if has_driver() else {"RoiAlign"}


@pytest.fixture(scope="module", params=["float32", "float16"])
def exported(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "-1"}
    command = [PYTHON, "-c", EXPORT, str(folder), request.param]
    subprocess.run(command, check=True, timeout=900, env=environment)
    return folder


class Log(trt.ILogger):
    """Keeps the errors that the builder tells."""

    def __init__(self):
        trt.ILogger.__init__(self)
        self.errors = []

    def log(self, severity, text):
        if severity <= trt.ILogger.Severity.ERROR:
            self.errors.append(text)


def refused_by_parser(model):
    """Kinds of operations that the parser does not take."""
    log = Log()
    builder = trt.Builder(log)
    network = builder.create_network(0)  # the parser does not hold it
    parser = trt.OnnxParser(network, log)
    if parser.supports_model_v2(model.SerializeToString()):
        return set()
    return {parser.get_error(i).node_operator() for i in range(parser.num_errors)}


def built(model):
    """(engine or None, what the builder said that is wrong)."""
    log = Log()
    builder = trt.Builder(log)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, log)
    assert parser.parse(model.SerializeToString()), log.errors
    engine = builder.build_serialized_network(network, builder.create_builder_config())
    return engine, " ".join(log.errors)


def without_roi_align(model):
    """`model` with the RoIs' features as inputs."""
    model = onnx.shape_inference.infer_shapes(model)
    graph, kinds = model.graph, {value.name: value for value in model.graph.value_info}
    for node in [node for node in graph.node if node.op_type == "RoiAlign"]:
        graph.node.remove(node)
        graph.input.append(kinds[node.output[0]])
    return model


def test_the_whole_file_stops_at_roi_align_and_then_at_suppression(exported):
    model = onnx.load(exported / "graph.onnx")
    assert refused_by_parser(model) == MISSING
    engine, wrong = built(without_roi_align(model))
    assert engine is None and re.search(r"/nonmaxsuppression_[\d_]+ has no runners", wrong)


@pytest.mark.parametrize("part", PARTS)
def test_in_parts_all_builds_but_roi_align(exported, part):
    model = onnx.load(exported / part)
    assert refused_by_parser(model) == (MISSING if part != PARTS[0] else set())
    engine, wrong = built(without_roi_align(model))
    assert engine is not None and engine.nbytes > 1e5 and not wrong
