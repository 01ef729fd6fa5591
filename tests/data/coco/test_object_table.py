"""`data/coco/object_table.py`: objects are the same in a table as one by one."""

import numpy as np
import pytest

from tfmaskrcnn.data.coco.annotations import Checked
from tfmaskrcnn.data.coco.object_table import joined, table_of

RLE = {"size": [4, 5], "counts": [3, 2, 15]}


def objects(seed, count=12, joints=0):
    """Objects of images 3, 7 and 5 with polygons, an RLE or no mask, in any order."""
    draw = np.random.default_rng(seed)
    found = []
    for position in draw.permutation(count).tolist():
        polygons = [
            np.float32(draw.uniform(0, 9, 2 * draw.integers(3, 9))) for _ in range(draw.integers(4))
        ]
        shape = RLE if draw.random() < 0.2 else polygons or None
        box = draw.uniform(0, 9, 4).tolist()
        points = np.float32(draw.uniform(0, 9, (joints, 3))) if joints else None
        image, crowd = int(draw.choice([3, 7, 5])), bool(draw.random() < 0.3)
        own = 2**62 + position
        found.append(Checked(position, image, own, 1 + position % 3, crowd, box, shape, points))
    return found


def same(one, other):
    for a, b in zip(one, other):
        if isinstance(a, (list, tuple)):
            assert len(a) == len(b)
            same(a, b)
        else:
            np.testing.assert_array_equal(a, b)


def by_image(found):
    groups = {}
    for one in sorted(found, key=lambda one: one.position):
        groups.setdefault(one.image_id, []).append(one)
    return groups


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("joints", [0, 2])
def test_a_table_holds_what_the_objects_hold(seed, joints):
    found = objects(seed, joints=joints)
    table = joined([table_of(found[:5], joints), table_of(found[5:], joints)])
    table.check()
    groups = by_image(found)
    assert table.checked().keys() == groups.keys()
    for image_id, wanted in groups.items():
        same(wanted, table.checked()[image_id])
    kept = np.random.default_rng(seed).random(len(found)) < 0.5
    some = by_image([one for one, own in zip(found, kept) if own])
    for image_id, wanted in some.items():
        same(wanted, table.only(kept).checked()[image_id])
    table.only(kept).check()
    ids = np.array([5, 9, 3, 7])
    order, counts = table.by_image(ids)
    assert counts.tolist() == [len(groups.get(i, [])) for i in ids.tolist()]
    wanted = [one.annotation_id for i in ids.tolist() for one in groups.get(i, [])]
    assert table.annotation_ids[order].tolist() == wanted


def test_no_object_is_a_table_too():
    table = joined([table_of([]), table_of([])])
    table.check()
    assert table.checked() == {} and table.segmentations() == []
    assert table.by_image(np.array([4, 2]))[1].tolist() == [0, 0]
    assert table_of([], joints=3).keypoints.shape == (0, 3, 3)


def test_an_object_of_no_image_is_refused():
    for ids in ([3, 5], [3, 5, 6], [8]):
        with pytest.raises(ValueError, match="of no image"):
            table_of(objects(0)).by_image(np.array(ids))


@pytest.mark.parametrize("key", ["crowd", "boxes", "parts", "lengths", "points", "rles"])
def test_arrays_of_another_set_are_refused(key):
    table = table_of(objects(1))
    with pytest.raises(ValueError, match="of different sets"):
        table._replace(**{key: getattr(table, key)[1:]}).check()
    with pytest.raises(ValueError, match="of different sets"):
        table._replace(boxes=table.boxes[:, :3]).check()
