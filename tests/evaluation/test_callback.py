"""`evaluation/callback.py` in real `fit` calls of a tiny model, on whichever Keras is installed."""

import contextlib
import csv
import json

import keras
import numpy as np
import pytest

import tfmaskrcnn.evaluation
from tfmaskrcnn.config.yaml_files import parse_config
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.evaluation.callback import CocoCallback
from tfmaskrcnn.evaluation.coco_evaluator import CocoEvaluator
from tfmaskrcnn.instances import Instances

KEYS = [f"val_{kind}_{name}" for kind in ("mask", "box") for name in ("ap", "ap50", "ap75")]
X, Y = np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)


class Student(keras.Model):
    """Finds the objects of the first n images, n rising by one with every evaluation of the set."""

    def __init__(self, coco_set, skill=(1, 2, 3, 3, 3)):
        super().__init__()
        self.dense = keras.layers.Dense(1)
        self.known, self.skill, self.calls = coco_set, skill, 0
        self.compile(optimizer="sgd", loss="mse")

    def call(self, x):
        return self.dense(x)

    def predict_images(self, images, score_threshold=None, batch_size=1):
        found = []
        for image in images:
            ids = self.known.image_ids
            able = ids[: self.skill[min(self.calls // len(ids), len(self.skill) - 1)]]
            image_id = int(image[0, 0, 0])
            none = Instances(boxes=[], scores=[], classes=[], size=image.shape[:2])
            found.append(self.known.perfect(image_id) if image_id in able else none)
            self.calls += 1
        return found


def callback_of(coco_set, config=None, **options):
    return CocoCallback(coco_set.json_path, coco_set.image_dir, config, **options)


def fit(model, callbacks, epochs):
    return model.fit(X, Y, epochs=epochs, verbose=0, callbacks=callbacks).history


def test_history_holds_the_numbers_of_every_epoch(coco_set):
    callback = callback_of(coco_set)
    history = fit(Student(coco_set), [callback], 3)
    assert set(KEYS) < set(history) and list(callback.results) == [1, 2, 3]
    for epoch, result in callback.results.items():
        assert history["val_mask_ap"][epoch - 1] == result.masks["AP"]
        assert history["val_box_ap50"][epoch - 1] == result.boxes["AP50"]
    first, second, third = history["val_mask_ap"]
    assert 0 < first < second < third == 1.0


class Averaged(Student):
    """Finds everything while its average is in place, and nothing else."""

    @contextlib.contextmanager
    def averaged(self):
        self.skill = (9,)
        yield
        self.skill = (0,)


def test_the_average_of_the_weights_is_what_is_evaluated(coco_set):
    model = Averaged(coco_set, (0,))
    assert fit(model, [callback_of(coco_set)], 2)["val_mask_ap"] == [1.0, 1.0]
    assert model.skill == (0,)


def test_every_second_epoch_and_the_last_are_evaluated_and_others_repeat(coco_set):
    callback = callback_of(coco_set, every=2)
    history = fit(Student(coco_set), [callback], 5)
    assert list(callback.results) == [2, 4, 5]
    second, fourth, fifth = (r.masks["AP"] for r in callback.results.values())
    assert history["val_mask_ap"] == [0.0, second, second, fourth, fifth]
    assert second < fourth < fifth


def test_the_csv_file_has_all_columns_in_every_row(coco_set, tmp_path):
    path = str(tmp_path / "log.csv")
    fit(Student(coco_set), [callback_of(coco_set, every=2), keras.callbacks.CSVLogger(path)], 4)
    with open(path, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 and set(KEYS) < set(rows[0])
    values = np.array([[float(row[key]) for key in KEYS] for row in rows])
    assert np.isfinite(values).all() and (values[3] == 1.0).sum() == 0 < (values[3] > 0.5).sum()


def test_a_checkpoint_is_kept_for_the_best_ap_only(coco_set, tmp_path):
    path = str(tmp_path / "best-{epoch}.weights.h5")
    checkpoint = keras.callbacks.ModelCheckpoint(
        path, monitor="val_mask_ap", mode="max", save_best_only=True, save_weights_only=True
    )
    model = Student(coco_set, skill=(1, 2, 0, 2, 3))
    fit(model, [callback_of(coco_set), checkpoint], 5)
    saved = sorted(p.name for p in tmp_path.glob("best-*"))
    assert saved == [f"best-{epoch}.weights.h5" for epoch in (1, 2, 5)]


def test_early_stopping_sees_the_numbers(coco_set):
    stop = keras.callbacks.EarlyStopping(monitor="val_mask_ap", mode="max", patience=2)
    history = fit(Student(coco_set, skill=(2, 1)), [callback_of(coco_set), stop], 9)
    assert len(history["val_mask_ap"]) == 3


def test_the_configuration_sets_limits_batch_size_and_prefix(coco_set):
    config = parse_config(
        {
            "evaluation": {"max_detections": [1, 2, 3], "batch_size": 2},
            "model": {"num_classes": 2, "class_names": ["leaf", "plum"]},
        }
    )
    callback = callback_of(coco_set, config, prefix="coco/")
    history = fit(Student(coco_set, skill=(3,)), [callback], 1)
    assert "AR3" in callback.results[1].masks
    assert history["coco/mask_ap"][0] == callback.results[1].masks["AP"] < 1.0


def test_wrong_data_stop_before_the_training(coco_set):
    config = parse_config({"model": {"num_classes": 2, "class_names": ["leaf", "pear"]}})
    with pytest.raises(InputError, match="does not know the categories of .*plum"):
        callback_of(coco_set, config)
    with pytest.raises(InputError, match="absent.json"):
        CocoCallback("absent.json", coco_set.image_dir)
    with pytest.raises(ValueError, match="every is 0"):
        callback_of(coco_set, every=0)


def test_the_package_offers_the_callback():
    assert tfmaskrcnn.evaluation.CocoCallback is CocoCallback
    with pytest.raises(AttributeError, match="Nothing"):
        tfmaskrcnn.evaluation.Nothing  # noqa: B018


def test_a_model_without_a_mask_branch_logs_box_numbers_alone(coco_set):
    for entry in coco_set.raw["annotations"]:
        del entry["segmentation"]
    coco_set.write()
    student = Student(coco_set)
    student.mask_head = None
    history = fit(student, [callback_of(coco_set)], epochs=2)
    assert [key for key in history if key.startswith("val_")] == KEYS[3:]
    assert history["val_box_ap"][1] > history["val_box_ap"][0] > 0


def test_a_model_of_masks_is_not_judged_by_boxes(coco_set):
    for entry in coco_set.raw["annotations"]:
        del entry["segmentation"]
    coco_set.write()
    with pytest.raises(InputError, match="mask_head.enabled=false"):
        callback_of(coco_set, parse_config({"model": {"num_classes": 2}}))


class OneOfTwo:
    """Stands for `train.distribution.Workers` of two replicas; `parts` is what was gathered."""

    count, local_replicas = 2, 2

    def __init__(self, index, parts):
        self.index, self.parts, self.seen = index, parts, []

    def predictor(self, model, batch_size):
        def predict(images):
            self.seen.append([int(image[0, 0, 0]) for image in images])
            return model.predict_images(images)

        return predict

    def agree(self, function):
        return function()

    def gather(self, content):
        self.parts.append(content)
        return self.parts


@pytest.mark.parametrize("num_images", [3, 4, 5, 7, 9])
def test_workers_evaluate_their_groups_and_merge_what_all_found(make_coco_set, num_images):
    coco_set = make_coco_set(num_images=num_images)
    ids = coco_set.image_ids

    class Noisy(Student):
        def predict_images(self, images, score_threshold=None, batch_size=1):
            return [coco_set.noisy(int(image[0, 0, 0]), 3) for image in images]

    model, parts, seen = Noisy(coco_set), [], []
    for index in (0, 1):
        workers = OneOfTwo(index, parts)
        callback = callback_of(coco_set, workers=workers)
        callback.set_model(model)
        result = callback.evaluate()
        seen.append(workers.seen)
    groups = [ids[i : i + 2] for i in range(0, num_images, 2)]  # an image for each replica
    assert seen == [groups[0::2], groups[1::2]]
    callback = callback_of(coco_set)
    callback.set_model(model)
    assert result == callback.evaluate() and result.num_images == num_images


def test_merged_parts_keep_the_order_of_the_images(coco_set):
    parts = []
    for image_id in reversed(coco_set.image_ids):
        evaluator = CocoEvaluator(coco_set.json_path)
        evaluator.add(image_id, coco_set.perfect(image_id))
        parts.append(json.loads(json.dumps(evaluator.collected())))
    whole = CocoEvaluator(coco_set.json_path)
    whole.merge(parts, coco_set.image_ids)
    assert [i for i, _ in whole.collected()["results"]] == coco_set.image_ids
    assert whole.result().masks["AP"] == 1.0
