"""`train/auto/input_rules.py`: how large images become, crops, contrast."""

import numpy as np
import pytest

from helpers.some_facts import CPU, auto, facts_of_squares, no_facts, values
from tfmaskrcnn.config.yaml_files import override
from tfmaskrcnn.data.checking.coverage import Objects
from tfmaskrcnn.train.auto.facts import Looks, Machine
from tfmaskrcnn.train.auto.input_rules import contrast, crop, crop_side, input_sides

GPU = Machine(gpu=True)


def sides(facts, config, machine=CPU):
    found = values(input_sides(facts, config, machine))
    return found["input.min_side"], found["input.max_side"]


def test_large_objects_take_the_smallest_input():
    # 100 of 600 pixels are 85 of 512, which is more than the 20 that are enough.
    assert sides(facts_of_squares(100), auto()) == (512, 704)  # 512 x 4 / 3, up to a multiple of 32


def test_small_images_are_not_enlarged_for_large_objects():
    assert sides(facts_of_squares(100, image=(200, 200)), auto()) == (256, 256)


def test_small_objects_ask_for_just_as_large_an_input_as_they_need():
    # 20 / 18 of 600 is 667: the next of 512, 576, 640, 704. On a GPU, whole images of that size.
    assert sides(facts_of_squares([18, 18, 400]), auto(), GPU) == (704, 960)


def test_a_cpu_has_no_time_for_it_unless_crops_do():
    mixed = facts_of_squares([18, 18, 400])  # the large ones fit into no crop
    assert sides(mixed, auto()) == (640, 864)  # 553,000 of 600,000 pixels
    assert "too long" in input_sides(mixed, auto(), CPU)[0].reason
    assert sides(facts_of_squares([18, 18, 40]), auto()) == (704, 960)


def test_images_are_enlarged_twice_at_most():
    found = input_sides(facts_of_squares(5, image=(256, 256)), auto(), CPU)
    assert values(found)["input.min_side"] == 512 and "no more detail" in found[0].reason


def test_gigantic_images_of_small_objects_are_to_be_cut_into_tiles():
    found = input_sides(facts_of_squares(30, image=(20_000, 20_000)), auto(), CPU)
    assert values(found)["input.min_side"] == 1344 and values(found)["input.max_side"] == 1344
    assert "cut larger ones into tiles" in found[1].reason


def test_large_images_of_equally_small_objects_are_not_shrunk():
    # As a microscope's: 80 pictures of 256 x 256 and 20 of 1024 x 1024 with nuclei of 16 pixels.
    parts = facts_of_squares(16, (256, 256), 80), facts_of_squares(16, (1024, 1024), 20)
    objects = Objects(*(np.concatenate(arrays) for arrays in zip(*(p.objects for p in parts))))
    shapes = np.concatenate([part.shapes for part in parts])
    facts = facts_of_squares(16)._replace(objects=objects, shapes=shapes)
    assert values(input_sides(facts, auto(), CPU)) == {
        "input.min_side": 512,  # 16 pixels become 32, but 8 in a fifth of the images
        "input.max_side": 1024,
        "input.enlarge_only": True,
    }
    alike = input_sides(facts_of_squares(16, (256, 256)), auto(), CPU)
    assert values(alike)["input.enlarge_only"] is False


def test_the_side_that_is_set_decides_the_other():
    # What the rule says of a side that is set is said and does not count.
    assert sides(facts_of_squares(100), auto("input.min_side=1000")) == (512, 1344)
    assert sides(facts_of_squares(5), auto("input.max_side=900")) == (896, 1216)
    assert sides(facts_of_squares(100), auto("input.min_side=64", "input.max_side=320"))[1] == 96


def test_a_fixed_size_and_a_set_without_objects_are_left_alone():
    for rule in (input_sides, crop):
        assert rule(facts_of_squares(5), auto("input.fixed_size=[512, 512]"), GPU) == []
        assert rule(no_facts(), auto(), GPU) == []


def test_a_crop_is_four_objects_wide():
    config = auto("input.min_side=1000", "input.max_side=1344")
    facts = facts_of_squares([20, 90], image=(1000, 1344))
    assert values(crop(facts, config, CPU)) == {"data.augment.crop": (384, 384)}  # 360, up by 64
    assert crop_side(facts_of_squares(10).objects, config.model.input) == 256
    assert crop_side(facts_of_squares(300).objects, config.model.input) is None


def test_images_that_are_small_enough_are_not_cut():
    config = override(auto(), ["input.min_side=512", "input.max_side=704"])
    assert crop(facts_of_squares(20), config, CPU) == []


@pytest.mark.parametrize(
    "low, median, high, stretched, inverted",
    [
        (0, 100, 255, False, False),  # photos
        (5, 10, 60, True, False),  # dark microscopy
        (5, [10] * 5 + [200] * 5, 60, True, True),  # of two kinds
        (0, [10] * 5 + [200] * 5, 255, False, False),  # photos by night and day
    ],
)
def test_faint_images_are_stretched(low, median, high, stretched, inverted):
    levels = (np.broadcast_to(np.float64(level), 10) for level in (low, median, high))
    found = contrast(facts_of_squares(20)._replace(looks=Looks(*levels)), auto(), CPU)
    assert [p.value for p in found] == [stretched, inverted]


def test_contrast_is_left_alone_where_no_image_was_read():
    assert contrast(no_facts(), auto(), CPU) == []
