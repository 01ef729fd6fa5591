"""`data/checking/setting_proposals.py`: what fits the objects, and none where all is well."""

import shlex

import pytest
import yaml

from tfmaskrcnn.config.yaml_files import override, parse_config


def proposed(result):
    return {p.key: p.value for p in result.proposals}


@pytest.fixture
def tiny_objects(empty_draft):
    """One image of 96 x 128 with 150 objects of about 6 pixels."""
    empty_draft.image()
    for k in range(150):
        empty_draft.object(1, (2 + 8 * (k % 15), 2 + 9 * (k // 15), 5 + k % 3, 6))
    return empty_draft


def test_many_small_objects_ask_for_small_anchors_and_room(tiny_objects):
    result = tiny_objects.check()
    found = proposed(result)
    assert found["input.min_side"] > 96 and found["anchors.sizes"][0][0] < 16
    assert found["data.max_instances"] == 150 and found["box_head.max_detections"] == 190
    assert found["evaluation.max_detections"] == (1, 100, 190)
    assert (result.proposed_iou >= 0.7).mean() > (result.iou >= 0.7).mean() + 0.3
    assert result.fit(result.proposed_iou) in " ".join(result.table().split())


def test_the_proposals_are_settings_that_can_be_pasted(tiny_objects):
    result = tiny_objects.check()
    settings = [p.setting() for p in result.proposals]
    assert override(result.config, settings) == result.proposed
    pasted = parse_config(yaml.safe_load(result.yaml()))
    for proposal in result.proposals:
        value = pasted if proposal.key.split(".")[0] in ("data", "evaluation") else pasted.model
        for part in proposal.key.split("."):
            value = getattr(value, part)
        assert value == proposal.value
    one_line = result.settings().replace("\\\n", "")  # as a shell does
    assert shlex.split(one_line) == ["--set", *settings]
    assert max(map(len, result.settings().splitlines())) < 100


def test_a_configuration_that_has_taken_the_proposals_gets_hardly_any(tiny_objects):
    first = tiny_objects.check()
    second = tiny_objects.check(*[p.setting() for p in first.proposals])
    assert set(proposed(second)) <= {"anchors.ratios"}


def test_large_objects_of_images_that_are_enlarged_ask_for_smaller_input(draft):
    found = proposed(draft.check("input.min_side=480", "input.max_side=640"))
    assert found["input.min_side"] == 128 and found["input.max_side"] == 192


def test_a_fixed_size_stays(tiny_objects):
    found = proposed(tiny_objects.check("input.fixed_size=[96,128]"))
    assert "input.min_side" not in found and "anchors.sizes" in found


def test_thin_objects_ask_for_thin_anchors(empty_draft):
    empty_draft.image()
    for k in range(12):
        empty_draft.object(1, (5 + 10 * k, 5, 7, 60 + k))
    ratios = proposed(empty_draft.check())["anchors.ratios"]
    assert all(6 <= ratio <= 11 for ratio in ratios) and len(ratios) == 3
