import numpy as np

from helpers.drawn_sets import drawn, random_set
from helpers.without_masks import without_masks
from tfmaskrcnn.evaluation.analysis.examined import examine
from tfmaskrcnn.evaluation.ground_truth import GroundTruthFile


def examined_of(coco_set, most=100, keep=lambda entries: entries):
    truth = GroundTruthFile(coco_set.json_path)
    results = {
        i: keep(coco_set.noisy(i, 0).coco_results(i, truth.category_ids))
        for i in reversed(coco_set.image_ids)
    }
    return truth, results, examine(truth, results, truth.class_names, True, most)


def test_images_are_ordered_by_id_and_detections_by_score(coco_set):
    _, results, examined = examined_of(coco_set)
    assert [image.image_id for image in examined.images] == sorted(coco_set.image_ids)
    for image in examined.images:
        scores = [entry["score"] for entry in results[image.image_id]]
        np.testing.assert_array_equal(image.found.scores, sorted(scores, reverse=True))


def test_what_the_file_says_of_objects_comes_out_as_arrays(coco_set):
    truth, _, examined = examined_of(coco_set)
    image = examined.images[0]
    entries = truth.annotations(image.image_id)
    x, y, width, height = entries[0]["bbox"]
    np.testing.assert_array_equal(image.objects.boxes[0], [y, x, y + height, x + width])
    np.testing.assert_array_equal(image.objects.areas, [entry["area"] for entry in entries])
    assert image.objects.crowd.tolist() == [bool(entry["iscrowd"]) for entry in entries]
    assert any(image.objects.crowd) and image.objects.ids[0] == entries[0]["original_id"]
    numbers = [truth.category_ids.index(entry["category_id"]) + 1 for entry in entries]
    assert image.objects.classes.tolist() == numbers
    assert (image.file_name, image.size) == ("10.png", (150, 190))


def test_only_the_best_detections_of_each_class_are_kept(coco_set):
    _, _, every = examined_of(coco_set)
    _, _, few = examined_of(coco_set, most=1)
    for image, whole in zip(few.images, every.images):
        for k in (1, 2):
            kept = image.found.scores[image.found.classes == k]
            np.testing.assert_array_equal(kept, whole.found.scores[whole.found.classes == k][:1])


def test_a_set_without_detections_or_objects_has_empty_overlaps(coco_set):
    _, _, examined = examined_of(coco_set, keep=lambda entries: [])
    image = examined.images[0]
    assert image.overlap("mask").shape == image.overlap("box").shape == (0, 6)
    assert image.found_areas("mask").shape == image.found_areas("box").shape == (0,)


def test_boxes_are_judged_where_there_are_no_masks():
    examined = random_set(0)
    assert examined.kinds == ("mask", "box") and examined.kind == "mask"
    assert without_masks(examined).kinds == ("box",)
    for image in examined.images:  # rectangles
        np.testing.assert_allclose(image.overlap("mask"), image.overlap("box"), atol=1e-12)
        np.testing.assert_array_equal(image.found_areas("mask"), image.found_areas("box"))


def test_any_number_of_masks_has_areas():
    examined = drawn([([], [(1, (0, 0, 2, i + 1), 0.5) for i in range(100)] * 3)])
    assert examined.images[0].found_areas("mask").sum() == 3 * 2 * 5050


def test_equal_scores_stay_in_their_order(coco_set):
    def equal(entries):
        return [{**entries[0], "score": i % 2, "bbox": [i, 0, 1, 1]} for i in range(90)]

    _, _, examined = examined_of(coco_set, keep=equal)
    found = examined.images[0].found.boxes[:, 1].tolist()
    assert found == [*range(1, 90, 2), *range(0, 90, 2)]


def test_of_a_crowd_region_the_share_of_the_detection_counts():
    image = drawn([([(1, (0, 0, 20, 40), True)], [(1, (10, 0, 30, 10), 0.5)])]).images[0]
    assert image.overlap("mask").tolist() == image.overlap("box").tolist() == [[0.5]]
