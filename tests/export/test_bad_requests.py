"""Whatever a client sends: detections or a sentence for that request, and the next one works."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfmaskrcnn as mr
from helpers.cases import case
from helpers.one_stack import on_stack_b
from helpers.some_signatures import exported_with
from helpers.tiny import tiny_config
from tfmaskrcnn.inference.exported import saved_model_predictor

pytestmark = [pytest.mark.slow, on_stack_b]
LIMIT = 500_000  # pixels
SIGNATURES = ("serving_default", "image_bytes", "tf_example", "preprocess", "network")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """on_error -> an exported model."""
    model = mr.MaskRCNN(tiny_config("box_head.score_threshold=0.01").model)
    made = {}
    for on_error in ("fail", "report"):
        gif = on_error == "fail"
        options = mr.ExportOptions(
            on_error=on_error, max_pixels=LIMIT, masks="rle", gif=gif, max_batch=8
        )
        folder = str(tmp_path_factory.mktemp("exported") / on_error)
        names = SIGNATURES if gif else SIGNATURES[:-1]  # one network of its own is enough
        made[on_error] = exported_with(names, model, folder, options)
    return made


@pytest.fixture(scope="module")
def loaded(folders):
    return {on_error: tf.saved_model.load(folder) for on_error, folder in folders.items()}


@pytest.fixture(scope="module")
def failing(loaded):
    return loaded["fail"]


@pytest.fixture(scope="module")
def reporting(loaded):
    return loaded["report"]


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
    case("hostile/screen10_frame16000.gif").read_bytes(): (
        "is a GIF file whose first frame, 16000 x 16000, does not fill its 10 x 10 pixels."
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
def test_an_empty_batch_is_a_sentence(loaded, on_error):
    model = loaded[on_error]
    calls = {
        "image_bytes": tf.zeros([0], tf.string),
        "tf_example": tf.zeros([0], tf.string),
        "serving_default": tf.zeros([0, 30, 40, 3], tf.uint8),
    }
    for name, batch in calls.items():
        key = "images" if name == "serving_default" else name
        text = message(lambda n=name, k=key, b=batch: model.signatures[n](**{k: b}))
        assert "The batch is empty; send at least one image." in text


@pytest.mark.parametrize("on_error", ["fail", "report"])
def test_more_images_than_a_request_may_have_are_a_sentence(folders, loaded, on_error):
    model = loaded[on_error]
    one = encoded(pixels(1, 1, 3))
    for count in (9, 5000):
        calls = {
            "image_bytes": tf.constant([one] * count),
            "tf_example": tf.constant([example(image_encoded=one)] * count),
            "preprocess": tf.constant([one] * count),
            "serving_default": tf.zeros([count, 1, 1, 3], tf.uint8),
        }
        for name, batch in calls.items():
            key = {"serving_default": "images", "preprocess": "image_bytes"}.get(name, name)
            text = message(lambda n=name, k=key, b=batch: model.signatures[n](**{k: b}))
            assert f"The request has {count} images; 8 at most." in text
    if on_error == "fail":
        found = saved_model_predictor(folders[on_error])([pixels(1, 1, 3)] * 19)
        assert len(found) == 19


def test_a_gif_is_taken_only_by_a_model_that_was_exported_to_take_it(failing, reporting):
    gif = encoded(pixels(60, 70), "GIF")
    for model, wanted in ((failing, None), (reporting, b"is a GIF file, which this model cannot")):
        found = model.signatures["image_bytes"](image_bytes=tf.constant([gif]))
        errors = found.get("image_errors")
        assert errors is None if wanted is None else errors.numpy()[0].startswith(wanted)


def test_numbers_that_are_none_go_through_the_network_and_harm_no_other_image(failing):
    network = failing.signatures["network"]
    images = np.random.default_rng(0).normal(size=(2, 96, 128, 3)).astype(np.float32)
    sizes = np.float32([[96, 128], [96, 128]])
    expected = network(images=tf.constant(images[:1]), sizes=tf.constant(sizes[:1]))
    for value in (np.nan, np.inf, -np.inf, 1e38):
        for bad_images, bad_sizes in ((value, 96.0), (0.0, value), (0.0, 0.0), (0.0, -5.0)):
            given, of = images.copy(), sizes.copy()
            given[1] += np.float32(bad_images)
            of[1] = bad_sizes
            found = network(images=tf.constant(given), sizes=tf.constant(of))
            for name, value_found in found.items():
                np.testing.assert_allclose(value_found[0], expected[name][0], atol=1e-3)


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
        b"is no JPEG, PNG or BMP file",
    ]
    alone = failing.signatures["image_bytes"](image_bytes=tf.constant([data[0], data[2]]))
    for name, value in found.items():
        good, bad = value.numpy()[::2], value.numpy()[1::2]
        if name == "detection_masks_rle":
            assert (bad == b"").all() and (good[:, 0] != b"").all()
        else:
            np.testing.assert_allclose(good, alone[name], atol=1e-4, err_msg=name)
            assert not bad.any()
