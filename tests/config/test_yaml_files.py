import glob
import json
import os

import pytest

from helpers.paths import ROOT
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.yaml_files import load_config, override, parse_config, save_config
from tfmaskrcnn.errors import InputError

CONFIGS = str(ROOT / "configs")


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def complaint(*arguments, **keywords):
    with pytest.raises(InputError) as caught:
        load_config(*arguments, **keywords)
    return str(caught.value)


def value_at(config, key):
    for part in key.split("."):
        config = getattr(config, part)
    return config


def test_defaults_are_valid_and_the_same_every_time():
    assert load_config() == Config() == parse_config({}) == load_config(None, [])


# Detectron2's Base-RCNN-FPN.yaml, mask_rcnn_R_50_FPN_1x.yaml and config/defaults.py.
@pytest.mark.parametrize(
    "key, value",
    [
        ("model.num_classes", 80),
        ("model.input.min_side", 800),
        ("model.input.max_side", 1333),
        ("model.input.pad_multiple", 32),
        ("model.input.fixed_size", None),
        ("model.backbone.name", "resnet50"),
        ("model.backbone.norm", "frozen_bn"),
        ("model.backbone.stride_in_1x1", None),
        ("model.backbone.freeze_at", 2),
        ("model.fpn.channels", 256),
        ("model.anchors.sizes", ((32,), (64,), (128,), (256,), (512,))),
        ("model.anchors.ratios", (0.5, 1.0, 2.0)),
        ("model.anchors.offset", 0.0),
        ("model.rpn.positive_iou", 0.7),
        ("model.rpn.negative_iou", 0.3),
        ("model.rpn.samples_per_image", 256),
        ("model.rpn.positive_fraction", 0.5),
        ("model.rpn.pre_nms_top_k", 1000),
        ("model.rpn.pre_nms_top_k_training", 2000),
        ("model.rpn.post_nms_top_k", 1000),
        ("model.rpn.post_nms_top_k_training", 1000),
        ("model.rpn.nms_iou", 0.7),
        ("model.rpn.smooth_l1_beta", 0.0),
        ("model.roi.canonical_size", 224.0),
        ("model.roi.canonical_level", 4),
        ("model.roi.aligned", True),
        ("model.roi.sampling_ratio", 2),  # theirs is 0, adaptive
        ("model.box_head.roi_side", 7),
        ("model.box_head.hidden", 1024),
        ("model.box_head.positive_iou", 0.5),
        ("model.box_head.samples_per_image", 512),
        ("model.box_head.positive_fraction", 0.25),
        ("model.box_head.delta_weights", (10.0, 10.0, 5.0, 5.0)),
        ("model.box_head.smooth_l1_beta", 0.0),
        ("model.box_head.score_threshold", 0.05),
        ("model.box_head.nms_iou", 0.5),
        ("model.box_head.max_detections", 100),
        ("model.mask_head.roi_side", 14),
        ("model.mask_head.channels", 256),
        ("model.mask_head.num_convs", 4),
        ("data.augment.horizontal_flip", 0.5),
        ("train.batch_size", 16),
        ("train.learning_rate", 0.02),
        ("train.momentum", 0.9),
        ("train.weight_decay", 1e-4),
        ("train.clip_norm", None),
        ("train.schedule.warmup_steps", 1000),
        ("train.schedule.warmup_factor", 0.001),
        ("train.schedule.milestones", (2 / 3, 8 / 9)),  # 60k and 80k of 90k
        ("train.schedule.gamma", 0.1),
        ("evaluation.max_detections", (1, 10, 100)),
    ],
)
def test_default_is_that_of_detectron2s_baseline(key, value):
    assert value_at(Config(), key) == value


def test_an_unknown_key_is_refused_with_the_nearest_one():
    message = complaint(overrides=["train.batchsize=4"])
    assert "'train.batchsize'" in message and "did you mean 'train.batch_size'?" in message
    message = complaint(overrides=["model.box_head.score_treshold=0.1"])
    assert "did you mean 'model.box_head.score_threshold'?" in message
    message = complaint(overrides=["zzzzzzzzzzzzzzz=1"])
    assert "zzzzzzzzzzzzzzz" in message and "did you mean" not in message


@pytest.mark.parametrize(
    "setting, key",
    [
        ("train.batch_size=many", "train.batch_size"),
        ("train.batch_size=0", "train.batch_size"),
        ("train.batch_size=2.5", "train.batch_size"),
        ("model.backbone.name=vgg16", "model.backbone.name"),
        ("model.rpn.pre_nms_top_k=0", "model.rpn.pre_nms_top_k"),
        ("input.pad_multiple=48", "model.input.pad_multiple"),
        ("data.augment.horizontal_flip=1.5", "data.augment.horizontal_flip"),
        ("model.anchors.ratios=[a]", "model.anchors.ratios.0"),
        ("train=3", "train"),
    ],
)
def test_a_wrong_value_names_its_key_and_itself(setting, key):
    message = complaint(overrides=[setting])
    value = setting.partition("=")[2].strip("[]")
    assert key in message and f"found {value!r}" in message.replace(
        f"found {value}", f"found {value!r}"
    )


def test_the_message_names_the_file_and_all_that_is_wrong_in_it(tmp_path):
    path = write(tmp_path, "my.yaml", "train: {batch_size: x, epoch: 3}\n")
    message = complaint(path)
    assert "my.yaml" in message and "batch_size" in message and "'train.epoch'" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "settings, words",
    [
        (["input.min_side=1400"], ["max_side 1333", "min_side 1400"]),
        (["input.fixed_size=[800, 1333]"], ["fixed_size", "1333", "32"]),
        (["input.padding=centred"], ["max_side 1333", "centred", "32"]),
        (["anchors.sizes=[[32], [64]]"], ["5 lists"]),
        (["anchors.sizes=[[32], [64], [128], [256], [512, 600]]"], ["same"]),
        (["model.class_names=[a, b]"], ["class_names has 2", "num_classes is 80"]),
        (["category_ids=[1]"], ["category_ids has 1", "num_classes is 80"]),
    ],
)
def test_values_that_do_not_fit_each_other_are_refused(settings, words):
    message = complaint(overrides=settings)
    assert all(word in message for word in words), message
    assert len(message) < 250 and "Value error" not in message


def test_overrides_take_full_and_short_keys_and_the_last_one_wins():
    config = load_config(
        None,
        ["input.min_side=512", "model.input.max_side=640", "num_classes=3", "train.epochs=1"]
        + ["train.epochs=2", "class_names=[a, b, 'c d']", "train.clip_norm=null"],
    )
    assert (config.model.input.min_side, config.model.input.max_side) == (512, 640)
    assert config.model.num_classes == 3 and config.model.class_names == ("a", "b", "c d")
    assert config.train.epochs == 2 and config.train.clip_norm is None
    changed = override(config, ["train.epochs=5"])
    assert changed.train.epochs == 5 and changed.model == config.model
    assert config.train.epochs == 2


@pytest.mark.parametrize("text", ["train.epochs", "=3", "train.epochs: 3"])
def test_an_override_without_key_or_value_is_refused(text):
    message = complaint(overrides=[text])
    assert repr(text) in message and "key=value" in message
    assert "valid YAML" in complaint(overrides=["class_names=[a"])


def test_numbers_in_scientific_notation_are_numbers():
    assert load_config(None, ["train.learning_rate=1e-3"]).train.learning_rate == 0.001


def test_a_file_changes_its_bases_which_change_theirs(tmp_path):
    (tmp_path / "deep").mkdir()
    write(tmp_path, "root.yaml", "train: {batch_size: 4, epochs: 7, seed: 3}\n")
    write(tmp_path, "middle.yaml", "base: root.yaml\ntrain: {epochs: 8, seed: 4}\n")
    leaf = write(tmp_path / "deep", "leaf.yaml", "base: ../middle.yaml\ntrain: {seed: 5}\n")
    train = load_config(leaf, ["train.momentum=0.5"]).train
    assert (train.batch_size, train.epochs, train.seed, train.momentum) == (4, 8, 5, 0.5)
    assert train.learning_rate == 0.02


def test_a_base_that_no_file_can_have_is_refused(tmp_path):
    path = write(tmp_path, "a.yaml", 'base: "a.yaml\\0"\n')
    assert "is no name of a file" in complaint(path)


def test_a_message_names_keys_as_they_are_written_and_stays_short():
    said = complaint(None, ["model.backbone.name=resnet"])
    assert "model.backbone.name: Input should be 'resnet18'" in said and "literal" not in said
    assert len(complaint(None, [f"train.{'x' * 5000}=1"])) < 200


def test_bases_in_a_circle_are_refused(tmp_path):
    write(tmp_path, "a.yaml", "base: b.yaml\n")
    path = write(tmp_path, "b.yaml", "base: a.yaml\n")
    assert "leads back to itself" in complaint(path)
    own = write(tmp_path, "own.yaml", "base: own.yaml\n")
    assert "own.yaml" in complaint(own)


def test_one_base_under_two_files_is_no_circle(tmp_path):
    write(tmp_path, "root.yaml", "train: {seed: 1}\n")
    write(tmp_path, "left.yaml", "base: root.yaml\n")
    path = write(tmp_path, "right.yaml", "base: left.yaml\n")
    assert load_config(path).train.seed == 1


@pytest.mark.parametrize(
    "text, words",
    [
        ("train: [", "not valid YAML"),
        ("- 1\n- 2\n", "found list"),
        ("just words", "found str"),
        ("base: 3\n", "found 3"),
        ("base: missing.yaml\n", "missing.yaml"),
    ],
)
def test_a_broken_file_is_named(tmp_path, text, words):
    message = complaint(write(tmp_path, "broken.yaml", text))
    assert "broken.yaml" in message or "missing.yaml" in message
    assert words in message


def test_missing_files_and_folders_without_a_configuration_are_named(tmp_path):
    assert "nowhere.yaml" in complaint(str(tmp_path / "nowhere.yaml"))
    assert "config.json" in complaint(str(tmp_path))


def test_an_empty_file_gives_the_defaults(tmp_path):
    assert load_config(write(tmp_path, "empty.yaml", "# nothing\n")) == Config()


def test_sections_are_frozen():
    config = Config()
    with pytest.raises(InputError):
        config.train = None
    with pytest.raises(InputError):
        config.model.rpn.nms_iou = 0.1


def test_a_saved_configuration_comes_back_from_its_folder(tmp_path):
    config = load_config(
        None,
        [
            "input.fixed_size=[512, 640]",
            "num_classes=2",
            "class_names=[é, b]",
            "category_ids=[7, 3]",
        ]
        + ["train.learning_rate=0.1", "data.augment.min_sides=[640, 800]"],
    )
    path = tmp_path / "config.json"
    save_config(config, str(path))
    assert load_config(str(tmp_path)) == load_config(tmp_path) == load_config(str(path)) == config
    saved = json.loads(path.read_text(encoding="utf-8"))
    assert saved["model"]["rpn"]["nms_iou"] == 0.7  # defaults are written out


def test_every_experiments_file_loads():
    # Recursive, so that a new folder of experiments is not forgotten.
    for path in sorted(glob.glob(os.path.join(CONFIGS, "**", "*.yaml"), recursive=True)):
        assert isinstance(load_config(path), Config), path


def test_a_batch_divides_into_its_parts():
    assert "batch_size 6 does not divide into 4 equal parts" in complaint(
        None, ["train.batch_size=6", "train.accumulate=4"]
    )


def test_xla_and_synchronised_norms_do_not_go_together():
    load_config(None, ["train.xla=true", "mask_head.norm=bn"])
    both = ["train.xla=true", "mask_head.norm=sync_bn"]
    assert "in which sync_bn cannot" in complaint(None, both)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names")
def test_a_runs_configuration_that_is_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(InputError, match="config.json is no regular file"):
        load_config(str(tmp_path))
