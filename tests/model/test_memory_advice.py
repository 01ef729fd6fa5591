import re

import pytest

from tfmaskrcnn.config.yaml_files import load_config
from tfmaskrcnn.model.memory_advice import Step, memory_about, trains_norms, with_train
from tfmaskrcnn.model.memory_estimate import training_bytes

SIZE = (800, 1344)


@pytest.fixture
def config():
    """ResNet-50 with FPN and 16 images a batch."""
    return load_config("maskrcnn_r50_fpn_1x_coco")


def test_parts_are_as_few_as_fit(config):
    whole, halves, quarters = (
        training_bytes(with_train(config, accumulate=parts), 16, SIZE) for parts in (1, 2, 4)
    )
    assert Step(config, SIZE, 1).fitting_parts(whole) == 1
    assert Step(config, SIZE, 1).fitting_parts(whole - 1) == 2  # parts are equal: 16 is no 3 of any
    assert Step(config, SIZE, 1).fitting_parts(halves - 1) == 4
    assert Step(config, SIZE, 1).fitting_parts(quarters) == 4
    assert Step(config, SIZE, 1).fitting_parts(1e9) is None


def test_parts_are_those_of_each_device(config):
    of_four = training_bytes(config, 4, SIZE)
    assert Step(config, SIZE, 4).fitting_parts(of_four) == 1
    assert Step(config, SIZE, 4).fitting_parts(of_four - 1) == 2
    # 16 images on 3 devices are 6, 5 and 5, which do not divide alike.
    assert Step(config, SIZE, 3).fitting_parts(training_bytes(config, 6, SIZE) - 1) is None


@pytest.mark.parametrize("room", [8e9, 16e9])
def test_each_way_fits_by_itself(config, room):
    ways = Step(config, SIZE).ways_to_fit(room)
    assert [way.split("=")[0] for way in ways[:2]] == ["train.accumulate", "train.batch_size"]
    for way in ways:
        settings, told = re.fullmatch(r"(.*) \((.*) GB\)", way).groups()
        changed = load_config("maskrcnn_r50_fpn_1x_coco", settings.split())
        size = SIZE if "input" not in settings else None
        taken = training_bytes(changed, changed.train.batch_size, size)
        assert taken <= room * 1.3  # the sides are of a square, where the size is not given
        assert size is None or float(told) == pytest.approx(taken / 1e9, abs=0.06)


def test_where_statistics_are_trained_parts_are_no_way(config):
    trained = load_config("finetune", ["train.batch_size=16"])
    assert trains_norms(trained) and not trains_norms(config)
    assert not any("accumulate" in way for way in Step(trained, (640, 640)).ways_to_fit(4e9))
    gn = load_config("maskrcnn_r50_fpn_gn_3x_coco")
    assert not trains_norms(gn)


def test_a_window_is_made_smaller_where_there_is_one():
    config = load_config("finetune", ["train.batch_size=1", "data.augment.crop=[1024,1024]"])
    ways = Step(config, (1024, 1024)).ways_to_fit(2.2e9)
    assert any(way.startswith("data.augment.crop=[") for way in ways), ways
    fixed = load_config("finetune", ["train.batch_size=1", "input.fixed_size=[1024,1024]"])
    ways = Step(fixed, (1024, 1024)).ways_to_fit(2.2e9)
    assert any(way.startswith("model.input.fixed_size=[") for way in ways), ways


def test_nothing_fits_into_next_to_nothing(config):
    assert Step(config, SIZE).ways_to_fit(1e8) == []


def test_it_is_told_in_words(config):
    about = memory_about(with_train(config, accumulate=4))
    number = r"\d+\.\d GB"
    assert re.fullmatch(
        rf"{number} on one device, 4 images of 1344 x 1344 at a time", about["training_memory"]
    )
    assert re.fullmatch(rf"{number}, 1 image of 800 x 1344 at a time", about["prediction_memory"])
    unknown = load_config(None, ["backbone={name: keras.Nothing, norm: frozen_bn}"])
    assert memory_about(unknown) == {}
