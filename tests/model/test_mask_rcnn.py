import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfmaskrcnn as mr
from helpers.one_stack import on_stack_a, on_stack_b
from helpers.tiny import tiny_config, tiny_data
from tfmaskrcnn.data import from_coco, read_image, write_shapes
from tfmaskrcnn.evaluation import evaluate
from tfmaskrcnn.model.losses import BOX_LOSS_NAMES, MASK_LOSS_NAMES
from tfmaskrcnn.model.weights import named_weights
from tfmaskrcnn.train import make_optimizer

NAMES = BOX_LOSS_NAMES + MASK_LOSS_NAMES


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_data(tmp_path_factory.mktemp("shapes"))


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return mr.MaskRCNN(tiny_config().model)


def weights_of(model):
    return {name: variable.numpy() for name, variable in named_weights(model).items()}


def set_weights(model, values):
    for name, variable in named_weights(model).items():
        variable.assign(values[name])


def random_image(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_fit_logs_every_loss_and_changes_the_weights(data):
    config = tiny_config()
    model = mr.MaskRCNN(config.model)
    before = weights_of(model)
    model.compile(make_optimizer(config.train, 2))
    train = from_coco(*data, config, training=True)
    validation = from_coco(*data, config, training=False)
    history = model.fit(train, validation_data=validation, epochs=2, verbose=0).history
    for name in ("loss", *NAMES):
        assert np.isfinite(history[name]).all() and np.isfinite(history[f"val_{name}"]).all()
    total = sum(history[name][0] for name in NAMES)
    np.testing.assert_allclose(history["loss"][0], total, rtol=1e-4)
    changed = {n for n, v in weights_of(model).items() if not np.array_equal(v, before[n])}
    assert changed == set(before)  # trained BN: its statistics move too


def test_frozen_stages_and_frozen_norms_stay_as_they_are(data):
    config = tiny_config("backbone={name: resnet18, norm: frozen_bn, freeze_at: 2}")
    model = mr.MaskRCNN(config.model)
    before = weights_of(model)
    model.compile(make_optimizer(config.train, 2))
    model.fit(from_coco(*data, config, training=True), epochs=1, verbose=0)
    changed = {n for n, v in weights_of(model).items() if not np.array_equal(v, before[n])}
    assert not [n for n in changed if "norm" in n]
    assert not [n for n in changed if n.startswith(("backbone/stem", "backbone/res2"))]
    assert "backbone/res3/0/conv1/kernel" in changed


def test_a_plain_keras_optimizer_will_do(data):
    config = tiny_config()
    model = mr.MaskRCNN(config)  # a whole Config is taken as well
    model.compile(keras.optimizers.SGD(0.001, momentum=0.9), run_eagerly=True)
    history = model.fit(from_coco(*data, config, training=True), epochs=1, verbose=0).history
    assert np.isfinite(history["loss"][0])
    numbers = model.evaluate(from_coco(*data, config, training=False), verbose=0, return_dict=True)
    assert set(numbers) >= {"loss", *NAMES}


def test_a_batch_of_images_without_objects_trains_and_has_no_box_or_mask_loss(tmp_path):
    folder = tmp_path / "empty"
    json_path, images = tiny_data(folder, num_images=2, num_objects=(0, 0))
    full_json, full_images = tiny_data(tmp_path / "full", num_images=1)
    config = tiny_config("train.batch_size=1")
    batch = next(iter(from_coco(full_json, full_images, config, training=True)))
    empty = dict(batch)
    for name in ("boxes", "classes", "masks", "valid", "crowd"):
        empty[f"gt_{name}"] = tf.zeros_like(batch[f"gt_{name}"])
    model = mr.MaskRCNN(config.model)
    model.compile(make_optimizer(config.train, 2), run_eagerly=True)
    logs = model.train_on_batch(empty, return_dict=True)
    assert np.isfinite(logs["loss"]) and logs["rpn_cls_loss"] > 0
    assert logs["box_loss"] == logs["mask_loss"] == logs["rpn_box_loss"] == 0
    with pytest.raises(mr.InputError, match="no annotated object"):
        from_coco(json_path, images, config, training=True)


def test_rows_of_padding_change_no_loss(data, model):
    config = tiny_config()
    batch = next(iter(from_coco(*data, config, training=False)))
    garbage = dict(batch)
    invalid = ~batch["gt_valid"]
    garbage["gt_boxes"] = tf.where(invalid[..., None], 55.0, batch["gt_boxes"])
    garbage["gt_classes"] = tf.where(invalid, 2, batch["gt_classes"])
    garbage["gt_masks"] = tf.where(
        invalid[..., None, None], tf.constant(1, tf.uint8), batch["gt_masks"]
    )
    clean = model.loss_terms(_seeded(batch), training=False)
    dirty = model.loss_terms(_seeded(garbage), training=False)
    for name in NAMES:
        np.testing.assert_array_equal(clean[name].total, dirty[name].total)


def test_the_mask_head_sees_fewer_rois_with_the_same_loss_and_gradient(data, model, monkeypatch):
    batch = _seeded(next(iter(from_coco(*data, tiny_config(), training=True))))
    box_config = model.config.box_head.model_copy(update={"samples_per_image": 256})
    config = model.config.model_copy(update={"box_head": box_config})
    monkeypatch.setattr(model, "config", config)
    seen, found = [], []
    head = model.mask_head.call
    monkeypatch.setattr(
        model.mask_head, "call", lambda x, **flags: seen.append(x.shape[1]) or head(x, **flags)
    )
    weights = model.mask_head.trainable_variables
    for compiled in (None, object()):
        monkeypatch.setattr(model, "_xla", compiled, raising=False)
        monkeypatch.setattr(model, "part", lambda _, function: function)
        with tf.GradientTape() as tape:
            loss = model.loss_terms(batch, training=False)["mask_loss"].total
        found.append([loss.numpy(), *(g.numpy() for g in tape.gradient(loss, weights))])
    assert seen[0] < seen[1] == 64
    for few, all_rows in zip(*found):
        np.testing.assert_allclose(few, all_rows, rtol=1e-5, atol=1e-6 * np.abs(all_rows).max())


def _seeded(batch):
    return {**batch, "seed": tf.zeros([batch["image"].shape[0], 2], tf.int32)}


def test_a_loss_that_is_not_finite_stops_with_the_names_of_the_images(data):
    config = tiny_config("train.clip_norm=null")
    config = config.model_copy(
        update={"train": config.train.model_copy(update={"schedule": mr.Config().train.schedule})}
    )
    model = mr.MaskRCNN(config.model)
    model.compile(keras.optimizers.SGD(1e30), run_eagerly=True)
    with pytest.raises(mr.InputError, match=r"not finite .* images .*\d+\.png"):
        model.fit(from_coco(*data, config, training=True), epochs=5, verbose=0)


def test_a_broken_image_file_ends_fit_with_one_sentence(tmp_path):
    json_path, images = tiny_data(tmp_path)
    name = sorted(p.name for p in (tmp_path / "images").iterdir())[0]
    (tmp_path / "images" / name).write_bytes(b"")
    config = tiny_config()
    model = mr.MaskRCNN(config.model)
    model.compile(make_optimizer(config.train, 2), run_eagerly=True)
    with pytest.raises(mr.InputError, match=name) as caught:
        model.fit(from_coco(json_path, images, config, training=True), epochs=1, verbose=0)
    assert "Traceback" not in str(caught.value) and "\n" not in str(caught.value)


def test_predictions_do_not_depend_on_the_images_beside_them(model):
    images = [random_image(96, 128, seed) for seed in range(3)]
    together = model.predict_images(images, score_threshold=0.01, batch_size=3)
    for image, found in zip(images, together):
        alone = model.predict_images([image], score_threshold=0.01)[0]
        np.testing.assert_allclose(found.scores, alone.scores, atol=1e-4)
        # Random weights score many boxes alike, so a few may change places.
        distance = np.abs(found.boxes[:, None] - alone.boxes).max(-1).min(1)
        assert np.mean(distance < 0.01) >= 0.9


def test_images_of_all_sizes_in_one_batch_get_boxes_and_masks_of_their_own_size(model):
    images = [random_image(96, 128), random_image(60, 128), random_image(200, 90)]
    for image, found in zip(images, model.predict_images(images, 0.01, batch_size=3)):
        assert len(found) and found.size == image.shape[:2]
        assert (found.boxes >= 0).all() and (found.boxes[:, 2:] <= found.size).all()
        assert found.masks.shape == (len(found), *image.shape[:2])


def test_a_higher_threshold_keeps_the_best_alone(model):
    image = random_image(96, 128)
    low = model.predict_images([image], score_threshold=0.01)[0]
    middle = float(np.median(low.scores))
    high = model.predict_images([image], score_threshold=middle)[0]
    assert 0 < len(high) < len(low) and (high.scores > middle).all()
    assert (np.diff(low.scores) <= 0).all()


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3), np.float32), np.zeros((0, 5, 3), np.uint8), 3],
)
def test_what_is_no_rgb_image_is_refused(model, wrong):
    with pytest.raises(mr.InputError, match="Image 0 must be a uint8 array \\[height, width, 3\\]"):
        model.predict_images([wrong])
    with pytest.raises(mr.InputError, match="put the one image in a list"):
        model.predict_images(np.zeros((5, 5, 3), np.uint8))


def test_boxes_up_to_the_minimum_side_are_left_out():
    model = mr.MaskRCNN(tiny_config("rpn.min_side=12", "box_head.min_side=30"))
    images = np.random.default_rng(0).normal(size=(2, 96, 128, 3)).astype(np.float32)
    sizes = tf.constant([[96.0, 128.0], [90.0, 70.0]])
    proposals = model.propose(model.rpn_output(model.features(images)), sizes)
    found = model.detect(images, sizes, score_threshold=0.0)
    for boxes, valid, least in ((proposals[0], proposals[2], 12), (found[0], found[3], 30)):
        boxes = boxes.numpy()[valid]
        assert len(boxes) and (boxes[:, 2:] - boxes[:, :2]).min() > least


def test_no_images_give_no_instances(model):
    assert model.predict_images([]) == []


def test_one_pixel_is_an_image_too(model):
    found = model.predict_images([np.zeros((1, 1, 3), np.uint8)], score_threshold=0.01)[0]
    assert found.size == (1, 1)


def test_get_config_makes_the_same_model_again(model):
    again = mr.MaskRCNN.from_config(model.get_config())
    assert again.config == model.config
    set_weights(again, weights_of(model))
    image = random_image(96, 128)
    first, second = (m.predict_images([image], 0.01)[0] for m in (model, again))
    np.testing.assert_array_equal(first.boxes, second.boxes)


@on_stack_a
def test_run_eagerly_gives_the_same_losses_as_the_graph(data):
    config = tiny_config()
    batch = next(iter(from_coco(*data, config, training=True)))
    logs = []
    model = mr.MaskRCNN(config.model)
    start = weights_of(model)
    for eagerly in (False, True):
        set_weights(model, start)
        model.compile(make_optimizer(config.train, 2), run_eagerly=eagerly)
        logs.append(model.train_on_batch(batch, return_dict=True))
    for name in NAMES:
        np.testing.assert_allclose(logs[0][name], logs[1][name], rtol=1e-3, atol=1e-5)


@on_stack_b
@pytest.mark.slow
def test_one_image_is_overfitted_from_random_weights(tmp_path):
    json_path, images = tiny_data(tmp_path, 1, num_objects=(4, 4), seed=3)
    config = tiny_config(
        "fpn.channels=64",
        "anchors.sizes=[[16], [32], [64], [128], [256]]",
        "rpn={post_nms_top_k_training: 200, post_nms_top_k: 200}",
        "box_head={hidden: 128, samples_per_image: 64}",
        "mask_head={channels: 64, num_convs: 2}",
        "data.augment.horizontal_flip=0",
        "train={batch_size: 1, epochs: 150, optimizer: adamw, learning_rate: 0.001}",
        "train.clip_norm=null",
        "train.schedule={kind: cosine, warmup_steps: 20}",
    )
    keras.utils.set_random_seed(1)
    model = mr.MaskRCNN(config.model)
    model.compile(make_optimizer(config.train, 1))
    model.fit(from_coco(json_path, images, config, True).repeat(150), epochs=1, verbose=0)
    result = evaluate(model, json_path, images)
    assert result.masks["AP"] > 0.9 and result.boxes["AP"] > 0.9


def test_a_batch_of_mixed_sizes_trains_and_keeps_proposals_inside_each_image(tmp_path):
    json_path, images = write_shapes(str(tmp_path), 2, height=64, width=128, num_objects=(2, 3))
    coco = json.loads(pathlib.Path(json_path).read_text())
    first = coco["images"][0]
    path = pathlib.Path(images) / first["file_name"]
    Image.open(path).crop((0, 0, 128, 60)).resize((128, 64)).crop((0, 0, 90, 64)).save(path)
    first["width"] = 90
    pathlib.Path(json_path).write_text(json.dumps(coco))
    config = tiny_config("input.min_side=64", "data.skip_invalid=true")
    batch = next(iter(from_coco(json_path, images, config, training=True)))
    assert batch["image"].shape == (2, 64, 128, 3)
    assert sorted(batch["size"].numpy().tolist()) == [[64, 90], [64, 128]]
    model = mr.MaskRCNN(config.model)
    model.compile(make_optimizer(config.train, 1), run_eagerly=True)
    assert np.isfinite(model.train_on_batch(batch, return_dict=True)["loss"])
    proposals = model.propose(model.rpn_output(model.features(batch["image"])), batch["size"])
    limits = np.tile(batch["size"].numpy(), 2)[:, None]
    assert proposals.valid.numpy().any() and (proposals.boxes.numpy() <= limits).all()


def test_weights_change_hands_through_load(tmp_path, model):
    mr.weights.save_weights(model, str(tmp_path / "weights.npz"))
    other = tiny_config("model.num_classes=5")
    with pytest.raises(mr.InputError, match="holds 3 classes, the model has 5"):
        mr.weights.load_weights(mr.MaskRCNN(other.model), str(tmp_path / "weights.npz"))


def test_a_real_photo_is_read_and_predicted_at_its_own_size(tmp_path, data, model):
    path = sorted(pathlib.Path(data[1]).iterdir())[0]
    image = read_image(str(path))
    assert model.predict_images([image], 0.01)[0].size == image.shape[:2] == (96, 128)


# What the paper compares with (tables 2b to 2d and 3).
ABLATIONS = {
    "roi_pool": ("roi.method=roi_pool",),
    "softmax": ("mask_head={channels: 16, num_convs: 1, loss: softmax}",),
    "class_agnostic": ("mask_head={channels: 16, num_convs: 1, class_agnostic: true}",),
    "no_mask": ("mask_head.enabled=false",),
}


@on_stack_b
@pytest.mark.slow
@pytest.mark.parametrize("name", list(ABLATIONS))
def test_each_ablation_trains_every_weight_and_predicts(data, name):
    config = tiny_config(*ABLATIONS[name], "train.epochs=1", "box_head.score_threshold=0.0")
    model = mr.MaskRCNN(config.model)
    before = weights_of(model)
    # RoIPool has a gradient of its own, which a graph has to take.
    model.compile(make_optimizer(config.train, 2), run_eagerly=name != "roi_pool")
    train = from_coco(*data, config, training=True)
    history = model.fit(train, epochs=1, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert ("mask_loss" in history) == (name != "no_mask")
    changed = {n for n, v in weights_of(model).items() if not np.array_equal(v, before[n])}
    assert changed == set(before)
    found = model.predict_images([random_image(96, 128), random_image(50, 60)], batch_size=2)
    assert len(found[0]) > 0 and found[0].has_masks == (name != "no_mask")
    if name == "no_mask":
        with pytest.raises(ValueError, match="boxes alone"):
            found[0].rle()
        assert "masks" not in model.predict(next(iter(train)), verbose=0)
    else:
        shape = (len(found[0]), 28, 28)
        assert found[0].mask_probabilities.shape == shape
        assert 0 <= found[0].mask_probabilities.min() <= found[0].mask_probabilities.max() <= 1


def test_without_a_mask_branch_boxes_are_those_of_the_whole_model(model):
    config = tiny_config("mask_head.enabled=false")
    boxes_alone = mr.MaskRCNN(config.model)
    mr.weights.load_weights(boxes_alone, weights_of(model), skip=["mask_head"])
    image = random_image(96, 128)
    found, expected = (m.predict_images([image], 0.0)[0] for m in (boxes_alone, model))
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_roi_pool_reads_other_features_than_roi_align(model):
    config = tiny_config("roi.method=roi_pool")
    other = mr.MaskRCNN(config.model)
    set_weights(other, weights_of(model))
    image = random_image(96, 128)
    pooled, aligned = (m.predict_images([image], 0.0)[0] for m in (other, model))
    assert pooled.boxes.shape == aligned.boxes.shape
    assert np.abs(pooled.scores - aligned.scores).max() > 1e-4
