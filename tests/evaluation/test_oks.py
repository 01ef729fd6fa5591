import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tfmaskrcnn.data import write_shapes
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.evaluation import CocoEvaluator
from tfmaskrcnn.instances import Instances

KEYS = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")
SIGMAS = (0.03, 0.05, 0.07, 0.09)


@pytest.fixture(scope="module")
def arrows(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("arrows"))
    return write_shapes(folder, num_images=5, height=200, width=240, classes=("arrow",), seed=5)[0]


def instances(coco, image_id, noise, seed=0):
    """The annotated objects of an image, keypoints shifted by normal noise in pixels."""
    rng = np.random.default_rng(seed)
    entries = [e for e in coco["annotations"] if e["image_id"] == image_id]
    x, y, w, h = np.array([e["bbox"] for e in entries]).reshape(-1, 4).T
    points = np.array([e["keypoints"] for e in entries]).reshape(-1, 4, 3)
    points = np.stack([points[..., 1], points[..., 0], points[..., 2]], axis=-1)
    points[..., :2] += 0.5 + rng.normal(0, noise, points[..., :2].shape)
    scores = np.sort(rng.uniform(0.1, 1, len(entries)))[::-1]
    boxes, classes = np.stack([y, x, y + h, x + w], axis=-1), [1] * len(entries)
    return Instances(boxes, scores, classes, (200, 240), keypoints=points)


def evaluated(path, noise, **options):
    with open(path, encoding="utf-8") as file:
        coco = json.load(file)
    evaluator = CocoEvaluator(path, **options)
    for image in coco["images"]:
        evaluator.add(image["id"], instances(coco, image["id"], noise, image["id"]))
    return coco, evaluator


def test_perfect_keypoints_have_an_ap_of_one(arrows):
    result = evaluated(arrows, noise=0)[1].result()
    assert tuple(result.keypoints) == KEYS
    assert result.keypoints["AP"] == result.keypoints["AR"] == 1.0
    assert result.as_logs()["val_keypoint_ap75"] == 1.0


def test_noisy_keypoints_have_pycocotools_numbers(arrows):
    coco, evaluator = evaluated(arrows, noise=2.0, keypoint_sigmas=SIGMAS)
    found = evaluator.result().keypoints
    results = [
        entry
        for image in coco["images"]
        for entry in instances(coco, image["id"], 2.0, image["id"]).coco_results(image["id"], [1])
    ]
    for entry in results:
        del entry["bbox"]  # else loadRes takes them for boxes
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(arrows)
        direct = COCOeval(truth, truth.loadRes(results), "keypoints")
        direct.params.kpt_oks_sigmas = np.array(SIGMAS)
        direct.evaluate()
        direct.accumulate()
        direct.summarize()
    np.testing.assert_allclose([found[key] for key in KEYS], direct.stats, atol=1e-12)
    assert 0.1 < found["AP"] < 0.9


def test_half_a_pixel_is_taken_off_again(arrows):
    with open(arrows, encoding="utf-8") as file:
        coco = json.load(file)
    entry = next(e for e in coco["annotations"] if e["image_id"] == 1)
    found = instances(coco, 1, 0).coco_results(1, [1])[0]["keypoints"]
    np.testing.assert_allclose(found[:2], entry["keypoints"][:2])


def test_objects_without_labelled_keypoints_are_not_looked_for(arrows, tmp_path):
    with open(arrows, encoding="utf-8") as file:
        coco = json.load(file)
    first = coco["annotations"][0]
    del first["keypoints"], first["num_keypoints"]
    path = tmp_path / "some.json"
    path.write_text(json.dumps(coco))
    evaluator = CocoEvaluator(str(path))
    complete = {**coco, "annotations": coco["annotations"][1:]}
    for image in coco["images"]:
        evaluator.add(image["id"], instances(complete, image["id"], 0))
    assert evaluator.result().keypoints["AR"] == 1.0


def test_annotations_of_another_number_of_keypoints_are_named(arrows, tmp_path):
    with open(arrows, encoding="utf-8") as file:
        coco = json.load(file)
    original = json.loads(json.dumps(coco))
    coco["annotations"][0]["keypoints"] = [1, 2, 2]
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(coco))
    evaluator = CocoEvaluator(str(path))
    evaluator.add(1, instances(original, 1, 0))
    with pytest.raises(InputError, match="annotation 1 of image 1 has 3 keypoint numbers"):
        evaluator.result()


def test_a_model_without_keypoints_has_no_numbers(arrows):
    evaluator = CocoEvaluator(arrows)
    evaluator.add(1, Instances(np.zeros((0, 4)), [], [], (200, 240)))
    result = evaluator.result()
    assert result.keypoints is None and "val_keypoint_ap" not in result.as_logs()


def test_the_table_shows_them(arrows):
    result = evaluated(arrows, noise=0)[1].result()
    assert "Object keypoint similarity" in result.table()
    assert "OKS 0.50 to 0.95" in result.table()
    assert json.loads(result.to_json())["keypoints"]["AP"] == 1.0
