"""Which objects stand in which row, and that APs are COCO's."""

import dataclasses

import numpy as np
import pytest

from helpers.drawn_sets import drawn, random_set
from helpers.without_masks import without_masks
from tfmaskrcnn.evaluation.analysis.coco_matching import match_all
from tfmaskrcnn.evaluation.analysis.conditions import conditions
from tfmaskrcnn.evaluation.analysis.precision import average_precision, mean_present
from tfmaskrcnn.evaluation.analysis.verdicts import judge

SIZE = (200, 300)


def square(top, left, side=10):
    return (top, left, top + side, left + side)


def tables(images, brightness=None, size=SIZE):
    examined = drawn(images, size)
    found = conditions(examined, judge(examined, "mask", [0.5]), brightness)
    return {table.title: table.rows for table in found}


def row_of(rows, word):
    return next(row for row in rows if row.name.startswith(f"{word}:"))


def test_rows_by_coco_sizes_hold_recall_ap_and_iou():
    small, large = [(1, square(20, 20 * i + 10)) for i in range(4)], (1, square(50, 50, 100))
    found = [(*small[0], 0.9), (1, (20, 30, 30, 38), 0.8), (*small[2], 0.4), (*large, 0.9)]
    rows = tables([([*small, large], found)])["by object size (COCO)"]
    assert [row.name for row in rows] == ["small: area under 1024 px", "large: area from 9216 px"]
    # The second has an IoU of 0.8, the third a score below the threshold, the fourth is missed.
    assert rows[0][1:4] == (1, 4, 0.5) and rows[0].mean_iou == pytest.approx(0.9)
    assert rows[1][1:4] == (1, 1, 1.0) and rows[1].ap == pytest.approx(1.0)
    # All three are right up to an IoU of 0.8: 76 of 101 recalls; above it two of three are, with
    # precisions of 1 and 2/3 up to recalls of 1/4 and 1/2.
    high, low = 76 / 101, (26 + 25 * 2 / 3) / 101
    assert rows[0].ap == pytest.approx(0.7 * high + 0.3 * low)


def test_an_object_on_coco_s_limit_is_on_both_sides_as_in_coco():
    rows = tables([([(1, square(0, 0, 32)), (1, square(50, 50, 100))], [])])
    counts = {row.name.split(":")[0]: row.num_objects for row in rows["by object size (COCO)"]}
    assert counts == {"small": 1, "medium": 1, "large": 1}


def test_quarters_of_the_set_have_as_many_objects_each():
    objects = [(1, square(20, 30 * i, 2 + 2 * i)) for i in range(8)]  # areas 4, 16, ..., 256
    found = [(*entry, 0.9) for entry in objects[2:]]
    rows = tables([(objects, found)])["by object size (this set)"]
    assert [row.num_objects for row in rows] == [2, 2, 2, 2]
    assert [row.recall for row in rows] == [0.0, 1.0, 1.0, 1.0]
    assert rows[0].name == "tiny: area under 31 px" and rows[0].ap == 0.0
    assert rows[1].name == "small: area 31 to 82 px" and rows[1].ap == pytest.approx(1.0)
    assert rows[3].name == "huge: area from 157 px"


def test_equal_sizes_make_fewer_rows_or_no_table():
    same = [(1, square(20, 30 * i)) for i in range(6)]
    assert "by object size (this set)" not in tables([(same, [])])
    larger = [(1, square(90, 40 * i, 20)) for i in range(4)]
    found = [(*entry, 0.9) for entry in larger]
    rows = tables([([*same, *larger], found)])["by object size (this set)"]
    assert [row.name for row in rows] == ["small: area under 400 px", "large: area from 400 px"]
    assert [row.num_objects for row in rows] == [6, 4]
    assert [row.ap for row in rows] == pytest.approx([0.0, 1.0])  # the limit belongs to one side


def test_crowding_goes_by_the_nearest_box_whatever_its_class():
    objects = [
        (1, square(20, 20, 20)),  # shares 20 x 10 with the next: IoU 1/3
        (2, square(20, 30, 20)),
        (1, square(20, 50)),  # its edge meets the one before
        (1, square(20, 69)),  # 9 pixels on
        (1, square(20, 89)),  # 10 pixels on
        (1, square(20, 200), True),  # a crowd region is nobody's neighbour
        (1, square(20, 210)),
    ]
    rows = tables([(objects, []), ([(1, square(50, 50))], [])])["by crowding"]
    assert [(row.name.split(":")[0], row.num_objects, row.num_images) for row in rows] == [
        ("overlapping", 2, 1),
        ("touching", 1, 1),
        ("close", 1, 1),
        ("apart", 3, 2),
    ]


def test_the_gap_of_boxes_aslant_is_that_of_their_corners():
    # 6 and 8 pixels: 10.
    rows = tables([([(1, square(20, 20)), (1, square(36, 38))], []), _close_pair()])
    assert {row.name.split(":")[0]: row.num_objects for row in rows["by crowding"]} == {
        "apart": 2,
        "close": 2,
    }


def _close_pair():
    return ([(1, square(20, 20)), (1, square(36, 37))], [])


@pytest.mark.parametrize("cut", [(0, 50), (50, 0), (190, 50), (50, 290)])
def test_objects_at_each_border_are_told_apart(cut):
    inside, at_border = (1, square(1, 100)), (1, square(*cut))
    rows = tables([([inside, at_border], [(*inside, 0.9)])])["by place in the image"]
    assert row_of(rows, "at the border").recall == 0.0 and row_of(rows, "inside").recall == 1.0


def test_images_are_cut_by_brightness_and_their_false_detections_count():
    there, false = [(1, square(20, 20))], (1, square(90, 90), 0.95)
    right = (*there[0], 0.9)
    images = [(there, [right])] * 2 + [(there, [right, false])] * 2 + [([], [])] * 8
    grey = [200, 210, 30, 40, 20, 220, 100, 110, 120, 130, 140, 150]
    rows = tables(images, grey)["by brightness of the image"]
    # Quarters lie at 85, 125 and 162.5. Rows without objects are left out.
    assert [row.name for row in rows] == ["dark: mean grey under 85", "bright: mean grey from 162"]
    assert [row[1:4] for row in rows] == [(3, 2, 1.0)] * 2
    assert rows[0].ap == pytest.approx(0.5) and rows[1].ap == pytest.approx(1.0)


def test_images_of_different_sizes_are_told_apart_by_the_longer_side():
    objects = [(1, square(20, 20))]
    small, large = (drawn([(objects, [])] * 2, size).images for size in ((90, 50), (100, 400)))
    examined = dataclasses.replace(drawn([(objects, [])]), images=[*small, *large])
    table = conditions(examined, judge(examined, "mask"))[-1]
    assert table.title == "by size of the image"
    assert [row.num_images for row in table.rows] == [2, 2]
    assert [row.name for row in table.rows] == [
        "small: longer side under 245 px",
        "large: longer side from 245 px",
    ]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("has_masks", (True, False))
def test_rows_of_a_table_hold_every_object_once(seed, has_masks):
    examined = random_set(seed, size=SIZE)
    examined = examined if has_masks else without_masks(examined)
    total = sum(np.count_nonzero(~image.objects.crowd) for image in examined.images)
    verdicts = judge(examined, examined.kind, [0.5] * 3)
    found = sum(verdict.objects.count("found") for verdict in verdicts)
    for table in conditions(examined, verdicts, np.arange(8) * 30.0)[1:]:
        assert sum(row.num_objects for row in table.rows) == total, table.title
        assert sum(row.recall * row.num_objects for row in table.rows) == pytest.approx(found)
    small = match_all(examined, examined.kind, area=(0.0, 32.0**2))
    first = conditions(examined, verdicts)[0]
    assert row_of(first.rows, "small").ap == mean_present(average_precision(small))[0]


@pytest.mark.parametrize("images", ([], [([], [])], [([(1, square(0, 0), True)], [])]))
def test_without_objects_there_are_no_tables(images):
    assert tables(images, [100.0] * len(images)) == {}
