"""What is chosen at export, and what travels with it."""

import glob
import io
import json
import os
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from pycocotools import mask as coco_mask

import tfmaskrcnn as mr
from helpers.one_stack import on_stack_a, on_stack_b
from helpers.some_signatures import exported_with
from helpers.tiny import tiny_config
from tfmaskrcnn import compat
from tfmaskrcnn.data.coco.image_files import read_image
from tfmaskrcnn.export.adapted import adapted
from tfmaskrcnn.inference.exported import saved_model_predictor
from tfmaskrcnn.model.weights import load_weights, named_weights

pytestmark = pytest.mark.slow
NUCLEI = sorted(glob.glob(os.path.join("examples", "nuclei", "images", "*.png")))
LABELS = ("class_names=[circle, square, triangle]", "category_ids=[1, 5, 9]")
THRESHOLD = "box_head.score_threshold=0.01"


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = mr.MaskRCNN(tiny_config(THRESHOLD, *LABELS).model)
    # Random kernels are so small that all of a mask may lie on one side of 0.5.
    kernel = named_weights(model)["mask_head/logits/kernel"]
    kernel.assign(kernel * 300.0)
    return model


@pytest.fixture(scope="module")
def real_images():
    """Real images of three sizes."""
    images = {read_image(path).shape: read_image(path) for path in NUCLEI}
    assert len(images) >= 3
    return list(images.values())[:3]


@pytest.fixture(scope="module")
def chosen(model, tmp_path_factory):
    """A folder exported with everything that concerns detections."""
    options = mr.ExportOptions(
        masks="rle",
        score_threshold=0.02,
        max_detections=7,
        classes=["triangle", "1"],
        names=["Dreieck", 'Kr"eis'],
        min_side=64,
        max_side=100,
    )
    folder = tmp_path_factory.mktemp("exported") / "1"
    return exported_with(["serving_default"], model, folder, options)


@pytest.fixture(scope="module")
def static(model, tmp_path_factory):
    """A folder exported with everything that concerns the graph."""
    options = mr.ExportOptions(
        masks="bitmaps", fixed_size=(96, 128), network_batch=2, precision="bfloat16"
    )
    folder = tmp_path_factory.mktemp("exported") / "1"
    return exported_with(["network", "serving_default"], model, folder, options)


def with_config(model, *overrides):
    """Another model with the same weights."""
    other = mr.MaskRCNN(tiny_config(THRESHOLD, *overrides).model)
    load_weights(other, {name: v.numpy() for name, v in named_weights(model).items()})
    return other


def asset(folder, name):
    with open(os.path.join(folder, "assets", name), encoding="utf-8") as file:
        return file.read()


@on_stack_a
def test_chosen_classes_are_found_as_if_the_others_were_left_out_before_nms(
    model, chosen, real_images
):
    everything = with_config(
        model,
        "input={min_side: 64, max_side: 100}",
        "box_head={score_threshold: 0.02, max_detections: 200, hidden: 32}",
    )
    for image in real_images:
        (found,) = saved_model_predictor(chosen)([image])
        all_of_it = everything.predict_images([image])[0]
        expected = all_of_it[(all_of_it.classes == 3) | (all_of_it.classes == 1)][:7]
        assert len(found) == 7 < len(all_of_it)
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-2)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
        np.testing.assert_array_equal(found.classes, np.where(expected.classes == 3, 1, 2))
        # Boxes differ in the last bits, so a pixel at the edge may too.
        differing = (found.masks != expected.masks).sum()
        assert differing <= 1e-3 * expected.masks.sum()


@on_stack_a
def test_rle_of_the_graph_is_that_of_the_probabilities_beside_it(model, tmp_path, real_images):
    plain, rle = str(tmp_path / "roi"), str(tmp_path / "rle")
    exported_with(["serving_default"], model, plain)
    exported_with(["image_bytes"], model, rle, mr.ExportOptions(masks="rle"))
    data = []
    for image in real_images:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "JPEG")
        data.append(stream.getvalue())
    pixels = [np.asarray(Image.open(io.BytesIO(encoded))) for encoded in data]
    expected = [found.rle() for found in saved_model_predictor(plain)(pixels)]
    loaded = tf.saved_model.load(rle)
    for encoded, image, rles in zip(data, pixels, expected):
        # One at a time: a batch is padded to its largest image, which the network sees.
        served = loaded.signatures["image_bytes"](image_bytes=tf.constant([encoded]))
        assert "detection_masks" not in served
        np.testing.assert_array_equal(served["image_size"][0], image.shape[:2])
        found = served["detection_masks_rle"][0, : len(rles)].numpy()
        served = [{"size": list(image.shape[:2]), "counts": text} for text in found]
        masks, others = coco_mask.decode(served), coco_mask.decode(rles)
        # Two graphs round differently, and masks of random weights hold many values near 0.5.
        assert (masks != others).mean() < 1e-4 and masks.sum() > 0


@on_stack_b
def test_bitmaps_of_a_bfloat16_export_lie_where_the_float32_masks_lie(model, static, real_images):
    fixed = with_config(model, "input.fixed_size=[96, 128]")
    for image, found in zip(real_images, saved_model_predictor(static)(real_images)):
        expected = fixed.predict_images([image])[0]
        best = np.argmax(
            [np.abs(found.boxes - box).max(axis=1).min() < 8 for box in expected.boxes]
        )
        other = np.argmin(np.abs(found.boxes - expected.boxes[best]).max(axis=1))
        assert abs(found.scores[other] - expected.scores[best]) < 0.05
        a, b = found.masks[other], expected.masks[best]
        assert (a & b).sum() >= 0.5 * (a | b).sum()


def test_precision_is_that_of_the_convolutions_and_outputs_stay_float32(static):
    loaded = tf.saved_model.load(static)
    types = [
        node.attr["T"].type
        for function in loaded.signatures["network"].graph.as_graph_def().library.function
        for node in function.node_def
        if node.op == "Conv2D"
    ]
    assert types.count(tf.bfloat16.as_datatype_enum) > 20
    assert all(
        v.dtype == tf.float32 for v in loaded.signatures["network"].structured_outputs.values()
    )
    assert all(variable.dtype == tf.float32 for variable in loaded.weights)


@pytest.mark.parametrize("trained, exported", [("bfloat16", "float32"), ("float32", "bfloat16")])
@on_stack_b
def test_precision_is_that_of_the_options_whatever_the_model_was_made_for(trained, exported):
    with compat.precision(trained):
        model = mr.MaskRCNN(tiny_config().model)
    changed, _ = adapted(model, mr.ExportOptions(precision=exported))
    layers = changed.fpn, changed.backbone.stem, changed.box_head.fc1, changed.mask_head.convs[0]
    assert {layer.compute_dtype for layer in layers} == {exported}
    for name, variable in named_weights(changed).items():
        assert np.array_equal(variable, named_weights(model)[name]), name
    assert adapted(model, mr.ExportOptions(precision=trained))[0] is model


def test_the_network_signature_has_the_fixed_batch_and_the_others_any(static, real_images):
    loaded = tf.saved_model.load(static)
    inputs = loaded.signatures["network"].structured_input_signature[1]
    assert inputs["images"].shape == (2, 96, 128, 3) and inputs["sizes"].shape == (2, 2)
    images = np.stack([real_images[0]] * 3)
    assert loaded.signatures["serving_default"](images=images)["num_detections"].shape == [3]


def test_bitmaps_that_no_message_can_hold_are_refused(static):
    serve = tf.saved_model.load(static).signatures["serving_default"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="1073741824 at most; send fewer"):
        serve(images=tf.zeros([2, 5500, 5500, 3], tf.uint8))


def test_labels_options_and_versions_travel_in_the_assets(chosen, static):
    config = json.loads(asset(chosen, "config.json"))
    assert config["num_classes"] == 2
    assert config["class_names"] == ["Dreieck", 'Kr"eis'] and config["category_ids"] == [9, 1]
    assert config["box_head"]["max_detections"] == 7 and config["input"]["min_side"] == 64
    items = re.findall(
        r"item \{\n  id: (\d+)\n  name: (.*)\n\}\n", asset(chosen, "label_map.pbtxt")
    )
    assert [(int(i), json.loads(name)) for i, name in items] == [(1, "Dreieck"), (2, 'Kr"eis')]
    export = json.loads(asset(static, "export.json"))
    assert export["options"]["precision"] == "bfloat16"
    assert export["options"]["fixed_size"] == [96, 128]
    assert export["versions"]["tfmaskrcnn"] == mr.__version__
    assert "keras" in export["versions"]
    assert any(name.startswith("tensorflow") for name in export["versions"])
    assert 'name: "square"' in asset(static, "label_map.pbtxt")


def test_a_model_without_names_gets_a_label_map_of_numbers(tmp_path):
    from tfmaskrcnn.export.assets import label_map

    text = label_map(tiny_config().model)
    assert text.startswith('item {\n  id: 1\n  name: "class 1"\n}\n') and text.count("item") == 3


def test_a_subset_without_category_ids_keeps_the_numbers_the_classes_had():
    model = mr.MaskRCNN(tiny_config().model)
    _, described = adapted(model, mr.ExportOptions(classes=["3", "2"]))
    assert described.category_ids == (3, 2) and described.class_names == ()


def test_nothing_chosen_exports_the_model_itself(model):
    same, described = adapted(model, mr.ExportOptions())
    assert same is model and described == model.config


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"masks": "polygons"}, "masks is 'polygons'; wanted one of roi, rle, bitmaps"),
        ({"precision": "int8"}, "precision is 'int8'; wanted one of float32, float16, bfloat16"),
        ({"on_error": "ignore"}, "on_error is 'ignore'; wanted one of fail, report"),
        ({"network_batch": 0}, "network_batch is 0; wanted a whole number above 0"),
        ({"network_batch": 2}, "network_batch wants a fixed input size"),
        ({"fixed_size": (64, 64), "min_side": 5}, "either fixed_size or min_side"),
        ({"fixed_size": (60, 64)}, "no multiple of pad_multiple"),
        ({"min_side": 1000}, "max_side 128 is less than min_side 1000"),
        ({"score_threshold": 1.5}, "score_threshold"),
        ({"classes": ["circel"]}, "no class 'circel'; did you mean 'circle'"),
        ({"classes": ["4"]}, "no class '4'; it has 1 to 3"),
        ({"classes": ["1", "circle"]}, "'circle' is given twice"),
        ({"classes": ["1"], "names": ["a", "b"]}, "names has 2 entries for 1 exported classes"),
    ],
)
def test_a_wrong_choice_is_one_sentence(model, options, sentence):
    with pytest.raises(mr.InputError, match=re.escape(sentence)):
        adapted(model, mr.ExportOptions(**options))


@pytest.mark.skipif(hasattr(tf.io, "decode_webp"), reason="this TensorFlow decodes WebP")
def test_webp_where_tensorflow_cannot_decode_it_is_refused_at_export():
    with pytest.raises(mr.InputError, match="has no WebP decoder"):
        mr.ExportOptions(webp=True)


@pytest.mark.parametrize(
    "kind, wanted",
    [
        ("loss: softmax", [0, 3, 1, 2]),  # the background stays first
        ("class_agnostic: true", [0]),
        ("{loss: softmax, class_agnostic: true}", [0, 1]),
        ("loss: sigmoid", [2, 0, 1]),
    ],
)
@on_stack_a
def test_chosen_classes_take_their_masks_along_whatever_the_kind_of_mask(kind, wanted):
    kind = kind.strip("{}")
    overrides = (*LABELS, f"mask_head={{channels: 16, num_convs: 1, {kind}}}")
    original = mr.MaskRCNN(tiny_config(*overrides).model)
    exported, _ = adapted(original, mr.ExportOptions(classes=["triangle"]))
    kernels = [named_weights(m)["mask_head/logits/kernel"].numpy() for m in (original, exported)]
    np.testing.assert_array_equal(kernels[1], kernels[0][..., wanted])


@on_stack_a
def test_a_model_with_adaptive_sampling_is_exported(model, tmp_path, real_images):
    adaptive = with_config(model, "roi.sampling_ratio=0")
    folder = exported_with(["serving_default"], adaptive, tmp_path / "1")
    expected = adaptive.predict_images(real_images[:1])[0]
    found = saved_model_predictor(folder)(real_images[:1])[0]
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-2)
