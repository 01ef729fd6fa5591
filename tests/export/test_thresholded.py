"""Score thresholds in the exported graph, and the thresholds that travel with it."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

import tfmaskrcnn as mr
from helpers.tiny import tiny_config
from tfmaskrcnn.export.adapted import adapted_thresholds
from tfmaskrcnn.export.assets import write_assets
from tfmaskrcnn.export.signatures import Servable
from tfmaskrcnn.export.thresholded import at_or_above
from tfmaskrcnn.inference.score_thresholds import ScoreThresholds, exported_thresholds
from tfmaskrcnn.ops.structures import Detections

TABLE = np.float32([0.4, 0.6, 0.9])
NAMES = ("class_names=[circle, square, triangle]",)


def thresholds(*scores):
    return ScoreThresholds(scores, overall=0.5, iou=0.5, kind="mask", images=9)


def drawn_detections(seed, batch=3, rows=12):
    """Random `Detections` of 3 classes as `MaskRCNN.detect` gives them, some of equal scores."""
    rng = np.random.default_rng(seed)
    scores = -np.sort(-rng.integers(1, 11, (batch, rows)).astype(np.float32) / 10)
    valid = np.arange(rows) < rng.integers(0, rows + 1, (batch, 1))
    return Detections(
        boxes=rng.random((batch, rows, 4), np.float32),
        scores=scores * valid,
        classes=(rng.integers(1, 4, (batch, rows)) * valid).astype(np.float32),
        valid=valid,
        masks=rng.random((batch, rows, 5, 5), np.float32),
        keypoints=rng.random((batch, rows, 2, 3), np.float32),
    )


def expected_of(found, i):
    """The rows of image `i` that are to be kept."""
    rows = np.flatnonzero(found.valid[i])
    return [row for row in rows if found.scores[i, row] >= TABLE[int(found.classes[i, row]) - 1]]


def assert_selected(left, found):
    for i in range(len(found.scores)):
        rows = expected_of(found, i)
        for name, part in left._asdict().items():
            part, all_of_it = np.asarray(part)[i], getattr(found, name)[i]
            np.testing.assert_array_equal(part[: len(rows)], all_of_it[rows], err_msg=name)
            assert not part[len(rows) :].any(), name


def test_what_is_below_its_class_s_threshold_is_left_out_and_the_rest_moves_up():
    kept = 0
    for seed in range(20):
        found = drawn_detections(seed)
        left = at_or_above(Detections(*map(tf.constant, found)), TABLE)
        assert_selected(left, found)
        kept += int(np.sum(left.valid))
    assert kept > 100


def test_a_model_of_boxes_alone_has_boxes_alone():
    found = drawn_detections(0)._replace(masks=None, keypoints=None)
    left = at_or_above(
        Detections(*(None if part is None else tf.constant(part) for part in found)), TABLE
    )
    assert left.masks is None and left.keypoints is None
    np.testing.assert_array_equal(
        np.sum(left.valid, axis=1), [len(expected_of(found, i)) for i in range(3)]
    )


@pytest.mark.filterwarnings("ignore:.*Interpreter is deprecated")
def test_tflite_and_onnx_compute_the_same():
    found = drawn_detections(3)
    names = [name for name in Detections._fields if name != "valid"]
    specs = [tf.TensorSpec(getattr(found, name).shape, tf.float32, name) for name in names]

    def run(boxes, scores, classes, masks, keypoints):
        left = at_or_above(
            Detections(boxes, scores, classes, scores > 0.0, masks, keypoints), TABLE
        )
        return {f"left_{name}": getattr(left, name) for name in names}

    function = tf.function(run, input_signature=specs)
    feeds = {name: getattr(found, name) for name in names}
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], tf.Module()
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    outputs = [interpreter.get_signature_runner()(**feeds)]

    tf2onnx, onnxruntime = pytest.importorskip("tf2onnx"), pytest.importorskip("onnxruntime")
    proto, _ = tf2onnx.convert.from_function(function, input_signature=specs, opset=17)
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    keys = [value.name for value in session.get_outputs()]
    outputs.append(dict(zip(keys, session.run(keys, feeds))))
    for output in outputs:
        left = {name: output[f"left_{name}"] for name in names}
        assert_selected(Detections(**left, valid=left["scores"] > 0), found)


def test_every_signature_leaves_out_what_is_below_its_threshold(monkeypatch):
    drawn = drawn_detections(17, batch=1)
    rows = expected_of(drawn, 0)
    assert 0 < len(rows) <= rows[-1] < drawn.valid.sum()  # something between them goes
    model = mr.MaskRCNN(tiny_config(*NAMES).model)
    monkeypatch.setattr(
        model, "detect", lambda *_: Detections(*(tf.constant(part) for part in drawn))
    )
    options = mr.ExportOptions(apply_thresholds=True)
    functions = Servable(model, options, thresholds(*map(float, TABLE))).functions
    # Images of this size are not resized.
    of_images = functions["serving_default"](tf.zeros([1, 96, 128, 3], tf.uint8))
    of_network = functions["network"](tf.zeros([1, 96, 128, 3]), tf.constant([[96.0, 128.0]]))
    for found in (of_images, of_network):
        assert found["num_detections"].numpy().tolist() == [len(rows)]
        for name, scale in (("boxes", [96, 128] * 2), ("keypoints", [96, 128])):
            part = found[f"detection_{name}"].numpy()[0, : len(rows)] * np.float32(scale)
            expected = getattr(drawn, name)[0, rows][..., : len(scale)]
            np.testing.assert_allclose(part, expected, rtol=1e-5)
        scores = found["detection_scores"].numpy()[0]
        np.testing.assert_array_equal(scores[: len(rows)], drawn.scores[0, rows])
        assert not scores[len(rows) :].any()
        masks = found["detection_masks"].numpy()[0, : len(rows)]
        np.testing.assert_array_equal(masks, drawn.masks[0, rows])


def test_the_thresholds_of_the_exported_classes_travel_by_their_new_names(tmp_path):
    config = tiny_config(*NAMES).model
    options = mr.ExportOptions(classes=["triangle", "1"], names=["Dreieck", "Kreis"])
    like = SimpleNamespace(config=config)  # all that is read of a model
    part = adapted_thresholds(like, options, thresholds(0.2, 0.3, None))
    assert part.scores == (None, 0.2) and part.class_names == ("Dreieck", "Kreis")
    (tmp_path / "assets").mkdir()
    paths = write_assets(config, options, str(tmp_path / "assets"), part)
    assert "thresholds.json" in paths and exported_thresholds(str(tmp_path), 2) == part
    assert "thresholds.json" not in write_assets(config, options, str(tmp_path))


def test_thresholds_that_are_not_there_or_of_other_classes_are_told(tmp_path):
    like = SimpleNamespace(config=tiny_config(*NAMES).model)
    assert adapted_thresholds(like, mr.ExportOptions(), None) is None
    with pytest.raises(mr.InputError, match="no score thresholds to apply; .*--save-thresholds"):
        adapted_thresholds(like, mr.ExportOptions(apply_thresholds=True), None)
    with pytest.raises(mr.InputError, match="thresholds of 2 classes, the model has 3"):
        adapted_thresholds(like, mr.ExportOptions(), thresholds(0.5, 0.5))
