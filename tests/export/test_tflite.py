"""What a user types, on a tiny model; `slow` because a conversion takes many seconds."""

import warnings

import numpy as np
import pytest
import tensorflow as tf

import tfmaskrcnn as mr
from helpers.clipped import clipped_rois, without_empty
from helpers.one_stack import on_stack_a
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.export import tflite
from tfmaskrcnn.export.check import differences, preprocessed, saved_network
from tfmaskrcnn.export.frozen import FrozenNetwork
from tfmaskrcnn.export.tflite_ops import rebuild
from tfmaskrcnn.inference.prediction_files import find_images
from tfmaskrcnn.inference.runtimes.network_opening import open_network
from tfmaskrcnn.ops.nms import class_aware_nms
from tfmaskrcnn.ops.tensors import as_graph

SIZE = (96, 128)


@pytest.fixture(scope="module")
def files(saved_model, tmp_path_factory):
    """A function from a precision to its file, converted on first use; two images a batch."""
    folder, made = tmp_path_factory.mktemp("tflite"), {}

    def of(precision):
        if precision not in made:
            made[precision] = str(folder / f"{precision}.tflite")
            tflite.convert(saved_model, made[precision], 2, SIZE, precision)
        return made[precision]

    return of


@pytest.fixture(scope="module")
def compare(saved_model, image_folder):
    """A function from a file to how it differs from the SavedModel, which is opened once."""
    images, sizes = preprocessed(saved_model, find_images([image_folder]), SIZE)
    network = saved_network(saved_model)
    return lambda path: differences(network, open_network(path), images, sizes, 2)


@on_stack_a
@pytest.mark.slow
def test_float32_finds_what_the_saved_model_finds(compare, files):
    for row in compare(files("float32")):
        assert row.expected == row.found == row.matched > 3
        assert row.box < 1e-2 and row.score < 1e-4 and row.mask < 1e-3
        assert row.mask_peak > 0.9


@on_stack_a
@pytest.mark.slow
@pytest.mark.parametrize("precision, share", [("float16", 0.95), ("int8", 0.7)])
def test_smaller_weights_find_nearly_the_same_and_masks_are_not_zero(
    compare, files, precision, share
):
    rows = compare(files(precision))
    assert sum(row.matched for row in rows) >= share * sum(row.expected for row in rows) > 10
    assert max(row.mask_mean for row in rows) < 0.1 and min(row.mask_peak for row in rows) > 0.9


@on_stack_a
@pytest.mark.slow
def test_the_plain_runtime_is_enough_and_weights_are_small(files):
    sizes = {}
    for precision in ("float32", "float16", "int8"):
        with open(files(precision), "rb") as file:
            content = file.read()
        assert b"Flex" not in content
        sizes[precision] = len(content)
        resolver = tf.lite.experimental.OpResolverType.BUILTIN  # no delegates
        interpreter = tf.lite.Interpreter(
            model_content=content, experimental_op_resolver_type=resolver
        )
        interpreter.allocate_tensors()
    assert sizes["float16"] < 0.6 * sizes["float32"] and sizes["int8"] < 0.4 * sizes["float32"]


@on_stack_a
@pytest.mark.slow
def test_the_predictor_has_the_signatures_names(files):
    run = open_network(files("float32"))
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


def tflite_of(function, arrays, folder):
    """What the TFLite form of a function of tensors gives for `arrays`."""
    specs = {f"x{i}": tf.TensorSpec(array.shape, array.dtype) for i, array in enumerate(arrays)}
    concrete = as_graph(lambda **x: function(*x.values())).get_concrete_function(**specs)
    network = FrozenNetwork(
        concrete.graph.as_graph_def(),
        dict(zip(specs, (tensor.name for tensor in concrete.inputs))),
        {f"out{i}": tensor.name for i, tensor in enumerate(concrete.outputs)},
        (),
    )
    # Through a file, as `convert`, so that inputs and outputs have names.
    module = tf.Module()
    signature = as_graph(lambda **x: rebuild(network, x)).get_concrete_function(**specs)
    tf.saved_model.save(module, folder, signature)
    content = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow's praise of LiteRT
        run = tf.lite.Interpreter(model_content=content).get_signature_runner()
    found = run(**dict(zip(specs, arrays)))
    return [found[name] for name in network.outputs]


def test_detections_clipped_to_nothing_are_dropped_alike(tmp_path):
    rois = clipped_rois()
    expected = without_empty(*rois)
    assert 0 < np.count_nonzero(expected[0]) < 20
    found = tflite_of(without_empty, rois, str(tmp_path))
    assert len(found) == len(expected) == 3
    for ours, theirs in zip(found, expected):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_nms_that_suppresses_nothing_ends(tmp_path):
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 9, (1, 12, 1, 2))  # all overlap
    boxes = np.concatenate([low, low + 40], axis=-1).astype(np.float32)
    scores = rng.uniform(0.1, 1, (1, 12, 2)).astype(np.float32)

    def kept(boxes, scores):
        return tuple(class_aware_nms(boxes, scores, 1.0, 0.05, 30)[:3])

    for ours, theirs in zip(tflite_of(kept, [boxes, scores], str(tmp_path)), kept(boxes, scores)):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("content", [b"", b"no model", bytes(range(256)) * 8])
def test_a_file_that_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "wrong.tflite"
    path.write_bytes(content)
    with pytest.raises(mr.InputError, match="no model that TFLite can load"):
        open_network(str(path))
    with pytest.raises(mr.InputError, match="no file"):
        open_network(str(tmp_path / "missing.tflite"))


def test_another_model_of_tflite_is_refused(tmp_path):
    function = as_graph(lambda x: x + 1.0, input_signature=[tf.TensorSpec([2])])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    path = tmp_path / "other.tflite"
    path.write_bytes(converter.convert())
    with pytest.raises(mr.InputError, match="no model of this package"):
        open_network(str(path))


@on_stack_a
def test_wrong_arguments_end_in_one_sentence_and_exit_code_2(
    saved_model, image_folder, tmp_path, capsys
):
    out = str(tmp_path / "x.tflite")
    for arguments, message in (
        ([str(tmp_path), out], "no saved_model.pb"),
        ([saved_model, out], "give --fixed-size"),
        ([saved_model, out, "--fixed-size", "96", "100"], "multiples of 32"),
        ([saved_model, str(tmp_path)], "is a folder"),
        ([saved_model, out, "--images", str(tmp_path / "none")], "There is no file"),
    ):
        assert main(["export", *arguments, "--format", "tflite"]) == 2
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert error.startswith("tfmaskrcnn: ") and message in error
    assert not (tmp_path / "x.tflite").exists()
