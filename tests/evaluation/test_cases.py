"""Every case of `shared/cases` that is COCO, as training and evaluation read it: strictly, leaving
out what is wrong, and judged by an evaluation whose log agrees with its result."""

import logging
import re

import numpy as np
import pytest

from helpers.cases import case
from tfmaskrcnn.data import load_coco, read_image
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.evaluation import evaluate
from tfmaskrcnn.instances import Instances

# Case -> the sentence that stops a strict reading ("" where none does), and the objects that are
# left where wrong annotations are left out (None where that stops too).
SETS = {
    "d01_via_coco_export": ("'height' is -1.*VIA.*import-data via", None),
    "d01b_via_category_null": ("'category_id' is None.*VIA.*import-data via", None),
    "d02_roboflow_parent": ("", 8),
    "d03_label_studio_paths": ("p0.png does not exist. There is 'p0.png' in .*--fix", None),
    "d03b_images_backslash": ("images.p0.png does not exist. There is 'p0.png' in", None),
    "d03d_url_file_name": ("upload/4/p0.png does not exist. There is 'p0.png' in", None),
    "d05_text_ids": ("'id' is '1541715161401', wanted an integer. It is an integer.*--fix", None),
    "d05b_float_ids": ("None of the 2 categories|'id' is 1.0, wanted an integer.*--fix", None),
    "d06_box_as_polygon": ("4 coordinates.* It is the box given as polygon: .*--fix", None),
    "d07_list_of_points": ("It is a list of points: .*--fix", None),
    "d07c_nested_thrice": ("It is a polygon with a list too many around it: .*--fix", None),
    "d08_ids_per_image": ("repeats the annotation id .*--fix", 8),
    "d08b_ids_missing": ("'id' is missing, wanted an integer.*--fix", 8),
    "d09_cvat_all_crowd": ("", 8),
    "d10_exif_90": ("", 8),
    "d10b_exif_180": ("", 8),
    "d12_size_swapped": ("height and width are exchanged", 8),
    "d12b_size_missing": ("'height' is missing, wanted an integer", None),
    "d13_rle_size_swapped": ("'size' of its RLE is .*It is an RLE whose size is swapped", None),
    "d13d_rle_row_major": ("", 8),
    "d14_boxes": ("has no area; wanted width and height above 0", 4),
    "d14b_all_xyxy": ("", 8),
    "d19_many": ("", 392),
    "d20_hole": ("", 8),
    "d22_categories_object": ("'categories' is a dict, wanted a list.*--fix", None),
    "d22b_name_number": ("'name' is 0, wanted a text. It is a name that is a number", None),
    "d24_iscrowd_text": ("'iscrowd' is '0', wanted 0 or 1.*--fix", None),
    "e01d_same_id": ("repeats the annotation id 1.*--fix", 8),
    "e05_one_empty_segmentation": ("its segmentation is .*wanted polygons or an RLE", 7),
    "f01_one_nested": ("It is a polygon with a list too many around it: .*--fix", 7),
    "f02_one_box_polygon": ("It is the box given as polygon: .*--fix", 7),
    "f04_half_crowd": ("", 8),
    "f09_nan_coordinate": ("a polygon holds .*nan.*wanted finite numbers only", 7),
    "g01_vertex_1e9": ("reaches from .* y 1e.09, more than 10 sides outside the image", 7),
    "g03_vertex_1e5": ("reaches from .* y 100000, more than 10 sides outside the image", 7),
}
HOSTILE = {
    "bbox_1e400.json": "its bbox is .10000.*four finite numbers",
    "check_segv_height_1e30.json": "is said to have .* pixels .*its file is 40 x 50",
    "eval_area_text.json": "its area is .*wanted a number",
    "eval_bbox_nan.json": "its bbox is .*nan.*four finite numbers",
    "eval_image_id_list.json": "'image_id' is .*, wanted an integer",
    "eval_segv_polygon_1e9.json": "more than 10 sides outside the image",
    "surrogate_counts.json": "no compressed run lengths",
}


def paths(name):
    folder = case(f"data/{name}")
    return str(folder / "train.json"), str(folder / "images")


def perfect_size(images):
    """A stand-in for a model, which finds one object in the middle."""
    found = []
    for image in images:
        height, width = image.shape[:2]
        box = np.float32([[height / 4, width / 4, height / 2, width / 2]])
        masks = np.ones((1, 28, 28), np.float32)
        one = np.ones(1, np.float32)
        found.append(Instances(box, one, one.astype(np.int32), (height, width), masks))
    return found


def strictly(json_path, images):
    """Read as training does, pixels too."""
    data = load_coco(json_path, images)
    for record in data.records:
        read_image(record.path, (record.height, record.width))
    return data


@pytest.mark.parametrize("name", SETS)
def test_a_set_is_read_or_stops_with_the_sentence_that_helps(name):
    sentence = SETS[name][0]
    if sentence:
        with pytest.raises(InputError, match=sentence) as caught:
            strictly(*paths(name))
        assert "\n" not in str(caught.value)
    else:
        assert sum(len(r.classes) for r in strictly(*paths(name)).records) == SETS[name][1]


@pytest.mark.parametrize("name", [name for name in SETS if SETS[name][1] is not None])
def test_what_an_evaluation_counts_is_what_its_log_leaves(name, caplog):
    json_path, images = paths(name)
    data = load_coco(json_path, images, skip_invalid=True)
    assert sum(len(record.classes) for record in data.records) == SETS[name][1]
    caplog.clear()
    if name == "d12_size_swapped":
        with pytest.raises(InputError, match="height and width are exchanged"):
            evaluate(perfect_size, json_path, images)
        return
    with caplog.at_level(logging.WARNING):
        result = evaluate(perfect_size, json_path, images)
    left_out = [int(n) for n in re.findall(r"left out (\d+) wrong", caplog.text)]
    assert result.num_objects == SETS[name][1]
    total = 392 if name == "d19_many" else 8
    assert total - sum(left_out) == result.num_objects


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_a_sentence(name):
    json_path, images = str(case(f"hostile/{name}")), str(case("hostile/images"))
    with pytest.raises(InputError, match=HOSTILE[name]) as caught:
        load_coco(json_path, images)
    assert len(str(caught.value)) < 600
    str(caught.value).encode()  # without lone surrogates


def test_the_good_file_is_read():
    assert load_coco(str(case("hostile/good.json")), str(case("hostile/images"))).records
