"""What a user types, on a tiny model, and each ONNX form of an operation by itself."""

import re
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
import tf2onnx

import tfmaskrcnn as mr
from helpers.clipped import clipped_rois, without_empty
from helpers.one_stack import on_stack_a, on_stack_b
from helpers.some_signatures import exported_with
from helpers.tiny import tiny_config
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.export import onnx as portable
from tfmaskrcnn.export.check import differences, preprocessed, saved_network
from tfmaskrcnn.export.frozen import FrozenNetwork
from tfmaskrcnn.inference.prediction_files import find_images
from tfmaskrcnn.inference.runtimes import host_nms
from tfmaskrcnn.inference.runtimes.network_opening import open_network

SIZE = (96, 128)


@pytest.fixture(scope="module")
def file(saved_model, tmp_path_factory):
    """The ONNX file of two images a batch."""
    path = str(tmp_path_factory.mktemp("onnx") / "model.onnx")
    assert portable.convert(saved_model, path, 2, SIZE) == (2, *SIZE, 3)
    return path


@on_stack_b
@pytest.mark.slow
def test_it_finds_what_the_saved_model_finds(saved_model, image_folder, file):
    images, sizes = preprocessed(saved_model, find_images([image_folder]), SIZE)
    pair = saved_network(saved_model), open_network(file)
    for row in differences(*pair, images, sizes, 2):
        assert row.expected == row.found == row.matched > 3
        assert row.box < 1e-2 and row.score < 1e-4 and row.mask < 1e-3
        assert row.mask_peak > 0.9


@pytest.mark.slow
def test_it_holds_standard_operations_and_no_loop(file):
    model = onnx.load(file)
    assert {node.domain for node in model.graph.node} == {""}
    kinds = {node.op_type for node in model.graph.node}
    assert kinds >= {"RoiAlign", "NonMaxSuppression"} and not kinds & {"Loop", "Scan", "If"}
    (opset,) = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    assert opset == 17


@pytest.mark.slow
def test_the_predictor_has_the_signatures_names(file):
    run = open_network(file)
    outputs = run(np.zeros([2, *SIZE, 3], np.float32), np.full([2, 2], 96, np.float32))
    assert {name: value.shape for name, value in outputs.items()} == {
        "detection_boxes": (2, 20, 4),
        "detection_scores": (2, 20),
        "detection_classes": (2, 20),
        "num_detections": (2,),
        "detection_masks": (2, 20, 28, 28),
    }
    with pytest.raises(mr.InputError, match=r"takes images \[2, 96, 128, 3\]"):
        run(np.zeros([1, *SIZE, 3], np.float32), np.zeros([1, 2], np.float32))


@on_stack_b
@pytest.mark.slow
def test_in_parts_it_finds_the_same(saved_model, file, tmp_path, capsys):
    path = str(tmp_path / "model.onnx")
    options = ["--format", "onnx", "--nms", "host", "--network-batch", "2"]
    assert main(["export", saved_model, path, *options, "--fixed-size", *map(str, SIZE)]) == 0
    parts = host_nms.part_paths(path)
    assert capsys.readouterr().out.count("trtexec --onnx=") == 3
    kinds = [{node.op_type for node in onnx.load(part).graph.node} for part in parts]
    assert not any("NonMaxSuppression" in kind for kind in kinds)
    assert ["RoiAlign" in kind for kind in kinds] == [False, True, True]
    assert ["Conv" in kind for kind in kinds] == [True, False, True]
    rng = np.random.default_rng(0)
    images = rng.normal(size=[2, *SIZE, 3]).astype(np.float32)
    sizes = np.float32([[96, 128], [70, 100]])
    expected = open_network(file)(images, sizes)
    found = open_network(path)(images, sizes)
    assert list(found) == list(expected) and expected["num_detections"].min() > 3
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@on_stack_a
@pytest.mark.slow
def test_a_float16_file_has_float16_layers_and_float32_boxes(tmp_path):
    model = mr.MaskRCNN(tiny_config().model)
    options = mr.ExportOptions(precision="float16", fixed_size=SIZE)
    folder = exported_with(["network"], model, tmp_path / "1", options)
    path = str(tmp_path / "model.onnx")
    portable.convert(folder, path)
    graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
    kinds = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.output)}
    kinds.update({each.name: each.data_type for each in graph.initializer})
    half, full = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    wide = [node.name for node in layers if kinds[node.input[1]] == full]
    # The last layer of each head, whose numbers become boxes, scores and masks.
    last = r"/rpn/(objectness|deltas)/|/box_head/(class_logits|box_deltas)/|/mask_head/MatMul"
    assert wide and all(re.search(last, name) for name in wide)
    assert sum(kinds[node.input[1]] == half for node in layers) > 30
    boxes = [node.input[:2] for node in graph.node if node.op_type == "NonMaxSuppression"]
    boxes += [node.input[1:2] for node in graph.node if node.op_type == "RoiAlign"]
    assert len(boxes) == 4 and {kinds[name] for names in boxes for name in names} == {full}
    assert {kinds[value.name] for value in graph.output} == {full}


def test_the_command_for_tensorrt_leaves_precision_to_the_file():
    command = portable.trtexec_command("a/model.onnx")
    assert command == "trtexec --onnx=a/model.onnx --saveEngine=a/model.plan --stronglyTyped"


def onnx_of(function, arrays, tmp_path):
    """What the ONNX form of a function of tensors gives for `arrays`."""
    specs = [tf.TensorSpec(array.shape, array.dtype, f"x{i}") for i, array in enumerate(arrays)]
    concrete = tf.function(function).get_concrete_function(*specs)
    inputs = {tensor.name[:-2]: tensor.name for tensor in concrete.inputs}
    outputs = {f"out{i}": tensor.name for i, tensor in enumerate(concrete.outputs)}
    network = FrozenNetwork(concrete.graph.as_graph_def(), inputs, outputs, ())
    path = str(tmp_path / "function.onnx")
    with open(path, "wb") as stream:
        stream.write(portable._converted(tf2onnx, network).SerializeToString())
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(list(outputs), dict(zip(inputs, arrays)))


def test_crop_and_resize_becomes_roi_align(tmp_path):
    rng = np.random.default_rng(0)
    canvas = rng.normal(size=(2, 9, 13, 3)).astype(np.float32)
    corners = rng.uniform(0, 1, (40, 2, 2)).astype(np.float32)
    corners = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    corners[0] = corners[0, [0, 1, 0, 1]]  # an empty box
    index = rng.integers(0, 2, 40).astype(np.int32)

    def crops(*arrays):
        return tf.image.crop_and_resize(*arrays, [4, 6])

    (found,) = onnx_of(crops, [canvas, corners, index], tmp_path)
    np.testing.assert_allclose(found, crops(canvas, corners, index), atol=1e-5)


@pytest.mark.parametrize("own", [1, 5])
@pytest.mark.parametrize("limit, threshold", [(8, 0.05), (200, 0.7), (60, -0.5)])
def test_combined_nms_becomes_nms_and_top_k(own, limit, threshold, tmp_path):
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 80, (2, 30, own, 2))
    boxes = np.concatenate([low, low + rng.uniform(1, 40, low.shape)], axis=-1).astype(np.float32)
    scores = rng.uniform(-1, 1, (2, 30, 5)).astype(np.float32)

    def kept(boxes, scores):
        return tuple(
            tf.image.combined_non_max_suppression(
                boxes, scores, limit, limit, 0.5, threshold, clip_boxes=False
            )
        )

    found = onnx_of(kept, [boxes, scores], tmp_path)
    for ours, theirs in zip(found, kept(boxes, scores)):
        np.testing.assert_array_equal(ours, theirs)


def test_detections_clipped_to_nothing_are_dropped_alike(tmp_path):
    rois = clipped_rois()
    expected = without_empty(*rois)
    assert 0 < np.count_nonzero(expected[0]) < 20
    found = onnx_of(without_empty, rois, tmp_path)
    assert len(found) == len(expected) == 3
    for ours, theirs in zip(found, expected):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("content", [b"", b"no model"])
def test_a_file_that_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "wrong.onnx"
    path.write_bytes(content)
    with pytest.raises(mr.InputError, match="ONNX Runtime can load|no model of"):
        open_network(str(path))
    with pytest.raises(mr.InputError, match="no file"):
        open_network(str(tmp_path / "missing.onnx"))


def test_another_model_of_onnx_is_refused(tmp_path):
    onnx_of(lambda x: tf.sqrt(x), [np.float32([1, 4])], tmp_path)
    with pytest.raises(mr.InputError, match="no model of this package"):
        open_network(str(tmp_path / "function.onnx"))


def test_a_missing_package_is_named_with_the_remedy(saved_model, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    arguments = [saved_model, str(tmp_path / "x.onnx"), "--fixed-size", "96", "128"]
    assert main(["export", *arguments, "--format", "onnx"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("tfmaskrcnn: Cannot import tf2onnx") and '".[onnx]"' in error


def test_a_wrong_folder_ends_in_one_sentence_and_exit_code_2(tmp_path, capsys):
    arguments = [str(tmp_path), str(tmp_path / "x.onnx"), "--format", "onnx"]
    assert main(["export", *arguments]) == 2
    assert "no saved_model.pb" in capsys.readouterr().err
    assert not (tmp_path / "x.onnx").exists()
