import importlib.util

import pytest

from helpers.paths import ROOT
from helpers.tiny import tiny_config
from tfmaskrcnn.config.yaml_files import load_config
from tfmaskrcnn.model.memory_estimate import largest_input, prediction_bytes, training_bytes

SIZE = (512, 640)


def plain(*overrides):
    """The defaults, without the flip or any other augmentation."""
    return load_config(None, ["train.batch_size=4", *overrides])


def taken(*overrides, batch=4):
    """Bytes of a training step."""
    return training_bytes(plain(*overrides), batch, SIZE)


# The largest input.


def test_an_image_alone_keeps_its_shape_and_a_batch_is_as_large_as_all_its_images():
    config = plain("input={min_side: 800, max_side: 1333}")
    assert sorted(largest_input(config, 1)) == [800, 1344]  # padded to multiples of 32
    assert largest_input(config, 2) == (1344, 1344)  # a tall one beside a wide one
    sizes = [(480, 640), (600, 600), (427, 640)]
    assert largest_input(config, 2, image_sizes=sizes) == (800, 1216)  # 800 x 1066, 800 x 1199
    assert largest_input(config, 1, image_sizes=sizes) == (800, 1216)
    assert largest_input(config, 2, image_sizes=[(480, 640), (640, 480)]) == (1088, 1088)


def test_augmentation_counts_in_training_alone():
    config = plain("input={min_side: 320, max_side: 640}", "data.augment={scale: [0.5, 1.5]}")
    assert largest_input(config, 4, image_sizes=[(100, 200)]) == (480, 960)
    assert largest_input(config, 4, training=False, image_sizes=[(100, 200)]) == (320, 640)
    turned = plain("input={min_side: 320, max_side: 640}", "data.augment.quarter_turns=true")
    assert largest_input(turned, 4, image_sizes=[(100, 200)]) == (640, 640)
    several = plain("input={min_side: 320, max_side: 640}", "data.augment.min_sides=[256,400]")
    assert largest_input(several, 1, image_sizes=[(100, 100)]) == (416, 416)


def test_a_window_or_a_fixed_size_is_the_size():
    crop = plain("data.augment.crop=[250,300]")
    assert largest_input(crop, 4) == (256, 320)
    assert largest_input(crop, 1, training=False) != (256, 320)
    assert largest_input(plain("input.fixed_size=[384,512]"), 4) == (384, 512)
    centred = plain("input={min_side: 512, max_side: 640, padding: centred}")
    assert largest_input(centred, 1) == (640, 640)


def test_images_that_are_only_enlarged_may_fill_the_square():
    config = plain("input={min_side: 320, max_side: 640, enlarge_only: true}")
    assert largest_input(config, 1) == (640, 640)
    assert largest_input(config, 1, image_sizes=[(100, 150), (400, 500)]) == (416, 512)


# The sum.


@pytest.mark.parametrize(
    ("more", "less"),
    [
        ((), ("train.accumulate=2",)),
        (("train.accumulate=2",), ("train.accumulate=4",)),
        ((), ("backbone.recompute=true",)),
        (("backbone.freeze_at=0",), ()),
        (("backbone.norm=bn",), ()),
        (("backbone.name=resnet101",), ()),
        (("train.optimizer=adamw",), ()),
        (("train.ema=0.99",), ()),
        ((), ("mask_head.enabled=false",)),
        ((), ("box_head.samples_per_image=128",)),
        ((), ("train.precision=mixed_bfloat16",)),
    ],
)
def test_what_is_known_to_save_memory_does(more, less):
    assert taken(*more) > 1.01 * taken(*less)


def test_it_grows_with_the_batch_and_the_input():
    one, two, three = (taken(batch=n) for n in (1, 2, 3))
    assert three - two == pytest.approx(two - one) and two > one
    config = plain()
    assert training_bytes(config, 2, (800, 1216)) > 1.3 * training_bytes(config, 2, SIZE)
    assert prediction_bytes(config, 4, SIZE) > prediction_bytes(config, 1, SIZE)
    assert prediction_bytes(config, 1, SIZE) < training_bytes(config, 1, SIZE)
    # The size is the configuration's if it is not given.
    assert training_bytes(config, 2) == training_bytes(config, 2, (1344, 1344))


def test_a_tiny_network_takes_little_more_than_tensorflow():
    config = tiny_config()
    assert 0.9e9 < training_bytes(config, 2) < 1.5e9
    assert training_bytes(config, 2, gpu=True) < 0.5e9


def test_it_is_near_what_was_measured():
    path = ROOT / "examples" / "memory_table.py"
    spec = importlib.util.spec_from_file_location("memory_table", path)
    table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table)
    off = {}
    for cell in table.CELLS:
        for stack, measured in zip("AB", table.MEASURED.get(cell.name, ())):
            if measured is not None:
                off[cell.name, stack] = table.estimated(cell) / 1e9 / measured - 1
    assert len(off) > 10 and max(map(abs, off.values())) < 0.15, off
