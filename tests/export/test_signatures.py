import io
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfmaskrcnn as mr
from helpers.one_stack import on_stack_a, on_stack_b
from helpers.some_signatures import exported_with
from helpers.tiny import tiny_config
from tfmaskrcnn.inference.exported import saved_model_predictor

# Runs a SavedModel where Keras cannot be imported.
WITHOUT_KERAS = """
import sys
sys.modules["keras"] = None
import numpy as np, tensorflow as tf
images = np.load(sys.argv[2])
model = tf.saved_model.load(sys.argv[1])
outputs = model.signatures["serving_default"](images=tf.constant(images))
np.savez(sys.argv[3], **{name: value.numpy() for name, value in outputs.items()})
encoded = [tf.io.encode_png(image).numpy() for image in images]
feature = lambda data: tf.train.Feature(bytes_list=tf.train.BytesList(value=[data]))
examples = [
    tf.train.Example(features=tf.train.Features(feature={"image/encoded": feature(data)}))
    for data in encoded
]
others = {
    "image_bytes": encoded,
    "tf_example": [example.SerializeToString() for example in examples],
}
for name, values in others.items():
    again = model.signatures[name](**{name: tf.constant(values)})
    for key, value in outputs.items():
        np.testing.assert_allclose(again[key].numpy(), value.numpy(), atol=1e-5, err_msg=key)
assert set(model.signatures) == {"serving_default", "network", "preprocess", *others}
"""


def random_images(*sizes):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (h, w, 3), np.uint8) for h, w in sizes]


@pytest.fixture(scope="module")
def model():
    labels = ("class_names=[circle, square, triangle]", "category_ids=[1, 5, 9]")
    threshold = "box_head.score_threshold=0.01"
    return mr.MaskRCNN(tiny_config(threshold, *labels).model)


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    return mr.export_saved_model(model, str(tmp_path_factory.mktemp("exported") / "1"))


def assert_alike(found, expected):
    assert len(found) == len(expected) > 0
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-2)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    np.testing.assert_array_equal(found.classes, expected.classes)
    np.testing.assert_allclose(found.mask_probabilities, expected.mask_probabilities, atol=1e-3)


def test_the_saved_model_finds_what_the_keras_model_finds(model, exported):
    images = random_images((96, 128), (64, 80), (300, 200), (1, 7))
    for found, expected in zip(
        saved_model_predictor(exported)(images), model.predict_images(images)
    ):
        assert_alike(found, expected)


def test_encoded_images_of_mixed_sizes_and_formats_are_taken_in_one_batch(model, exported):
    images = random_images((96, 128), (64, 80), (200, 150))
    grey = np.repeat(images[1][..., :1], 3, axis=-1)
    encoded = [_png(images[0]), _png(grey[..., 0]), _png(images[2], alpha=True)]
    served = tf.saved_model.load(exported).signatures["image_bytes"]
    outputs = served(image_bytes=tf.constant(encoded))
    expected = model.predict_images([images[0], grey, images[2]], batch_size=3)
    for i, instances in enumerate(expected):
        count = int(outputs["num_detections"][i])
        size = np.tile(instances.size, 2)
        assert count == len(instances)
        boxes = outputs["detection_boxes"][i, :count] * size
        np.testing.assert_allclose(boxes, instances.boxes, atol=1e-2)
        assert not outputs["detection_scores"][i, count:].numpy().any()


def _png(image, alpha=False):
    picture = Image.fromarray(image)
    if alpha:
        picture.putalpha(128)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


@on_stack_b
def test_it_runs_in_a_process_without_keras(model, exported, tmp_path):
    images = np.stack(random_images((96, 128), (96, 128)))
    np.save(tmp_path / "images.npy", images)
    arguments = [exported, str(tmp_path / "images.npy"), str(tmp_path / "outputs.npz")]
    subprocess.run([sys.executable, "-c", WITHOUT_KERAS, *arguments], check=True, timeout=300)
    outputs = np.load(tmp_path / "outputs.npz")
    for i, instances in enumerate(model.predict_images(list(images), batch_size=2)):
        boxes = outputs["detection_boxes"][i, : len(instances)] * np.tile([96, 128], 2)
        np.testing.assert_allclose(boxes, instances.boxes, atol=1e-2)
        assert outputs["num_detections"][i] == len(instances)


@on_stack_b
def test_a_fixed_size_gives_a_network_of_static_shape(tmp_path):
    config = tiny_config("input.fixed_size=[96, 128]", "box_head.score_threshold=0.01").model
    model = mr.MaskRCNN(config)
    folder = exported_with(["network", "serving_default"], model, tmp_path / "1")
    network = tf.saved_model.load(folder).signatures["network"]
    assert network.structured_input_signature[1]["images"].shape[1:] == (96, 128, 3)
    images = random_images((50, 128), (200, 100))
    predicted = saved_model_predictor(folder)(images)
    for found, expected in zip(predicted, model.predict_images(images, batch_size=2)):
        assert_alike(found, expected)


def test_a_folder_that_holds_something_is_not_overwritten(model, exported, tmp_path):
    with pytest.raises(mr.InputError, match="not empty"):
        mr.export_saved_model(model, exported)
    (tmp_path / "file").write_text("")
    with pytest.raises(mr.InputError, match="Cannot write"):
        mr.export_saved_model(model, str(tmp_path / "file" / "1"))


@on_stack_a
@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        "mask_head.enabled=false",
        "roi.method=roi_pool",
        "mask_head={channels: 16, num_convs: 1, loss: softmax, class_agnostic: true}",
    ],
)
def test_what_the_paper_compares_with_is_served_as_keras_has_it(overrides, tmp_path):
    model = mr.MaskRCNN(tiny_config("box_head.score_threshold=0.01", overrides).model)
    folder = exported_with(["network", "serving_default"], model, tmp_path / "1")
    images = random_images((96, 128), (300, 200))
    for found, expected in zip(saved_model_predictor(folder)(images), model.predict_images(images)):
        if model.mask_head:
            assert_alike(found, expected)
        else:
            assert not found.has_masks and not expected.has_masks and len(found) > 0
            np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-2)
    outputs = tf.saved_model.load(folder).signatures["network"].structured_outputs
    assert ("detection_masks" in outputs) == (model.mask_head is not None)
