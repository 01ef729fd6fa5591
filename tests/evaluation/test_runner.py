"""`evaluation/runner.py`: every kind of source, and the SavedModel's names and units."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from pycocotools import mask as coco_mask

from helpers.ideal_detector import drawn_shapes, ideal_source
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.evaluation import evaluate
from tfmaskrcnn.inference.exported import saved_model_predictor
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.support.progress_bar import progress_bar


class Served(tf.Module):
    """One 40 x 60 box at a place that the image's first pixel sets, class 2, then a padding row."""

    def __init__(self, batch=None):
        """Take batches of a fixed size, or any."""
        super().__init__()
        spec = tf.TensorSpec([batch, None, None, 3], tf.uint8)
        self.serve = tf.function(self._serve, input_signature=[spec])
        self.score = tf.Variable(0.75)  # lost if the predictor does not keep the model alive

    def _serve(self, images):
        count = tf.shape(images)[0]
        size = tf.cast(tf.shape(images)[1:3], tf.float32)
        corner = tf.cast(images[:, 0, 0, :2], tf.float32)  # [B, 2] y1, x1 in pixels
        boxes = tf.concat([corner / size, (corner + [40.0, 60.0]) / size], axis=-1)
        rows = tf.stack([boxes, tf.zeros_like(boxes)], axis=1)  # [B, 2, 4]
        return {
            "detection_boxes": rows,
            "detection_scores": tf.repeat([[self.score, 0.0]], count, axis=0),
            "detection_classes": tf.repeat([[2.0, 0.0]], count, axis=0),
            "num_detections": tf.ones([count]),
            "detection_masks": tf.ones([count, 2, 28, 28]),
        }


@pytest.fixture(scope="module")
def saved_models(tmp_path_factory):
    """Folders of models for any batch and for batches of two."""
    paths = {}
    for batch in (None, 2):
        module = Served(batch)
        paths[batch] = str(tmp_path_factory.mktemp("saved"))
        tf.saved_model.save(module, paths[batch], signatures={"serving_default": module.serve})
    return paths


def images_of(places, size=(100, 150)):
    images = [np.zeros((*size, 3), np.uint8) for _ in places]
    for image, place in zip(images, places):
        image[0, 0, :2] = place
    return images


def named_predictor(coco_set):
    """Finds everything; the fabricated image's grey value is its id."""
    return lambda images: [coco_set.perfect(int(image[0, 0, 0])) for image in images]


def test_a_function_is_evaluated_on_the_images_of_the_set(coco_set):
    result = evaluate(named_predictor(coco_set), coco_set.json_path, coco_set.image_dir)
    assert result.masks["AP"] == 1.0 and result.num_images == 3


def test_an_object_with_predict_images_is_a_source(coco_set):
    class Model:
        def predict_images(self, images):
            return named_predictor(coco_set)(images)

    result = evaluate(Model(), coco_set.json_path, coco_set.image_dir)
    assert result.boxes["AP"] == 1.0


@pytest.mark.parametrize("batch_size, expected", [(1, [1, 1, 1]), (2, [2, 1]), (5, [3])])
def test_batches_reach_the_source_and_its_own_batching(coco_set, batch_size, expected):
    sizes = []

    class Model:
        def predict_images(self, images, score_threshold=None, batch_size=1):
            assert batch_size == len(images)
            sizes.append(len(images))
            return named_predictor(coco_set)(images)

    done = []
    result = evaluate(
        Model(),
        coco_set.json_path,
        coco_set.image_dir,
        batch_size=batch_size,
        progress=lambda *numbers: done.append(numbers),
    )
    assert sizes == expected and result.masks["AP"] == 1.0
    assert done == [(n, 3) for n in np.cumsum(expected)]


def test_a_limit_takes_the_first_images(coco_set):
    result = evaluate(named_predictor(coco_set), coco_set.json_path, coco_set.image_dir, limit=2)
    assert result.num_images == 2 and result.masks["AP"] == 1.0


def test_max_detections_are_passed_on(coco_set):
    result = evaluate(
        named_predictor(coco_set), coco_set.json_path, coco_set.image_dir, max_detections=(1, 2, 3)
    )
    assert "AR3" in result.masks and result.masks["AP"] < 1.0


def test_an_image_of_another_size_than_annotated_is_refused(coco_set):
    coco_set.raw["images"][0]["width"] = 200
    for entry in coco_set.raw["annotations"][:6]:
        entry["segmentation"] = [[5, 5, 50, 5, 50, 50, 5, 50]]
    coco_set.write()
    with pytest.raises(InputError, match="10.png"):
        evaluate(named_predictor(coco_set), coco_set.json_path, coco_set.image_dir)


def test_other_sources_are_refused(coco_set):
    with pytest.raises(InputError, match="Cannot evaluate a int; wanted a function"):
        evaluate(3, coco_set.json_path, coco_set.image_dir)
    with pytest.raises(InputError, match="The source gives a NoneType, wanted Instances"):
        evaluate(lambda images: [None], coco_set.json_path, coco_set.image_dir)
    with pytest.raises(ValueError, match="2 results for 1 images"):
        evaluate(lambda images: [1, 2], coco_set.json_path, coco_set.image_dir)


@pytest.mark.parametrize("batch", [None, 2])
def test_a_saved_model_gives_instances_in_pixels(saved_models, batch):
    predict = saved_model_predictor(saved_models[batch])
    places = [(10, 20), (30, 40), (5, 6)]
    found = predict(images_of(places))
    assert [len(f) for f in found] == [1, 1, 1]  # num_detections: the padding row is gone
    for (y, x), instances in zip(places, found):
        assert isinstance(instances, Instances) and instances.size == (100, 150)
        np.testing.assert_allclose(instances.boxes, [[y, x, y + 40, x + 60]], atol=1e-4)
        assert instances.classes.tolist() == [2] and instances.scores.tolist() == [0.75]
        assert instances.masks.sum() == 40 * 60


@pytest.mark.parametrize("batch", [None, 2])
def test_a_saved_model_takes_images_of_several_sizes(saved_models, batch):
    predict = saved_model_predictor(saved_models[batch])
    images = images_of([(1, 2)], (80, 90)) + images_of([(3, 4), (5, 6)], (100, 150))
    found = predict(images)
    assert [f.size for f in found] == [(80, 90), (100, 150), (100, 150)]
    for (y, x), instances in zip([(1, 2), (3, 4), (5, 6)], found):
        np.testing.assert_allclose(instances.boxes, [[y, x, y + 40, x + 60]], atol=1e-4)
    assert predict([]) == []


def test_the_configuration_in_a_saved_model_says_how_masks_are_pasted(saved_models):
    path = os.path.join(saved_models[None], "assets", "config.json")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    for text, rule in (('{"mask_head": {"paste_rule": "torchvision"}}', "torchvision"), ("", None)):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        (found,) = saved_model_predictor(saved_models[None])(images_of([(1, 2)]))
        assert found.paste_rule == (rule or "aligned")
        (found,) = saved_model_predictor(saved_models[None], "aligned")(images_of([(1, 2)]))
        assert found.paste_rule == "aligned"


def test_a_saved_model_folder_is_a_source(saved_models, coco_set):
    result = evaluate(saved_models[None], coco_set.json_path, coco_set.image_dir, batch_size=2)
    assert result.num_detections == 3 and 0 <= result.masks["AP"] < 0.5


def test_a_saved_model_is_evaluated_without_keras(saved_models, coco_set):
    # TensorFlow imports Keras by itself; from then on `import keras` fails.
    program = (
        "import sys, tensorflow; sys.modules['keras'] = None; import tfmaskrcnn.evaluation as e; "
        f"paths = {saved_models[None]!r}, {coco_set.json_path!r}, {coco_set.image_dir!r}; "
        "print(e.evaluate(*paths).num_images)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.split() == ["3"], run.stdout + run.stderr


def test_a_folder_without_a_fitting_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="is no SavedModel that TensorFlow can load"):
        saved_model_predictor(str(tmp_path / "absent"))

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
    def other(x):
        return {"y": x}

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")])
    def short(images):
        return {"detection_boxes": tf.zeros([1, 2, 4])}

    wrong = {"other": (other, r"takes \['x'\]"), "short": (short, "gives no 'detection_scores'")}
    for name, (function, message) in wrong.items():
        path = str(tmp_path / name)
        tf.saved_model.save(tf.Module(), path, signatures={"serving_default": function})
        with pytest.raises(InputError, match=message):
            saved_model_predictor(path)
    tf.saved_model.save(tf.Module(), str(tmp_path / "none"))
    with pytest.raises(InputError, match="serving_default is missing"):
        saved_model_predictor(str(tmp_path / "none"))


@pytest.mark.parametrize("terminal", [True, False])
def test_the_progress_bar_shows_what_evaluate_reports_on_a_terminal_alone(
    coco_set, capsys, monkeypatch, terminal
):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")  # then rich takes stderr for one
    with progress_bar("measuring") as progress:
        predict = named_predictor(coco_set)
        evaluate(predict, coco_set.json_path, coco_set.image_dir, progress=progress)
    shown = capsys.readouterr()
    assert ("measuring" in shown.err) == terminal and shown.out == ""


def test_results_do_not_depend_on_the_batch_size(coco_set):
    def predict(images):
        return [coco_set.noisy(int(image[0, 0, 0]), 4) for image in images]

    paths = coco_set.json_path, coco_set.image_dir
    assert json.loads(evaluate(predict, *paths, batch_size=3).to_json()) == json.loads(
        evaluate(predict, *paths, batch_size=1).to_json()
    )


@pytest.mark.parametrize(
    "options, message",
    [
        ({"batch_size": 0}, "batch_size is 0; wanted a whole number above 0"),
        ({"limit": -1}, "limit is -1; wanted a whole number above 0"),
        ({"kaggle_threshold": float("nan")}, "kaggle_threshold is nan; wanted 0 to 1"),
        ({"limits": 1}, "There is no option 'limits'; wanted max_detections, "),
    ],
)
def test_wrong_options_are_refused_before_anything_is_read(options, message):
    with pytest.raises(InputError, match=message):
        evaluate(list, "gone.json", "gone", **options)


def write_drawn(folder, image, labels):
    """A COCO set of one drawn picture; its JSON."""
    objects = []
    for number in range(1, labels.max() + 1):
        mask = labels == number
        rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
        objects.append(
            {
                "id": number,
                "image_id": 1,
                "category_id": int(image[..., 0][mask][0]),
                "bbox": coco_mask.toBbox(rle).tolist(),
                "area": int(mask.sum()),
                "iscrowd": 0,
                "segmentation": {"size": list(labels.shape), "counts": rle["counts"].decode()},
            }
        )
    height, width = labels.shape
    images = [{"id": 1, "file_name": "a.png", "height": height, "width": width}]
    categories = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    content = {"images": images, "annotations": objects, "categories": categories}
    (folder / "a.json").write_text(json.dumps(content))
    Image.fromarray(image).save(folder / "a.png")
    return str(folder / "a.json")


def test_a_large_image_is_evaluated_in_tiles(tmp_path):
    image, labels = drawn_shapes(np.random.default_rng(3), (250, 300), 20)
    path, predict = write_drawn(tmp_path, image, labels), ideal_source(3).predict

    def near_sighted(images):
        assert max(side for part in images for side in part.shape[:2]) <= 256  # the overview
        return predict(images)

    found = evaluate(near_sighted, path, str(tmp_path), tile=128, overlap=40)
    assert found.masks["AP"] > 0.99
    with pytest.raises(InputError, match="a function does not tell"):
        evaluate(near_sighted, path, str(tmp_path), tile="auto")
    with pytest.raises(InputError, match="The tile size is 3"):
        evaluate(near_sighted, path, str(tmp_path), tile=3)
