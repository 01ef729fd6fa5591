"""Numbers that nobody can mean are refused before anything is made of them."""

import json

import pydantic
import pytest

from helpers.memory import within
from tfmaskrcnn.config.base import Section
from tfmaskrcnn.config.heads import MaskHeadConfig
from tfmaskrcnn.config.model import ModelConfig
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.yaml_files import parse_config
from tfmaskrcnn.errors import InputError

NUMBERS = (10**9, 10**12, 10**400, -(10**9), 1e300, -1e300)
NOT_NUMBERS = (".nan", ".inf", "-.inf", "1e400", "9" * 400)
# Numbers that are counted or compared, and of which nothing is made.
HARMLESS = {"data.limit", "train.save_every", "train.schedule.warmup_steps", "train.seed"}


def leaves(value, prefix=""):
    for key, item in value.items():
        path = f"{prefix}{key}"
        if isinstance(item, dict) and item:
            yield from leaves(item, f"{path}.")
        else:
            yield path, item


def of_numbers(section, prefix=""):
    """The dotted keys whose value may be a number or hold numbers."""
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from of_numbers(kind, f"{prefix}{name}.")
        elif any(word in str(kind) for word in ("int", "float")):
            yield f"{prefix}{name}", str(kind)


KEYS = dict(of_numbers(Config))


def test_there_are_keys_to_try():
    assert len(KEYS) > 70 and {"model.input.min_side", "train.epochs"} <= set(KEYS)


def shaped(key, value):
    """`value` as the setting `key` may hold it."""
    if key.endswith("anchors.sizes"):
        return [[value]] * 5
    if key.endswith("rates"):
        return {"backbone": value}
    if "Tuple" not in KEYS[key]:
        return value
    default = dict(leaves(Config().model_dump()))[key]
    return [value] * (len(default or (1, 2)))


@pytest.mark.parametrize("value", NUMBERS, ids=lambda value: f"{float(min(value, 1e300)):.0e}")
@pytest.mark.parametrize("key", KEYS)
def test_no_setting_takes_a_number_that_nobody_can_mean(key, value):
    with within(20):
        try:
            parse_config({}, [f"{key}={json.dumps(shaped(key, value))}"])
        except InputError as error:
            assert len(str(error)) < 1500
            return
    assert key in HARMLESS or abs(value) <= 10**9 and "float" in KEYS[key], key


@pytest.mark.parametrize("text", NOT_NUMBERS, ids=lambda text: text[:8])
@pytest.mark.parametrize("key", KEYS)
def test_no_setting_takes_what_is_no_number(key, text):
    shape = json.dumps(shaped(key, "VALUE")).replace('"VALUE"', text)
    with pytest.raises(InputError) as caught:
        parse_config({}, [f"{key}={shape}"])
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize(
    "settings, words",
    [
        (["input.fixed_size=[65536, 65536]"], "model.input makes images of 4294967296 pixels"),
        (["input.min_side=60000", "input.max_side=60000"], "model.input makes images"),
        (["input.padding=centred", "input.max_side=65536"], "model.input makes images"),
        (["fpn.channels=16384"], "fpn.channels"),
        (["box_head.roi_side=100", "box_head.hidden=16384"], "box_head.roi_side"),
        (["mask_head.roi_side=50", "num_classes=10000"], "mask_head.roi_side, num_classes"),
        (["mask_head.num_convs=100", "mask_head.channels=16384"], "mask_head"),
        (["rpn.post_nms_top_k=100000", "num_classes=10000"], "rpn.post_nms_top_k"),
        (["box_head.max_detections=100000", "box_head.samples_per_image=9"], "max_detections"),
        (
            ["keypoint_head={enabled: true, roi_side: 100, num_keypoints: 1000}"],
            "keypoint_head's roi_side",
        ),
        (["train.batch_size=65536"], "batches of 65536 images of"),
        (["evaluation.batch_size=65536"], "evaluation.batch_size"),
        (["data.augment.scale=[1, 100]"], "data.augment.scale"),
        (["data.augment.min_sides=[65536]"], "data.augment.scale"),
    ],
)
def test_settings_that_are_too_much_together_are_refused(settings, words):
    with within(20), pytest.raises(InputError, match=words) as caught:
        parse_config({}, settings)
    assert len(str(caught.value)) < 400


def test_what_is_trained_in_earnest_is_allowed():
    large = {
        "LVIS": ["num_classes=1203", "box_head.max_detections=300"],
        "cells": ["input.fixed_size=[2048, 2048]", "data.max_instances=2000"]
        + ["box_head.max_detections=2000", "rpn.post_nms_top_k=4000", "num_classes=3"],
        "large scale jittering": ["input.fixed_size=[1024, 1024]", "data.augment.crop=[1024, 1024]"]
        + ["data.augment.scale=[0.1, 2.0]", "train.batch_size=512"],
        "a strip": ["input.min_side=800", "input.max_side=60000"],
        "many bands": ["input.channels=200", f"input.mean={[1] * 200}", f"input.std={[1] * 200}"],
        "a wide pyramid": ["fpn.channels=512", "box_head.hidden=4096", "mask_head.channels=1024"],
    }
    for settings in large.values():
        parse_config({}, settings)


def test_a_section_made_in_python_says_in_a_sentence_what_is_wrong():
    with pytest.raises(InputError, match="^ModelConfig: num_classes: Input should be greater"):
        ModelConfig(num_classes=0)
    with pytest.raises(InputError, match="did you mean 'input.min_side'"):
        ModelConfig(input={"min_sides": 3})
    with pytest.raises(InputError, match="soft_targets needs loss sigmoid"):
        MaskHeadConfig(soft_targets=True, loss="softmax")
    with pytest.raises(pydantic.ValidationError):  # to be explained by who knows the source
        ModelConfig.model_validate({"num_classes": 0})


def test_setting_a_value_says_how_to_get_another_configuration():
    config = Config()
    for section, name in ((config.train, "epochs"), (config.model, "nothing")):
        with pytest.raises(InputError, match="a configuration does not change"):
            setattr(section, name, 5)
