"""`train/auto/object_rules.py`: anchors, limits, proposals and samples."""

import numpy as np
import pytest

from helpers.some_facts import CPU, auto, facts_of_squares, no_facts, values
from tfmaskrcnn.train.auto import object_rules
from tfmaskrcnn.train.auto.object_rules import limits, proposals_kept, roi_samples

AT_512 = ("input.min_side=512", "input.max_side=704")


def counted(*counts, crowds=0):
    """Facts of images of so many objects each."""
    counts = np.array(counts)
    return facts_of_squares(20)._replace(counts=counts, rows=counts + crowds)


def test_anchors_are_of_the_objects_sizes():
    facts = facts_of_squares(np.geomspace(8, 60, 30), image=(512, 704))
    (sizes,) = object_rules.anchor_sizes(facts, auto(*AT_512), CPU)
    flat = [size for (size,) in sizes.value]
    assert flat == sorted(flat) and 8 <= flat[0] <= 25 and flat[4] < 256
    (ratios,) = object_rules.anchor_ratios(facts, auto(*AT_512, sizes.setting()), CPU)
    assert len(ratios.value) == 3


def test_the_papers_ratios_stay_where_they_fit():
    (ratios,) = object_rules.anchor_ratios(
        facts_of_squares([32, 64], (512, 704)), auto(*AT_512), CPU
    )
    assert ratios.value == ratios.before == (0.5, 1, 2) and "the paper's" in ratios.reason


@pytest.mark.parametrize("side", [1, 2000])
def test_the_smallest_and_the_largest_objects_give_anchors(side):
    facts = facts_of_squares(side, image=(2000, 2000))
    (sizes,) = object_rules.anchor_sizes(facts, auto(*AT_512), CPU)
    assert all(4 <= size <= 2000 for (size,) in sizes.value)
    auto(sizes.setting())  # is taken


def test_rois_read_the_level_of_their_anchors():
    config = auto("anchors.sizes=[[12],[24],[48],[96],[192]]")
    found = object_rules.canonical_size(facts_of_squares(20), config, CPU)
    assert values(found) == {"roi.canonical_size": 84}


def test_without_objects_nothing_is_said_of_them():
    for rule in ("anchor_sizes", "anchor_ratios", "canonical_size"):
        assert getattr(object_rules, rule)(no_facts(), auto(), CPU) == []
    assert values(limits(no_facts(), auto(), CPU))["data.max_instances"] == 100
    assert values(roi_samples(no_facts(), auto(), CPU)) == {"box_head.samples_per_image": 128}
    assert values(proposals_kept(no_facts(), auto(), CPU))["rpn.post_nms_top_k"] == 300


@pytest.mark.parametrize(
    "most, instances, detections, evaluated",
    [
        (12, 100, 100, (1, 10, 100)),
        (150, 150, 190, (1, 100, 190)),
        (9000, 500, 2000, (1, 100, 2000)),
        (20_000, 500, 2000, (1, 100, 2000)),
    ],
)
def test_limits_are_of_the_fullest_image(most, instances, detections, evaluated):
    found = values(limits(counted(3, most), auto(), CPU))
    assert found == {
        "data.max_instances": instances,
        "box_head.max_detections": detections,
        "evaluation.max_detections": evaluated,
    }


def test_crowd_regions_take_places_in_training_alone():
    found = values(limits(counted(95, crowds=10), auto(), CPU))
    assert found["data.max_instances"] == 110 and found["box_head.max_detections"] == 100


def test_proposals_are_kept_by_the_number_of_objects():
    assert values(proposals_kept(counted(5, 80), auto(), CPU)) == {
        "rpn.post_nms_top_k_training": 650,  # 8 x 80, up to a round number
        "rpn.pre_nms_top_k_training": 1300,
        "rpn.post_nms_top_k": 650,
    }
    many = values(proposals_kept(counted(5000), auto("box_head.max_detections=2000"), CPU))
    assert (many["rpn.post_nms_top_k_training"], many["rpn.post_nms_top_k"]) == (1000, 2000)


@pytest.mark.parametrize("counts, samples", [([2] * 4, 128), ([29] * 4, 256), ([900] * 4, 512)])
def test_samples_follow_the_usual_number_of_objects(counts, samples):
    assert roi_samples(counted(*counts), auto(), CPU)[0].value == samples
