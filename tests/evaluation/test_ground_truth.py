"""`evaluation/ground_truth.py`: what is read, and how wrong files are refused."""

import pytest
from pycocotools import mask as coco_mask

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.evaluation import CocoEvaluator


def test_polygons_and_uncompressed_rle_are_read_as_pycocotools_reads_them(coco_set):
    first, second = coco_set.raw["annotations"][:2]
    first["segmentation"] = [[5, 5, 9, 9], [20, 20, 60, 20, 60, 70, 20, 70]]
    second["segmentation"] = {"size": [150, 190], "counts": [150, 75, 150 * 188 + 75]}
    for entry in (first, second):
        del entry["area"], entry["iscrowd"], entry["bbox"]
    coco_set.write()
    truth = CocoEvaluator(coco_set.json_path).truth
    got = truth.annotations(10)
    assert got[0]["area"] == 40 * 50 and got[0]["bbox"] == [20, 20, 40, 50]
    assert coco_mask.decode(got[1]["segmentation"]).sum() == 75 == got[1]["area"]
    assert got[1]["bbox"] == [1, 0, 1, 75] and got[1]["iscrowd"] == 0


@pytest.mark.parametrize(
    "change, message",
    [
        ({"segmentation": []}, r"annotation 3 of image 10: its segmentation is \[\]"),
        ({"segmentation": [[1, 2, 3, 4]]}, "wanted x, y pairs of at least 3 points"),
        ({"segmentation": None}, "its segmentation is None"),
        ({"segmentation": {"size": [9, 9], "counts": [81]}}, "annotation 3 of image 10"),
        ({"segmentation": {"size": [150, 190], "counts": "!!!"}}, "no compressed run lengths"),
        ({"segmentation": {"size": [150, 190], "counts": "0"}}, "add up to 0"),
        ({"bbox": [1, 2]}, r"its bbox is \[1, 2\]; wanted .* four finite numbers"),
        ({"bbox": [1, 2, "x", 3]}, "its bbox is .*; wanted .* four finite numbers"),
        ({"area": "12"}, "annotation 3 of image 10: its area is '12', wanted a number"),
        ({"area": float("nan")}, "its area is nan, wanted a number"),
        ({"category_id": 5}, r"category_id 5 is not in 'categories' \(3, 7\)"),
    ],
)
def test_an_annotation_that_cannot_be_evaluated_is_named(coco_set, change, message):
    coco_set.raw["annotations"][2].update(change)
    coco_set.write()
    evaluator = CocoEvaluator(coco_set.json_path)
    evaluator.add(20, coco_set.perfect(20))  # the other images are not concerned
    with pytest.raises(InputError, match=message):
        evaluator.add(10, coco_set.perfect(10))


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "is not valid JSON"),
        ("[]", "no COCO instance set: its top level is a list"),
        (
            '{"images": [{"id": 1}], "annotations": [], "categories": [{"id": 1, "name": "x"}]}',
            "image 1: 'height' is missing, wanted an integer",
        ),
    ],
)
def test_a_file_that_is_no_coco_set_is_refused(tmp_path, text, message):
    path = tmp_path / "x.json"
    with pytest.raises(InputError, match="Cannot read .*x.json: No such file"):
        CocoEvaluator(str(path))
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        CocoEvaluator(str(path))
