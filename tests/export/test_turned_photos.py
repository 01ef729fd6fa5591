"""One photo stored in EXIF's eight orientations: the same from training to the SavedModel."""

import io
import json
import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps
from pycocotools import mask as coco_mask

import tfmaskrcnn as mr
from helpers.one_stack import on_stack_a, on_stack_b
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.data.coco.image_files import ImageBytes, read_image
from tfmaskrcnn.export.options import ExportOptions
from tfmaskrcnn.export.signatures import Servable
from tfmaskrcnn.inference.opening import open_source
from tfmaskrcnn.ops.images import preprocess

# How the pixels lie that a viewer shows as the photo, for orientation 1 to 8: Pillow's words.
WAYS = [None, "FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE"]
WAYS += ["ROTATE_90", "TRANSVERSE", "ROTATE_270"]


def stored(photo, orientation):
    """The bytes of a PNG."""
    way, exif, stream = WAYS[orientation - 1], Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    image = photo if way is None else photo.transpose(Image.Transpose[way])
    image.save(stream, "PNG", exif=exif)
    return stream.getvalue()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """(JSON, image folder) of one photo with its objects, eight times."""
    folder = tmp_path_factory.mktemp("photos")
    path, images = tiny_data(folder / "one", num_images=1)
    with open(path) as file:
        data = json.load(file)
    with Image.open(os.path.join(images, data["images"][0]["file_name"])) as image:
        photo = image.convert("RGB")
    objects, data["annotations"] = data["annotations"], []
    entry = {**data["images"][0]}
    data["images"] = [{**entry, "id": o, "file_name": f"{o}.png"} for o in range(1, 9)]
    for orientation in range(1, 9):
        content = stored(photo, orientation)
        (folder / f"{orientation}.png").write_bytes(content)
        with Image.open(io.BytesIO(content)) as image:
            np.testing.assert_array_equal(ImageOps.exif_transpose(image), photo)
        for each in objects:
            number = len(data["annotations"]) + 1
            data["annotations"].append({**each, "id": number, "image_id": orientation})
    (folder / "train.json").write_text(json.dumps(data))
    return str(folder / "train.json"), str(folder)


def contents(folder):
    files = [os.path.join(folder, f"{orientation}.png") for orientation in range(1, 9)]
    return [open(file, "rb").read() for file in files]


def assert_rows_alike(array, expected=None):
    expected = array[0] if expected is None else expected
    for row in array:
        np.testing.assert_array_equal(row, expected)


@pytest.mark.parametrize("training", [True, False])
def test_training_and_evaluation_see_one_photo(photos, training):
    settings = ("data.augment.horizontal_flip=0", "train.batch_size=8", "evaluation.batch_size=8")
    config = tiny_config(*settings)
    batch = next(iter(mr.data.from_coco(*photos, config, training=training)))
    assert sorted(batch["image_id"].numpy()) == list(range(1, 9))
    for key in ("image", "size", "gt_boxes", "gt_masks"):
        if key in batch:
            assert_rows_alike(batch[key].numpy())


@on_stack_b
def test_the_saved_model_finds_the_same_objects_in_all_orientations(photos, saved_model):
    source = open_source(saved_model)
    assert source.exif == "apply"
    files = contents(photos[1])
    pictures = [read_image(ImageBytes("x", file), exif=source.exif) for file in files]
    assert_rows_alike(pictures)
    found = source.predict(pictures[:1])[0]
    assert len(found) > 0
    served = tf.saved_model.load(saved_model)
    feature = [tf.train.BytesList(value=[file]) for file in files]
    examples = [
        tf.train.Example(
            features=tf.train.Features(feature={"image/encoded": tf.train.Feature(bytes_list=each)})
        ).SerializeToString()
        for each in feature
    ]
    for name, values in (("image_bytes", files), ("tf_example", examples)):
        outputs = served.signatures[name](**{name: tf.constant(values)})
        outputs = {key: value.numpy() for key, value in outputs.items()}
        assert_rows_alike(outputs["image_size"], [96, 128])
        assert_rows_alike(outputs["num_detections"], len(found))
        boxes = outputs["detection_boxes"][:, : len(found)] * np.tile([96, 128], 2)
        np.testing.assert_allclose(boxes, np.tile(found.boxes, (8, 1, 1)), atol=1e-2)
        for value in outputs.values():
            np.testing.assert_allclose(
                value, np.tile(value[:1], (8,) + (1,) * (value.ndim - 1)), atol=1e-4
            )
    ready = served.signatures["preprocess"](image_bytes=tf.constant(files))
    assert_rows_alike(ready["images"].numpy())
    assert_rows_alike(ready["sizes"].numpy())


@on_stack_a
def test_run_lengths_are_of_the_turned_photo(photos):
    files = contents(photos[1])
    model = mr.MaskRCNN(tiny_config("box_head.score_threshold=0.01").model)
    serve = Servable(model, ExportOptions(masks="rle")).functions["image_bytes"]
    outputs = serve(tf.constant([files[0], files[5]]))
    found = model.predict_images([read_image(ImageBytes("x", files[5]))])[0]
    texts = outputs["detection_masks_rle"][:, : len(found)].numpy()
    assert len(found) > 0 and texts[0].tolist() == texts[1].tolist()
    masks = coco_mask.decode([{"size": [96, 128], "counts": text} for text in texts[1]])
    differing = (masks.transpose(2, 0, 1) != found.masks).sum()
    assert differing <= 1e-3 * found.masks.sum()  # two graphs round differently


def test_a_model_of_stored_pixels_is_served_as_before(photos):
    files = contents(photos[1])
    config = tiny_config("input.exif=ignore").model
    ready = Servable(mr.MaskRCNN(config)).functions["preprocess"](tf.constant(files))
    pixels = [read_image(ImageBytes("x", file), exif="ignore") for file in files]
    for i, image in enumerate(pixels):
        expected, _ = preprocess(image, config.input)
        height, width = ready["sizes"][i].numpy().astype(int)
        assert (height, width) == expected.shape[:2]
        assert ready["image_size"][i].numpy().tolist() == list(image.shape[:2])
        np.testing.assert_allclose(ready["images"][i, :height, :width], expected, atol=1e-4)
    assert sorted({image.shape[:2] for image in pixels}) == [(96, 128), (128, 96)]
