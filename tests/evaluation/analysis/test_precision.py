"""Matching and AP against pycocotools, and AP of draws of images against AP of copies."""

import contextlib
import dataclasses
import io

import numpy as np
import pytest
from pycocotools.cocoeval import COCOeval

from helpers.drawn_sets import drawn, random_set
from tfmaskrcnn.evaluation.analysis.coco_matching import ALL_AREAS, NONE, match_all
from tfmaskrcnn.evaluation.analysis.precision import (
    ABSENT,
    RECALLS,
    _needed,
    average_precision,
    mean_present,
)
from tfmaskrcnn.evaluation.ground_truth import coco_index

A, B = (10, 10, 30, 30), (10, 60, 30, 80)
AREAS = (ALL_AREAS, (0, 600), (600, 1e10))


def reference(examined, kind, areas):
    """COCOeval's precision [T, R, K, areas], of the same images."""
    images = [{"id": i.image_id, "height": i.size[0], "width": i.size[1]} for i in examined.images]
    objects, found = [], []
    for image in examined.images:
        for part, entries in ((image.objects, objects), (image.found, found)):
            for n, (k, (y1, x1, y2, x2)) in enumerate(zip(part.classes.tolist(), part.boxes)):
                entry = {"image_id": image.image_id, "category_id": k, "iscrowd": 0}
                entry["bbox"] = [x1, y1, x2 - x1, y2 - y1]
                entry.update(area=(y2 - y1) * (x2 - x1), segmentation=part.rles[n])
                entries.append({**entry, "id": len(entries) + 1})
                if part is image.objects:
                    entries[-1]["iscrowd"] = int(part.crowd[n])
                else:
                    entries[-1]["score"] = part.scores[n]
    ids = tuple(range(1, examined.num_classes + 1))
    parts = coco_index(images, ids, objects), coco_index(images, ids, found)
    evaluation = COCOeval(*parts, {"mask": "segm", "box": "bbox"}[kind])
    evaluation.params.areaRng = [list(area) for area in areas]
    evaluation.params.areaRngLbl = [str(area) for area in areas]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][..., -1]


@pytest.mark.parametrize("kind", ["mask", "box"])
@pytest.mark.parametrize("seed", range(6))
def test_ap_is_that_of_pycocotools(seed, kind):
    examined = random_set(seed, num_images=12)
    expected = reference(examined, kind, AREAS)
    for a, area in enumerate(AREAS):
        ap = average_precision(match_all(examined, kind, area=area))[0]  # [K, T]
        np.testing.assert_allclose(ap, expected[..., a].mean(axis=1).T, atol=1e-12, rtol=0)


def without_ties(examined):
    """Equal scores are ordered by image, which copies of images change."""
    images = []
    for i, image in enumerate(examined.images):
        scores = image.found.scores - 1e-6 * np.arange(len(image.found.scores)) - 1e-8 * i
        images.append(dataclasses.replace(image, found=image.found._replace(scores=scores)))
    return dataclasses.replace(examined, images=images)


def test_a_draw_counts_each_image_as_often_as_it_says():
    examined = without_ties(random_set(3, num_images=5))
    draw = np.array([[2, 0, 1, 3, 0]])
    copies = [i for i, times in enumerate(draw[0]) for _ in range(times)]
    copied = dataclasses.replace(examined, images=[examined.images[i] for i in copies])
    expected = average_precision(match_all(copied, "mask"))
    np.testing.assert_allclose(
        average_precision(match_all(examined, "mask"), draw), expected, atol=1e-12
    )


def test_a_class_without_objects_in_a_draw_is_absent_and_no_part_of_the_mean():
    examined = drawn([([(1, A)], [(1, A, 0.9)]), ([(2, A)], [])])
    ap = average_precision(match_all(examined, "box"), np.array([[1, 0], [1, 1], [0, 0]]))
    assert (ap[0, 1] == ABSENT).all() and (ap[0, 0] == 1).all()
    assert mean_present(ap).tolist() == [1.0, 0.5, ABSENT]


def test_detections_in_crowds_and_of_other_sizes_are_neither_right_nor_wrong():
    crowd, small = (10, 60, 50, 100), (60, 10, 64, 14)
    examined = drawn([([(1, A), (1, crowd, True)], [(1, A, 0.9), (1, B, 0.8), (1, small, 0.7)])])
    matches = match_all(examined, "box", [0.5], area=(100, 1e10))
    assert matches.ignored.tolist() == [[False, True, True]]
    assert matches.right.tolist() == [[True, False, False]] and not matches.wrong.any()
    assert matches.objects.tolist() == [[0, 1, NONE]] and matches.counts.tolist() == [[1]]


def test_nothing_found_and_nothing_there():
    examined = drawn([([(1, A)], []), ([], [])])
    assert mean_present(average_precision(match_all(examined, "mask")))[0] == 0.0
    examined = drawn([([], [(1, A, 0.5)])])
    assert mean_present(average_precision(match_all(examined, "mask")))[0] == ABSENT


def test_recalls_are_reached_where_cocoeval_reaches_them():
    # It looks for the first of the quotients hits / objects that is no less than the recall.
    whole = np.arange(1, 300)
    needed = _needed(whole)
    for n, row in zip(whole, needed):
        np.testing.assert_array_equal(row, np.searchsorted(np.arange(n + 1) / n, RECALLS))
