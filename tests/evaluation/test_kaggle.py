"""The Data Science Bowl's score on hand cases."""

import json

import numpy as np
import pytest

from tfmaskrcnn.evaluation import evaluate
from tfmaskrcnn.evaluation.kaggle import THRESHOLDS, kaggle_score
from tfmaskrcnn.ops.paste import masks_to_rle

SIZE = (20, 40)


def bar(start, stop):
    mask = np.zeros(SIZE, bool)
    mask[2:12, start:stop] = True
    return mask


class Truth:
    """Annotations of images by id: lists of (mask, category id, crowd)."""

    def __init__(self, images):
        self.contents = images
        self.images = {i: {"height": SIZE[0], "width": SIZE[1]} for i in images}

    def annotations(self, image_id):
        return [
            {"segmentation": masks_to_rle(m[None])[0], "category_id": k, "iscrowd": crowd}
            for m, k, crowd in self.contents[image_id]
        ]


def found(masks, scores, categories=None):
    categories = [7] * len(masks) if categories is None else categories
    return [
        {"segmentation": masks_to_rle(mask[None])[0], "score": score, "category_id": k}
        for mask, score, k in zip(masks, scores, categories)
    ]


def judged(truth, *detections, threshold=0.5):
    return kaggle_score(Truth(truth), dict(zip(truth, detections)), threshold)


def test_the_hand_case_of_a_shifted_mask():
    # 10 columns against 10, shifted by 1: IoU 9/11 = 0.818, right at 0.5 .. 0.8, that is 7 of 10.
    result = judged({1: [(bar(0, 10), 7, 0)]}, found([bar(1, 11)], [0.9]))
    assert result.score == pytest.approx(0.7)
    assert (result.pooled, result.precision, result.recall) == (1.0, 1.0, 1.0)


def test_false_and_missed_objects_count_once_each():
    truth = {1: [(bar(0, 10), 7, 0), (bar(20, 30), 7, 0)]}
    detections = found([bar(0, 10), bar(33, 38)], [0.9, 0.8])
    result = judged(truth, detections)
    assert result.score == pytest.approx(1 / 3) and result.pooled == pytest.approx(1 / 3)
    assert result.precision == result.recall == 0.5


def test_images_weigh_alike_and_objects_alike_when_pooled():
    many = [(bar(4 * i, 4 * i + 3), 7, 0) for i in range(9)]
    truth = {1: many, 2: [(bar(0, 10), 7, 0)]}
    right = found([mask for mask, _, _ in many], [0.9] * 9)
    result = judged(truth, right, found([], []))
    assert result.score == pytest.approx(0.5) and result.pooled == pytest.approx(0.9)


def test_scores_below_the_threshold_do_not_count():
    truth = {1: [(bar(0, 10), 7, 0)]}
    detections = found([bar(0, 10), bar(20, 30)], [0.9, 0.4])
    assert judged(truth, detections).score == 1.0
    assert judged(truth, detections, threshold=0.3).score == 0.5


def test_a_pixel_belongs_to_the_best_detection():
    # The second covers the first and the right object; what is left of it is exactly the object.
    truth = {1: [(bar(0, 10), 7, 0), (bar(10, 20), 7, 0)]}
    assert judged(truth, found([bar(0, 20), bar(0, 10)], [0.8, 0.9])).score == 1.0
    assert judged(truth, found([bar(0, 20), bar(0, 10)], [0.9, 0.8])).recall == 0.0


def test_an_object_is_found_once():
    truth = {1: [(bar(0, 10), 7, 0)]}
    result = judged(truth, found([bar(0, 10), bar(0, 10)], [0.9, 0.8]))
    assert result.precision == 1.0  # the second has no pixel left
    overlapping = {1: [(bar(0, 10), 7, 0), (bar(0, 10), 7, 0)]}
    assert judged(overlapping, found([bar(0, 10)], [0.9])).recall == 0.5


def test_classes_have_to_be_right():
    truth = {1: [(bar(0, 10), 3, 0)]}
    assert judged(truth, found([bar(0, 10)], [0.9], [3])).score == 1.0
    assert judged(truth, found([bar(0, 10)], [0.9], [7])).score == 0.0


def test_a_crowd_is_neither_found_nor_missed():
    truth = {1: [(bar(0, 10), 7, 0), (bar(20, 40), 7, 1)]}
    assert judged(truth, found([bar(0, 10), bar(22, 26)], [0.9, 0.9])).score == 1.0
    assert judged(truth, found([bar(0, 10)], [0.9])).score == 1.0


def test_an_empty_image_is_right_if_nothing_is_found_there():
    assert judged({1: []}, found([], [])).score == 1.0
    assert judged({1: []}, found([bar(0, 5)], [0.9])).score == 0.0
    assert judged({}).score == 0.0


@pytest.mark.parametrize("seed", range(20))
def test_it_is_the_plain_definition_on_disjoint_masks(seed):
    rng = np.random.default_rng(seed)
    edges = np.sort(rng.choice(np.arange(1, 40), 8, replace=False)).reshape(4, 2)
    objects = [bar(*edge) for edge in edges]
    moved = [bar(max(a - rng.integers(0, 2), 0), b) for a, b in edges[rng.permutation(4)[:3]]]
    labels = np.zeros(SIZE, int)
    for i, mask in reversed(list(enumerate(moved, start=1))):
        labels[mask] = i
    masks = [labels == i for i in (1, 2, 3)]
    iou = np.array([[(m & o).sum() / (m | o).sum() for o in objects] for m in masks])
    expected = []
    for threshold in THRESHOLDS:
        right = int((iou > threshold).any(axis=1).sum())
        expected.append(right / (3 + 4 - right))
    result = judged({1: [(o, 7, 0) for o in objects]}, found(moved, [0.9, 0.8, 0.7]))
    assert result.score == pytest.approx(np.mean(expected))


def test_the_evaluation_has_it_on_request(coco_set):
    def predict(images):
        return [coco_set.perfect(int(image[0, 0, 0])) for image in images]

    arguments = (predict, coco_set.json_path, coco_set.image_dir)
    plain, result = evaluate(*arguments), evaluate(*arguments, kaggle_threshold=0.25)
    assert plain.kaggle is None and "Data Science Bowl" not in plain.table()
    assert 0 < result.kaggle["pooled"] <= 1 and result.kaggle["score_threshold"] == 0.25
    assert f"{result.kaggle['score']:.3f}" in result.table()
    assert json.loads(result.to_json())["kaggle"] == result.kaggle
