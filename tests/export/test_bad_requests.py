"""Whatever a client sends: detections or a sentence for that request, and the next one works."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfmaskrcnn as mr
from helpers.tiny import tiny_config

pytestmark = pytest.mark.slow
LIMIT = 500_000  # pixels


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """on_error -> an exported model."""
    model = mr.MaskRCNN(tiny_config("box_head.score_threshold=0.01").model)
    made = {}
    for on_error in ("fail", "report"):
        options = mr.ExportOptions(on_error=on_error, max_pixels=LIMIT, masks="rle")
        folder = str(tmp_path_factory.mktemp("exported") / on_error)
        made[on_error] = mr.export_saved_model(model, folder, options)
    return made


@pytest.fixture(scope="module")
def failing(folders):
    return tf.saved_model.load(folders["fail"])


@pytest.fixture(scope="module")
def reporting(folders):
    return tf.saved_model.load(folders["report"])


def pixels(height, width, *channels, dtype=np.uint8):
    rng = np.random.default_rng(height + width)
    return rng.integers(0, np.iinfo(dtype).max, (height, width, *channels), dtype)


def encoded(image, kind="PNG", **options):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, kind, **options)
    return stream.getvalue()


def example(**features):
    lists = {
        name.replace("_", "/"): tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        for name, value in features.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=lists)).SerializeToString()


def message(call):
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        call()
    return str(error.value)


GOOD = encoded(pixels(60, 70, 3))
BAD = {
    b"": "is empty (0 bytes).",
    b"no image": "is no JPEG, PNG, BMP or GIF file.",
    GOOD[:400]: "is a damaged PNG file.",
    encoded(pixels(80, 80, 3), "JPEG")[:300]: "is a damaged JPEG file.",
    encoded(pixels(26, 20_000, 3), "JPEG", quality=5): (
        "has 26 x 20000 pixels (height x width); 500000 at most."
    ),
}


@pytest.mark.parametrize("data", BAD, ids=range(len(BAD)))
def test_the_sentence_names_the_image_of_the_batch_and_the_next_request_works(failing, data):
    serve = failing.signatures["image_bytes"]
    text = message(lambda: serve(image_bytes=tf.constant([GOOD, GOOD, data])))
    assert f"Image 2 of the batch {BAD[data]}" in text
    assert serve(image_bytes=tf.constant([GOOD]))["detection_boxes"].shape[0] == 1


def test_all_bad_images_of_a_batch_are_named(failing):
    data = tf.constant([b"", GOOD, b"no image"])
    text = message(lambda: failing.signatures["image_bytes"](image_bytes=data))
    assert "Image 0 of the batch is empty (0 bytes). Image 2 of the batch is no JPEG" in text


@pytest.mark.parametrize("on_error", ["fail", "report"])
def test_an_empty_batch_is_a_sentence(folders, on_error):
    model = tf.saved_model.load(folders[on_error])
    calls = {
        "image_bytes": tf.zeros([0], tf.string),
        "tf_example": tf.zeros([0], tf.string),
        "serving_default": tf.zeros([0, 30, 40, 3], tf.uint8),
    }
    for name, batch in calls.items():
        key = "images" if name == "serving_default" else name
        text = message(lambda n=name, k=key, b=batch: model.signatures[n](**{k: b}))
        assert "The batch is empty; send at least one image." in text


def test_images_without_pixels_or_with_too_many_are_a_sentence(failing):
    serve = failing.signatures["serving_default"]
    for size in ((0, 5), (5, 0)):
        text = message(lambda s=size: serve(images=tf.zeros([2, *s, 3], tf.uint8)))
        assert "Image 0 of the batch has no pixels. Image 1 of" in text
    text = message(lambda: serve(images=tf.zeros([1, 26, 20_000, 3], tf.uint8)))
    assert "Image 0 of the batch has 26 x 20000 pixels (height x width); 500000 at most." in text


def test_extreme_shapes_within_the_limit_are_resized(failing):
    for size in ((1, 1), (1, 20_000), (20_000, 1), (20, 20_000)):
        image = pixels(*size, 3)
        raw = failing.signatures["serving_default"](images=tf.constant(image[None]))
        file = failing.signatures["image_bytes"](image_bytes=tf.constant([encoded(image)]))
        np.testing.assert_array_equal(raw["image_size"], [size])
        np.testing.assert_array_equal(raw["detection_boxes"], file["detection_boxes"])
        assert np.isfinite(raw["detection_boxes"]).all()
        assert (raw["detection_boxes"].numpy() <= 1).all()


def test_alpha_sixteen_bits_grey_and_animations_give_the_detections_of_their_rgb(failing):
    serve = failing.signatures["image_bytes"]
    rgb = pixels(60, 70, 3)
    grey = rgb[..., 0]
    grey_as_rgb = np.repeat(grey[..., None], 3, axis=-1)
    deep = grey.astype(np.uint16) * 257
    first, second = Image.fromarray(grey), Image.fromarray(255 - grey)
    stream = io.BytesIO()
    first.save(stream, "GIF", save_all=True, append_images=[second])
    alike = [
        (encoded(np.dstack([rgb, grey])), rgb),
        (encoded(grey), grey_as_rgb),
        (encoded(deep), grey_as_rgb),
        (stream.getvalue(), grey_as_rgb),
    ]
    found = serve(image_bytes=tf.constant([data for data, _ in alike]))
    expected = failing.signatures["serving_default"](images=np.stack([image for _, image in alike]))
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_records_without_an_image_are_named(failing):
    serve = failing.signatures["tf_example"]
    good = example(image_encoded=GOOD)
    bad = [b"no record", example(image_other=GOOD), example(), example(image_encoded=b"")]
    text = message(lambda: serve(tf_example=tf.constant([good, *bad])))
    for i in range(1, 5):
        assert f"Image {i} of the batch is no tf.train.Example with one image/encoded." in text
    text = message(lambda: serve(tf_example=tf.constant([example(image_encoded=GOOD[:400])])))
    assert "Image 0 of the batch is a damaged PNG file." in text


def test_reported_errors_leave_the_rest_of_the_batch_alone(failing, reporting):
    data = [GOOD, b"", encoded(pixels(90, 50, 3)), b"no image"]
    found = reporting.signatures["image_bytes"](image_bytes=tf.constant(data))
    assert found.pop("image_errors").numpy().tolist() == [
        b"",
        b"is empty (0 bytes)",
        b"",
        b"is no JPEG, PNG, BMP or GIF file",
    ]
    alone = failing.signatures["image_bytes"](image_bytes=tf.constant([data[0], data[2]]))
    for name, value in found.items():
        good, bad = value.numpy()[::2], value.numpy()[1::2]
        if name == "detection_masks_rle":
            assert (bad == b"").all() and (good[:, 0] != b"").all()
        else:
            np.testing.assert_allclose(good, alone[name], atol=1e-4, err_msg=name)
            assert not bad.any()
