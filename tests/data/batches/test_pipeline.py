"""`data/batches/pipeline.py`: keys, order, epochs, and errors on their way out of tf.data."""

import json
import logging
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.yaml_files import parse_config
from tfmaskrcnn.data import from_coco, from_records, load_coco, read_image, write_shapes
from tfmaskrcnn.errors import InputError, explained
from tfmaskrcnn.ops.images import preprocess

HEIGHT, WIDTH, COUNT = 60, 80, 7
KEYS = {
    "image": (tf.float32, [None, None, 3]),
    "size": (tf.float32, [2]),
    "scale": (tf.float32, [2]),
    "image_id": (tf.int64, []),
    "seed": (tf.int32, [2]),
    "gt_boxes": (tf.float32, [8, 4]),
    "gt_classes": (tf.int32, [8]),
    "gt_masks": (tf.uint8, [8, 112, 112]),
    "gt_valid": (tf.bool, [8]),
    "gt_crowd": (tf.bool, [8]),
}
AUGMENTED = (
    "data.augment.vertical_flip=0.5",
    "data.augment.quarter_turns=true",
    "data.augment.scale=[0.8, 1.6]",
    "data.augment.brightness=0.2",
    "data.augment.contrast=0.2",
)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """(JSON, image folder) of seven images with two to six objects each."""
    folder = str(tmp_path_factory.mktemp("shapes"))
    return write_shapes(folder, COUNT, height=HEIGHT, width=WIDTH, seed=3)


@pytest.fixture(scope="module")
def data(shapes):
    return load_coco(*shapes)


def config_of(*overrides) -> Config:
    small = ["num_classes=3", "input.min_side=96", "input.max_side=160", "data.max_instances=8"]
    base = [f"model.{o}" if not o.startswith("data") else o for o in small]
    return parse_config({}, [*base, "train.batch_size=2", "evaluation.batch_size=2", *overrides])


def same(first, second):
    return all(np.array_equal(first[key], second[key]) for key in KEYS)


def epoch_of(dataset):
    return list(dataset.as_numpy_iterator())


@pytest.mark.parametrize("training", [True, False])
def test_batches_have_the_promised_keys_shapes_and_dtypes(data, training):
    dataset = from_records(data, config_of(), training)
    assert set(dataset.element_spec) == set(KEYS)
    for key, (dtype, shape) in KEYS.items():
        spec = dataset.element_spec[key]
        assert spec.dtype == dtype and spec.shape.as_list()[1:] == shape, key
    batch = next(iter(dataset))
    assert batch["image"].shape == (2, 96, 128, 3)
    np.testing.assert_array_equal(batch["size"], [[96, 128]] * 2)
    np.testing.assert_allclose(batch["scale"], [[1.6, 1.6]] * 2)
    assert dataset.image_names == {i + 1: f"{i + 1:06d}.png" for i in range(COUNT)}


def test_crowds_become_background_when_asked_in_training_alone(data):
    first = [np.arange(len(r.crowd)) == 0 for r in data.records]
    records = [r._replace(crowd=flags) for r, flags in zip(data.records, first)]
    crowded = data._replace(records=records)
    as_background = config_of("data.crowds=background")
    used, plain = (next(iter(from_records(crowded, c, True))) for c in (as_background, config_of()))
    assert plain["gt_crowd"].numpy().any() and not used["gt_crowd"].numpy().any()
    for name in ("gt_boxes", "gt_classes"):
        objects = plain[name][plain["gt_valid"] & ~plain["gt_crowd"]]
        np.testing.assert_array_equal(used[name][used["gt_valid"]], objects)
    assert next(iter(from_records(crowded, as_background, False)))["gt_crowd"].numpy().any()


def test_training_drops_the_last_batch_and_evaluation_keeps_it(data):
    config = config_of()
    train, val = (from_records(data, config, training) for training in (True, False))
    assert len(train) == 3 and len(epoch_of(train)) == 3
    assert len(val) == 4 and [len(b["image_id"]) for b in epoch_of(val)] == [2, 2, 2, 1]


def test_evaluation_keeps_the_order_and_the_image_as_predict_sees_it(data):
    microscopy = ("model.input.stretch_contrast=true", "model.input.invert_bright=true")
    size = ("data.augment.crop=[32, 32]", "model.input.min_side=70")
    config = config_of(*AUGMENTED, *microscopy, *size)
    batches = epoch_of(from_records(data, config, training=False))
    assert np.concatenate([b["image_id"] for b in batches]).tolist() == list(range(1, COUNT + 1))
    expected, scale = preprocess(read_image(data.records[0].path), config.model.input)
    image = batches[0]["image"][0]
    assert image.shape == (96, 96, 3) and expected.shape == (70, 93, 3)
    np.testing.assert_allclose(image[:70, :93], expected, atol=1e-5)
    assert not image[70:].any() and not image[:, 93:].any()
    np.testing.assert_array_equal(batches[0]["scale"][0], scale)
    np.testing.assert_array_equal(batches[0]["size"][0], [70, 93])
    boxes = data.records[0].boxes * np.tile(scale, 2)
    np.testing.assert_allclose(batches[0]["gt_boxes"][0, : len(boxes)], boxes, atol=1e-3)


def test_padding_rows_are_zero_and_invalid(data):
    for batch in epoch_of(from_records(data, config_of(), training=True)):
        for i, image_id in enumerate(batch["image_id"]):
            count = len(data.records[image_id - 1].classes)
            np.testing.assert_array_equal(batch["gt_valid"][i], np.arange(8) < count)
            for key in ("gt_boxes", "gt_classes", "gt_masks"):
                assert not batch[key][i, count:].any()
            assert batch["gt_classes"][i, :count].all()


def test_each_epoch_shows_each_image_once_in_another_order(data):
    dataset = from_records(data, config_of("train.batch_size=1"), training=True)
    orders = [np.concatenate([b["image_id"] for b in epoch_of(dataset)]) for _ in range(4)]
    assert all(sorted(order) == list(range(1, COUNT + 1)) for order in orders)
    assert len({tuple(order) for order in orders}) > 1


def test_a_run_is_a_function_of_the_seed_and_the_epoch(data):
    config = config_of(*AUGMENTED)
    first = from_records(data, config, training=True)
    runs = [epoch_of(first) for _ in range(3)]
    again = from_records(data, config, training=True)
    for run in runs:
        assert all(same(*pair) for pair in zip(run, epoch_of(again)))
    resumed = epoch_of(from_records(data, config, training=True, start_epoch=2))
    assert all(same(*pair) for pair in zip(runs[2], resumed))
    assert not any(same(*pair) for pair in zip(runs[1], runs[2]))
    other = epoch_of(from_records(data, config_of(*AUGMENTED, "train.seed=1"), training=True))
    assert not any(same(*pair) for pair in zip(runs[0], other))


def test_an_image_is_augmented_anew_in_each_epoch(data):
    config = config_of("data.augment.brightness=0.5", "train.batch_size=1")
    dataset = from_records(data, config, training=True)
    means = [
        {int(b["image_id"][0]): b["image"].mean() for b in epoch_of(dataset)} for _ in range(3)
    ]
    for image_id in means[0]:
        assert len({round(float(m[image_id]), 4) for m in means}) == 3


@pytest.mark.parametrize(
    "overrides, shape",
    [
        (["model.input.fixed_size=[128, 192]"], [128, 192]),
        (["data.augment.crop=[50, 70]"], [64, 96]),
        (["data.augment.crop=[50, 70]", "model.input.fixed_size=[96, 96]"], [96, 96]),
    ],
)
def test_a_fixed_size_or_a_crop_makes_the_shape_static(data, overrides, shape):
    dataset = from_records(data, config_of(*overrides), training=True)
    assert dataset.element_spec["image"].shape.as_list() == [2, *shape, 3]
    for batch in epoch_of(dataset):
        for image, size in zip(batch["image"], batch["size"].astype(int)):
            assert not image[size[0] :].any() and not image[:, size[1] :].any()
            assert image[: size[0], : size[1]].any(axis=-1).all()


def test_images_of_several_sizes_share_a_padded_batch(data):
    config = config_of("data.augment.min_sides=[64, 96]", "train.batch_size=7")
    (batch,) = epoch_of(from_records(data, config, training=True))
    assert batch["image"].shape == (7, 96, 128, 3)
    assert {tuple(size) for size in batch["size"]} == {(64, 85), (96, 128)}


def test_crowd_regions_are_valid_rows_and_the_excess_is_dropped_at_random(shapes, tmp_path, caplog):
    with open(shapes[0]) as file:
        coco = json.load(file)
    for annotation in coco["annotations"]:
        annotation["iscrowd"] = int(annotation["id"] % 3 == 0)
    (tmp_path / "set.json").write_text(json.dumps(coco))
    config = config_of("data.max_instances=2", "train.batch_size=7")
    dataset = from_coco(str(tmp_path / "set.json"), shapes[1], config, training=True)
    assert "objects; a random choice is used" in caplog.text
    seen = [epoch_of(dataset)[0] for _ in range(6)]
    assert any(batch["gt_crowd"].any() for batch in seen)
    assert all(batch["gt_valid"][batch["gt_crowd"]].all() for batch in seen)
    chosen = {}
    for batch in seen:
        for i, image_id in enumerate(batch["image_id"]):
            areas = np.diff(batch["gt_boxes"][i].reshape(-1, 2, 2), axis=1).prod(axis=-1)
            chosen.setdefault(image_id, set()).add(tuple(areas.round().reshape(-1).tolist()))
    assert max(map(len, chosen.values())) > 1


def test_an_image_without_objects_passes(shapes, tmp_path):
    with open(shapes[0]) as file:
        coco = json.load(file)
    coco["annotations"] = [a for a in coco["annotations"] if a["image_id"] != 1]
    (tmp_path / "set.json").write_text(json.dumps(coco))
    config = config_of("data.augment.crop=[40, 40]", "train.batch_size=7")
    (batch,) = epoch_of(from_coco(str(tmp_path / "set.json"), shapes[1], config, training=True))
    assert not batch["gt_valid"][batch["image_id"] == 1].any()


@pytest.mark.parametrize(
    "overrides, said",
    [
        (["model.num_classes=5"], "3 categories (circle, square, triangle), but model.num_classes"),
        (
            ["model.class_names=[circle, triangle, square]"],
            "class 2 is 'square', but model.class_names says 'triangle'",
        ),
        (["train.batch_size=8"], "lower train.batch_size from 8 to at most 7"),
        (
            ["model.input.fixed_size=[64, 64]", "data.augment.min_sides=[32]"],
            "augment.min_sides (32,) has no effect with input.fixed_size",
        ),
        (
            ["model.input.fixed_size=[64, 64]", "data.augment.crop=[32, 96]"],
            "augment.crop (32, 96) is larger than input.fixed_size (64, 64)",
        ),
    ],
)
def test_what_does_not_fit_the_configuration_is_named(data, overrides, said):
    with pytest.raises(InputError) as caught:
        from_records(data, config_of(*overrides), training=True)
    assert said in str(caught.value)


def test_training_without_any_object_is_refused(shapes, tmp_path):
    with open(shapes[0]) as file:
        coco = json.load(file)
    (tmp_path / "set.json").write_text(json.dumps({**coco, "annotations": []}))
    with pytest.raises(InputError, match="has no annotated object to train on"):
        from_coco(str(tmp_path / "set.json"), shapes[1], config_of(), training=True)
    assert len(from_coco(str(tmp_path / "set.json"), shapes[1], config_of(), training=False)) == 4


def test_a_damaged_image_is_named_through_tf_data(shapes, tmp_path, caplog):
    caplog.set_level(logging.CRITICAL)
    with open(shapes[0]) as file:
        coco = json.load(file)
    for entry in coco["images"]:
        entry["file_name"] = os.path.join(shapes[1], entry["file_name"])
    coco["images"][3]["file_name"] = "broken.png"
    (tmp_path / "broken.png").write_bytes(b"")
    (tmp_path / "set.json").write_text(json.dumps(coco))
    dataset = from_coco(str(tmp_path / "set.json"), str(tmp_path), config_of(), training=False)
    with pytest.raises(tf.errors.OpError) as caught:
        dataset.reduce(0, lambda count, _: count + 1)  # a graph goes through it, as in fit
    found = explained(caught.value, {})
    assert isinstance(found, InputError)
    expected = f"{tmp_path}/broken.png is empty (0 bytes); wanted a JPEG, PNG, TIFF or BMP file."
    assert str(found) == expected


@pytest.mark.parametrize(
    "way",
    [
        lambda batches: list(batches),
        lambda batches: next(iter(batches.skip(1))),
        lambda batches: list(batches.take(9).prefetch(2)),
        lambda batches: list(batches.map(lambda batch: batch["image"])),
        lambda batches: list(batches.as_numpy_iterator()),
        lambda batches: list(batches.repeat(2).unbatch()),
    ],
)
def test_whoever_iterates_by_hand_gets_the_sentence_alone(shapes, tmp_path, way):
    with open(shapes[0], encoding="utf-8") as file:
        coco = json.load(file)
    for image in coco["images"]:
        image["file_name"] = os.path.join(shapes[1], image["file_name"])
    coco["images"][3]["file_name"] = "broken.png"
    (tmp_path / "broken.png").write_bytes(b"")
    path = tmp_path / "set.json"
    path.write_text(json.dumps(coco), encoding="utf-8")
    batches = from_coco(str(path), str(tmp_path), config_of(), training=False)
    with pytest.raises(
        InputError, match=r"^/.*broken.png is empty \(0 bytes\); wanted a JPEG"
    ) as e:
        way(batches)
    assert e.value.__cause__ is None and "Traceback" not in str(e.value)


def test_keras_fit_sees_the_next_epoch_at_each_epoch(data):
    seen = []

    class Recorder(keras.Model):
        def train_step(self, batch):
            seen.extend(batch["image_id"].numpy().tolist())
            return {"loss": tf.constant(0.0)}

    config = config_of()
    expected = []
    for epoch in (2, 3, 4):
        for batch in epoch_of(from_records(data, config, training=True, start_epoch=epoch)):
            expected.extend(batch["image_id"].tolist())
    model = Recorder()
    model.built = True
    model.compile(optimizer="sgd", run_eagerly=True, jit_compile=False)
    dataset = from_records(data, config, training=True, start_epoch=2)
    model.fit(dataset, epochs=5, initial_epoch=2, verbose=0)
    assert seen == expected


def test_without_a_mask_branch_batches_have_no_masks_and_the_same_boxes(shapes, tmp_path):
    json_path, image_dir = shapes
    with open(json_path, encoding="utf-8") as file:
        coco = json.load(file)
    for entry in coco["annotations"]:
        del entry["segmentation"]
    boxes_alone = tmp_path / "boxes.json"
    boxes_alone.write_text(json.dumps(coco))
    expected = next(iter(from_coco(json_path, image_dir, config_of(), training=False)))
    config = config_of("mask_head.enabled=false")
    found = next(iter(from_coco(str(boxes_alone), image_dir, config, training=False)))
    assert set(found) == set(expected) - {"gt_masks"}
    for name in found:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


@pytest.mark.parametrize("training", [True, False])
def test_nothing_waits_for_the_autotuner_when_the_data_end(data, training):
    # Its thread sleeps 10 ms, 20 ms, ... up to a minute and is not woken: 30 s of a range with a
    # sleep of 0.5 s each were followed by 11 s of waiting for it, on TensorFlow 2.15 and 2.21, with
    # plain Keras models too. A test of seconds would have to last as long.
    options = from_records(data, config_of(), training).options()
    assert options.autotune.enabled is False
    assert options.deterministic
