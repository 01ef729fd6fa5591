"""`train/validation.py` on a tiny model; `test_loop.py`, `test_kills.py` have whole runs."""

import json
import types

import keras
import numpy as np
import pytest

import tfmaskrcnn as mr
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.data import from_coco
from tfmaskrcnn.data.coco.records import CocoData, Record
from tfmaskrcnn.data.coco.renumbering import as_classes
from tfmaskrcnn.model.weights import named_weights
from tfmaskrcnn.train.distribution import Workers
from tfmaskrcnn.train.validation import ValidationLoss

SETTINGS = ("fpn.norm=bn", "data.augment.crop=[64, 64]")  # smaller than what is evaluated


@pytest.fixture(scope="module")
def val(tmp_path_factory):
    """(json, images): five of one size, one without objects, one with a crowd."""
    json_path, images = tiny_data(tmp_path_factory.mktemp("val"), 5, seed=2, num_objects=(2, 4))
    with open(json_path, encoding="utf-8") as file:
        coco = json.load(file)
    crowded, empty = coco["images"][1]["id"], coco["images"][3]["id"]
    coco["annotations"] = [a for a in coco["annotations"] if a["image_id"] != empty]
    next(a for a in coco["annotations"] if a["image_id"] == crowded)["iscrowd"] = 1
    with open(json_path, "w", encoding="utf-8") as file:
        json.dump(coco, file)
    return json_path, images


def config_for(val, *overrides):
    return tiny_config(
        f"data.val_json={val[0]}", f"data.val_images={val[1]}", *SETTINGS, *overrides
    )


@pytest.fixture(scope="module")
def model(val):
    keras.utils.set_random_seed(0)
    model = mr.MaskRCNN(config_for(val))
    model.compile(keras.optimizers.SGD(0.001), ema=0.5, run_eagerly=True)
    return model


@pytest.fixture(scope="module")
def losses_of(val, model):
    """A function that makes a `ValidationLoss` of `model`; the graph is built once for all."""
    graphs = []

    def make(*overrides, workers=None, source=val):
        evaluation = types.SimpleNamespace(results={2: None}, prefix="val_", progress=None)
        made = ValidationLoss(config_for(source, *overrides), evaluation, workers)
        made.set_model(model)
        graphs.append(graphs[0] if graphs else made._graph())
        made._terms = graphs[0]
        return made

    return make


def test_each_loss_is_its_sum_over_its_count_of_all_images(losses_of):
    losses, totals, counts = losses_of(), {}, {}
    for batch in losses._batches:  # an image each
        for name, (of_replica,) in losses._terms([batch]).items():
            total, count = of_replica.numpy()
            totals[name] = totals.get(name, 0.0) + float(total)
            counts[name] = counts.get(name, 0.0) + float(count)
    expected = {name: total / counts[name] for name, total in totals.items()}
    found = losses.compute()
    assert found == pytest.approx({"loss": sum(expected.values()), **expected}, rel=1e-9)
    assert found["mask_loss"] > 0 and counts["mask_loss"] < counts["cls_loss"]


def test_it_repeats_to_the_bit_and_leaves_the_model_as_it_is(losses_of, model):
    before = {name: weight.numpy() for name, weight in named_weights(model).items()}
    first = losses_of()
    assert first.compute() == first.compute() == losses_of().compute()
    for name, weight in named_weights(model).items():
        np.testing.assert_array_equal(weight.numpy(), before[name], err_msg=name)


def test_it_does_not_depend_on_the_size_of_batches_nor_on_whether_keras_computes_it(
    losses_of, model, val
):
    expected = pytest.approx(losses_of().compute(), rel=1e-5)
    three_and_two = config_for(val, "evaluation.batch_size=3")
    assert losses_of("evaluation.batch_size=3").compute() == expected
    batches = from_coco(*val, three_and_two, training=False)
    assert model.evaluate(batches, verbose=0, return_dict=True) == expected


def test_it_is_of_the_average_of_the_weights(losses_of, model):
    losses, average = losses_of(), model.average
    plain = losses.compute()
    average.update()
    bias = average.averages["box_head/class_logits/bias"]
    bias.assign(bias + np.float32([2, 0, 0, 0]))
    found = losses.compute()
    average.steps.assign(0)  # then it is of nothing
    assert found["cls_loss"] != plain["cls_loss"]
    assert found["rpn_cls_loss"] == plain["rpn_cls_loss"]  # of weights that are the same
    assert losses.compute() == plain


class InTurn(Workers):
    """One of two workers that compute one after the other; `parts` is what they gave."""

    def __init__(self, index, parts):
        super().__init__()
        self.index, self.count, self.parts = index, 2, parts

    def agree(self, function):
        return function()

    def gather(self, content):
        self.parts.append(content)
        return self.parts


def test_two_workers_with_three_and_two_images_get_the_loss_of_one(losses_of):
    parts = []
    losses_of(workers=InTurn(0, parts)).compute()
    found = losses_of(workers=InTurn(1, parts)).compute()
    assert found == pytest.approx(losses_of().compute(), rel=1e-9)


def test_it_is_in_the_logs_of_epochs_that_are_evaluated(losses_of, model):
    losses, first, second, told = losses_of("data.limit=2"), {}, {}, []
    losses._evaluation.progress = lambda *numbers: told.append(numbers)
    losses.on_epoch_end(0, first)
    losses.on_epoch_end(1, second)
    assert first == {} and set(second) == {f"val_{name}" for name in model.loss_means}
    assert told == [(1, 2), (2, 2)]


def test_an_image_that_cannot_be_read_is_named(losses_of, val, tmp_path):
    with open(val[0], encoding="utf-8") as file:
        names = [image["file_name"] for image in json.load(file)["images"]]
    for name in names:
        (tmp_path / name).write_bytes(b"no image")
    with pytest.raises(mr.InputError, match=names[0]):
        losses_of(source=(val[0], str(tmp_path))).compute()


def test_classes_are_found_by_name_and_unknown_ones_left_out():
    record = Record(
        *(1, "a.png", "a.png", 8, 8),
        boxes=np.arange(12, dtype=np.float32).reshape(3, 4),
        classes=np.int32([1, 2, 3]),
        crowd=np.array([False, True, True]),
        segmentations=["x", "y", "z"],
        annotation_ids=[7, 8, 9],
        keypoints=np.arange(9.0).reshape(3, 1, 3),
    )
    data = CocoData([record], ("dog", "yak", "ant"), (4, 5, 6), "val.json")
    assert as_classes(data, ("dog", "yak", "ant")) is as_classes(data, ()) is data
    found = as_classes(data, ("ant", "bee", "dog"))
    (kept,) = found.records
    assert found.class_names == ("ant", "bee", "dog") and kept.classes.tolist() == [3, 1]
    assert kept.boxes[:, 0].tolist() == [0, 8] and kept.crowd.tolist() == [False, True]
    assert kept.segmentations == ["x", "z"] and kept.annotation_ids == [7, 9]
    assert kept.keypoints[:, 0, 0].tolist() == [0, 6]
