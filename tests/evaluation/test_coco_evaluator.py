"""`CocoEvaluator` and `CocoResult` against pycocotools' own way through files."""

import contextlib
import dataclasses
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.evaluation import CocoEvaluator
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.ops.paste import masks_to_rle

NAMES = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]


def official(json_path, results, kind, max_detections=(1, 10, 100), image_ids=None):
    """The finished `COCOeval` of a result list that is loaded as pycocotools wants it loaded."""
    keys = ("image_id", "category_id", "score", "bbox" if kind == "bbox" else "segmentation")
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(json_path)
        evaluation = COCOeval(
            truth, truth.loadRes([{k: r[k] for k in keys} for r in results]), kind
        )
        evaluation.params.maxDets = list(max_detections)
        evaluation.params.imgIds = image_ids or evaluation.params.imgIds
        evaluation.evaluate()
        evaluation.accumulate()
        if tuple(max_detections) == (1, 10, 100):
            evaluation.summarize()
    return evaluation


def evaluated(coco_set, found, **options):
    evaluator = CocoEvaluator(coco_set.json_path, **options)
    evaluator.add_many(list(found), list(found.values()))
    return evaluator.result()


@pytest.mark.parametrize("seed", range(20))
def test_the_twelve_numbers_are_those_of_summarize(make_coco_set, seed):
    coco_set = make_coco_set(seed=seed)
    found = {i: coco_set.noisy(i, seed) for i in coco_set.image_ids}
    result = evaluated(coco_set, found)
    results = [r for i in found for r in found[i].coco_results(i, (3, 7))]
    for kind, numbers in (("bbox", result.boxes), ("segm", result.masks)):
        assert list(numbers) == NAMES
        stats = official(coco_set.json_path, results, kind).stats
        np.testing.assert_allclose(list(numbers.values()), stats, atol=1e-12)
    assert 0.05 < result.masks["AP"] < 0.95


def test_small_medium_and_large_masks_all_occur_in_the_fabricated_sets(make_coco_set):
    # Or the comparison of APs, APm and APl would compare -1 with -1.
    areas = [a["area"] for seed in range(20) for a in make_coco_set(seed=seed).raw["annotations"]]
    assert min(np.histogram(areas, [0, 32**2, 96**2, 1e9])[0]) > 20


def test_per_class_ap_is_that_of_an_evaluation_of_this_class_alone(coco_set):
    found = {i: coco_set.noisy(i, 1) for i in coco_set.image_ids}
    result = evaluated(coco_set, found)
    results = [r for i in found for r in found[i].coco_results(i, (3, 7))]
    assert list(result.mask_ap_per_class) == ["leaf", "plum"]
    for k, name in enumerate(result.mask_ap_per_class):
        for kind, own in (("segm", result.mask_ap_per_class), ("bbox", result.box_ap_per_class)):
            precision = official(coco_set.json_path, results, kind).eval["precision"]
            assert own[name] == pytest.approx(precision[:, :, k, 0, 2].mean(), abs=1e-12)


def test_ap_is_taken_at_the_largest_number_of_detections(tmp_path, instances_of):
    # 150 squares in one image, all found: 100 detections reach recall 100/150, which covers the
    # recall points 0, 0.01 ... 0.66, 67 of 101; 1000 detections reach them all.
    masks = np.zeros((150, 100, 150), bool)
    for i, mask in enumerate(masks):
        mask[i // 15 * 10 : i // 15 * 10 + 8, i % 15 * 10 : i % 15 * 10 + 8] = True
    path = str(tmp_path / "squares.json")
    annotations = [
        {"id": i, "image_id": 1, "category_id": 1, "segmentation": rle}
        for i, rle in enumerate(masks_to_rle(masks))
    ]
    raw = {
        "images": [{"id": 1, "height": 100, "width": 150}],
        "categories": [{"id": 1, "name": "square"}],
        "annotations": annotations,
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(raw, file)
    values = {}
    for limits in ((1, 10, 100), (1, 100, 1000)):
        evaluator = CocoEvaluator(path, limits)
        evaluator.add(1, instances_of(masks, np.ones(150), class_names=("square",)))
        values[limits] = evaluator.result()
    for kind in ("masks", "boxes"):
        few, many = (getattr(v, kind) for v in values.values())
        assert few["AP"] == pytest.approx(67 / 101) and few["AR100"] == pytest.approx(100 / 150)
        assert many["AP"] == many["AP50"] == many["AR1000"] == many["ARs"] == 1.0
        assert many["AR1"] == pytest.approx(1 / 150) and many["AR100"] == pytest.approx(100 / 150)


def test_the_ground_truth_found_exactly_has_an_ap_of_one(coco_set):
    result = evaluated(coco_set, {i: coco_set.perfect(i) for i in coco_set.image_ids})
    assert result.masks["AP"] == result.boxes["AP"] == 1.0
    assert (result.num_images, result.num_objects, result.num_detections) == (3, 18, 18)


def test_ids_from_zero_and_ids_that_repeat_lose_no_match(coco_set):
    # COCOeval itself takes a match with annotation 0 for none.
    for start, step in ((0, 1), (0, 0)):
        for i, entry in enumerate(coco_set.raw["annotations"]):
            entry["id"] = start + i * step
        coco_set.write()
        result = evaluated(coco_set, {i: coco_set.perfect(i) for i in coco_set.image_ids})
        assert result.masks["AP"] == result.boxes["AP"] == 1.0


def test_only_images_that_were_added_count(coco_set):
    image_ids = coco_set.image_ids[:1]
    found = {image_ids[0]: coco_set.noisy(image_ids[0], 2)}
    result = evaluated(coco_set, found)
    results = found[image_ids[0]].coco_results(image_ids[0], (3, 7))
    stats = official(coco_set.json_path, results, "segm", image_ids=image_ids).stats
    np.testing.assert_allclose(list(result.masks.values()), stats, atol=1e-12)
    assert result.num_images == 1 and result.num_objects == 6


def test_an_image_with_nothing_found_costs_recall(coco_set):
    none = Instances(boxes=[], scores=[], classes=[], size=(150, 190))
    found = {i: coco_set.perfect(i) for i in coco_set.image_ids}
    found[coco_set.image_ids[0]] = none
    assert evaluated(coco_set, found).masks["AR100"] < 0.9


def test_no_detections_at_all_give_zeros(coco_set):
    none = Instances(boxes=[], scores=[], classes=[], size=(150, 190))
    result = evaluated(coco_set, dict.fromkeys(coco_set.image_ids, none))
    for numbers in (result.masks, result.boxes):
        assert numbers["AP"] == numbers["AP50"] == numbers["AR100"] == 0.0
        assert set(numbers.values()) <= {0.0, -1.0}


def test_nothing_added_is_absent_not_a_crash(coco_set):
    result = CocoEvaluator(coco_set.json_path).result()
    assert set(result.masks.values()) == set(result.boxes.values()) == {-1.0}


def test_an_image_without_objects_is_absent_and_shown_as_such(coco_set):
    coco_set.raw["annotations"] = []
    coco_set.write()
    result = evaluated(coco_set, {10: coco_set.noisy(10, 0)})
    assert set(result.masks.values()) == {-1.0}
    assert result.table().count("n/a") == 2 * 12 + 2 * 2
    assert json.loads(result.to_json())["masks"]["AP"] is None


def test_boxes_alone_have_box_numbers_and_no_mask_numbers(coco_set):
    found = {}
    for i in coco_set.image_ids:
        p = coco_set.perfect(i)
        found[i] = Instances(boxes=p.boxes, scores=p.scores, classes=p.classes, size=p.size)
    result = evaluated(coco_set, found)
    assert result.boxes["AP"] == 1.0 and set(result.masks.values()) == {-1.0}
    assert set(result.mask_ap_per_class.values()) == {-1.0}


def test_pycocotools_prints_nothing(coco_set, capsys):
    evaluated(coco_set, {i: coco_set.noisy(i, 0) for i in coco_set.image_ids})
    assert capsys.readouterr() == ("", "")


def test_reset_forgets_what_was_added(coco_set):
    evaluator = CocoEvaluator(coco_set.json_path)
    evaluator.add(10, coco_set.noisy(10, 0))
    evaluator.reset()
    for i in coco_set.image_ids:
        evaluator.add(i, coco_set.perfect(i))
    assert evaluator.result().masks["AP"] == 1.0


def test_the_result_twice_is_the_same(coco_set):
    evaluator = CocoEvaluator(coco_set.json_path)
    for i in coco_set.image_ids:
        evaluator.add(i, coco_set.noisy(i, 5))
    assert evaluator.result() == evaluator.result()


def test_logs_are_flat_and_named_by_kind(coco_set):
    result = evaluated(coco_set, {10: coco_set.noisy(10, 0)}, max_detections=(1, 100, 1000))
    logs = result.as_logs()
    assert len(logs) == 24 and all(isinstance(v, float) for v in logs.values())
    assert logs["val_mask_ap"] == result.masks["AP"]
    assert logs["val_box_ap50"] == result.boxes["AP50"]
    assert logs["val_mask_ar1000"] == result.masks["AR1000"]
    assert "test/mask_aps" in result.as_logs("test/")


def test_the_table_shows_every_number_and_fits_a_terminal(coco_set):
    result = evaluated(coco_set, {i: coco_set.noisy(i, 0) for i in coco_set.image_ids})
    table = result.table()
    assert max(map(len, table.splitlines())) <= 80
    for name in (*NAMES, "leaf", "plum", "3 images, 18 objects"):
        assert name in table
    row = next(line for line in table.splitlines() if line.split()[:1] == ["AP"])
    assert row.split()[-2:] == [f"{result.masks['AP']:.3f}", f"{result.boxes['AP']:.3f}"]


def test_json_holds_the_numbers(coco_set):
    result = evaluated(coco_set, {i: coco_set.noisy(i, 0) for i in coco_set.image_ids})
    values = json.loads(result.to_json())
    assert values["masks"]["AP50"] == result.masks["AP50"]
    assert values["box_ap_per_class"]["plum"] == result.box_ap_per_class["plum"]


@pytest.mark.parametrize(
    "names, message",
    [
        (("leaf", "pear"), "does not know the categories of .*: plum. Model: leaf, pear; file"),
        (("leaf",), "does not know the categories of .*: plum. Model: leaf; file"),
    ],
)
def test_a_category_that_the_model_lacks_is_refused_naming_both(coco_set, names, message):
    with pytest.raises(InputError, match=message):
        CocoEvaluator(coco_set.json_path, class_names=names)
    instances = Instances(boxes=[], scores=[], classes=[], size=(150, 190), class_names=names)
    with pytest.raises(InputError, match=message):
        CocoEvaluator(coco_set.json_path).add(10, instances)


def test_classes_find_their_categories_by_name(coco_set):
    # A model of three classes in another order; its stone is no category of the file.
    names, place = ("stone", "plum", "leaf"), {1: 3, 2: 2}
    renamed, plain = {}, {}
    for i in coco_set.image_ids:
        plain[i] = found = coco_set.noisy(i, 0)
        classes = [place[k] for k in found.classes.tolist()]
        renamed[i] = dataclasses.replace(found, classes=classes, class_names=names)
    expected, result = evaluated(coco_set, plain), evaluated(coco_set, renamed)
    assert result.masks == expected.masks and result.boxes == expected.boxes
    extra = dataclasses.replace(renamed[10], classes=[1] * len(renamed[10]))
    evaluator = CocoEvaluator(coco_set.json_path)
    evaluator.add(10, extra)
    assert evaluator.result().num_detections == 0


def test_what_does_not_belong_to_the_set_is_refused(coco_set):
    evaluator = CocoEvaluator(coco_set.json_path)
    found = coco_set.perfect(10)
    evaluator.add(10, found)
    with pytest.raises(InputError, match="Image 10 was added to the evaluation twice"):
        evaluator.add(10, found)
    with pytest.raises(InputError, match="val.json has no image with the id 11"):
        evaluator.add(11, found)
    other = {"boxes": [[0, 0, 5, 5]], "scores": [1], "classes": [1]}
    with pytest.raises(InputError, match="Image 20 is 150 x 190 pixels .* one of 50 x 60"):
        evaluator.add(20, Instances(**other, size=(50, 60)))
    with pytest.raises(InputError, match=r"Image 20 .*classes 3\.\.3 found, wanted 1\.\.2"):
        evaluator.add(20, Instances(**{**other, "classes": [3]}, size=(150, 190)))
    with pytest.raises(InputError, match="2 image ids for 1 Instances"):
        evaluator.add_many([20, 30], [found])
    assert evaluator.result().num_images == 1


@pytest.mark.parametrize("limits", [(), (0, 10), (100, 10), (10, 10)])
def test_limits_that_do_not_ascend_are_refused(coco_set, limits):
    with pytest.raises(InputError, match="max_detections is .*ascending"):
        CocoEvaluator(coco_set.json_path, limits)


def boxes_of(instances):
    return dataclasses.replace(instances, mask_probabilities=None, exact_rle=None)


def test_a_set_of_boxes_alone_gives_box_numbers(coco_set):
    found = {i: coco_set.noisy(i, 1) for i in coco_set.image_ids}
    expected = evaluated(coco_set, found).boxes
    for entry in coco_set.raw["annotations"]:
        del entry["segmentation"]
    coco_set.write()
    for model in (found, {i: boxes_of(instances) for i, instances in found.items()}):
        result = evaluated(coco_set, model)
        assert not result.has_masks and set(result.masks.values()) == {-1.0}
        assert result.boxes == expected  # `area` was in the file
        assert "masks" not in result.table() and "n/a" not in result.table().splitlines()[4]


def test_an_annotation_of_a_box_alone_among_masks_is_an_error_for_masks_alone(coco_set):
    del coco_set.raw["annotations"][0]["segmentation"]
    coco_set.raw["annotations"][0].pop("area")
    coco_set.write()
    found = {i: coco_set.perfect(i) for i in coco_set.image_ids}
    with pytest.raises(InputError, match="annotation 1 of image 10: its segmentation is None"):
        evaluated(coco_set, found)
    result = evaluated(coco_set, {i: boxes_of(instances) for i, instances in found.items()})
    assert result.boxes["AP"] == 1.0 and not result.has_masks


def test_an_annotation_without_mask_and_box_is_an_error(coco_set):
    for entry in coco_set.raw["annotations"]:
        del entry["segmentation"]
    del coco_set.raw["annotations"][0]["bbox"]
    coco_set.write()
    with pytest.raises(InputError, match="annotation 1 of image 10: its bbox is None"):
        evaluated(coco_set, {10: coco_set.perfect(10)})


@pytest.mark.parametrize("name, row", [("scores", 0), ("boxes", [0, 0, np.inf, 9])])
def test_numbers_that_are_not_finite_are_refused(coco_set, name, row):
    found = coco_set.perfect(10)
    values = getattr(found, name).copy()
    values[1] = np.nan if name == "scores" else row
    wrong = dataclasses.replace(found, **{name: values})
    with pytest.raises(InputError, match=f"Image 10: {name} were found that are no finite"):
        CocoEvaluator(coco_set.json_path).add(10, wrong)


def test_masks_of_another_size_than_the_image_are_refused(coco_set):
    found = coco_set.perfect(10)
    wrong = dataclasses.replace(found, exact_rle=masks_to_rle(np.ones((len(found), 9, 8), bool)))
    with pytest.raises(InputError, match=r"Image 10 of \(150, 190\) has masks of \(9, 8\)"):
        CocoEvaluator(coco_set.json_path).add(10, wrong)


def test_classes_of_equal_names_are_told_apart_by_their_ids(coco_set):
    named = {3: "plum", 7: "plum", 9: "plum (3)"}
    coco_set.raw["categories"] = [{"id": i, "name": name} for i, name in named.items()]
    coco_set.write()
    names = CocoEvaluator(coco_set.json_path).examined().class_names
    assert names == ("plum (3) (3)", "plum (7)", "plum (3) (9)")
