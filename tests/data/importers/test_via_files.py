"""`data/importers/via_files.py` and `data/importers/via_three.py`: CSV, and projects of VIA 3."""

import json

import numpy as np
import pytest
from PIL import Image

from helpers.cases import case
from tfmaskrcnn.data.importers import from_via
from tfmaskrcnn.errors import InputError

FOLDER = "data/d16_via3"
HEAD = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,"
HEAD += "region_attributes\n"


def images():
    return str(case(f"{FOLDER}/images"))


def three():
    return json.loads(case(f"{FOLDER}/via3.json").read_text())


def written(folder, raw):
    (folder / "via.json").write_text(json.dumps(raw))
    return str(folder / "via.json")


def test_a_project_of_via_3_gives_what_via_2_gives_case_d16():
    found = [from_via(str(case(f"{FOLDER}/via{n}.json")), images()) for n in (2, 3)]
    assert found[0].coco == found[1].coco
    assert len(found[1].coco["annotations"]) == 8


def test_an_image_with_a_region_without_a_class_is_told_or_skipped_case_d16():
    path = str(case(f"{FOLDER}/via2_one_without_class.json"))
    with pytest.raises(InputError, match="region 1 of p2.png: the attribute 'kind' is empty"):
        from_via(path, images())
    assert len(from_via(path, images(), skip_invalid=True).coco["annotations"]) == 7


def test_the_csv_of_via_2_is_read_case_d16():
    path = str(case(f"{FOLDER}/via2.csv"))
    with pytest.raises(InputError, match="no region attributes; give the one class with --classes"):
        from_via(path, images())
    (annotation,) = from_via(path, images(), classes=["leaf"]).coco["annotations"]
    assert annotation["bbox"] == [1, 1, 9, 9]


def test_every_region_and_every_image_of_a_csv_is_there(tmp_path):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (80, 60)).save(tmp_path / name)
    shape = '"{""name"":""circle"",""cx"":30,""cy"":20,""r"":9}"'
    rows = f'b.png,1,"{{}}",2,0,{shape},"{{""kind"":""nut""}}"\n' * 2
    rows += 'a.png,1,"{}",0,0,"{}","{}"\n'
    path = tmp_path / "via.csv"
    path.write_text("#" + HEAD + rows)  # as version 1 begins it
    found = from_via(str(path))
    assert found.summary().startswith("images      2, 1 of them without objects\nobjects     2")
    for text, said in (
        ("a,b\n1,2\n", "is no CSV of VIA; wanted a first line with filename"),
        (HEAD, "has no line below its first one"),
        (HEAD + "a.png,1,{},1,0,{,{}\n", "line 2 holds '{', wanted a JSON object"),
        ("# Exported using VGG Image Annotator\nmetadata_id\n", "a CSV of VIA 3, which is not"),
        (HEAD + '"' + "x" * 200_000 + '"\n', "is no CSV that can be read"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=said):
            from_via(str(path))


@pytest.mark.parametrize(
    "xy, bbox",
    [
        ([2, 10, 20, 30, 40], [10, 20, 30, 40]),
        ([3, 40, 40, 10], [30, 30, 20, 20]),
        ([4, 40, 40, 20, 10], [20, 30, 40, 20]),
        ([6, 10, 10, 30, 10, 30, 30, 10, 10], [10, 10, 20, 20]),  # a closed polyline
        ([7, 10, 10, 30, 10, 30, 40], [10, 10, 20, 30]),
        ([8, 20, 10, 30, 15, 25, 30, 10, 20], [10, 10, 20, 20]),  # its four outermost points
        ([9, 50, 40, 40, 50, 30, 40], [30, 30, 20, 20]),  # three points on a circle
    ],
)
def test_the_shapes_of_via_3_are_numbered(tmp_path, xy, bbox):
    raw = three()
    raw["metadata"] = {"1_x": {"vid": "1", "flg": 0, "z": [], "xy": xy, "av": {"1": "0"}}}
    (annotation,) = from_via(written(tmp_path, raw), images()).coco["annotations"]
    np.testing.assert_allclose(annotation["bbox"], bbox, atol=0.11)


def test_points_and_lines_of_via_3_are_counted_and_times_left_aside(tmp_path):
    raw = three()
    for key, more in (("p", {"xy": [1, 3, 3]}), ("l", {"xy": [5, 3, 3, 9, 9]}), ("t", {"z": [1]})):
        raw["metadata"][key] = {"vid": "1", "z": [], "xy": [], "av": {"1": "0"}, **more}
    found = from_via(written(tmp_path, raw), images())
    assert len(found.coco["annotations"]) == 8
    assert found.left_out == {"points and open lines, which have no area": 2}


def test_a_checkbox_of_via_3_names_one_class(tmp_path):
    raw = three()
    raw["metadata"]["1_0"]["av"] = {"1": "1,"}
    assert from_via(written(tmp_path, raw), images()).coco["annotations"][0]["category_id"] == 2
    raw["metadata"]["1_0"]["av"] = {"1": "0,1"}
    with pytest.raises(InputError, match=r"has 2 values \(leaf, stem\), wanted one"):
        from_via(written(tmp_path, raw), images())


@pytest.mark.parametrize(
    "change, said",
    [
        ({"file": {"1": {"fid": "1", "fname": "a.mp4", "type": 4}}}, "VIA 3 without images"),
        ({"file": 5}, "its 'file' is 5, wanted an object"),
        ({"metadata": {"a": 5}}, "the region a is 5, wanted an object whose 'vid'"),
        ({"metadata": {"a": {"vid": "9", "xy": [1, 2, 3]}}}, "'vid' names the view of one image"),
        ({"metadata": {"a": {"vid": "1", "xy": [99, 1]}}}, "'shape 99 of VIA 3' is wrong"),
        ({"metadata": {"a": {"vid": "1", "xy": [9, 1, 1, 2, 2, 3, 3]}}}, "'shape 9 of VIA 3 with"),
        ({"metadata": {"a": {"vid": "1", "xy": [3, 1, 1]}}}, "its 'circle' has no 'r'"),
        ({"file": {"1": {"fid": "1", "type": 2}}, "metadata": {}}, "'filename' of 1 is None"),
    ],
)
def test_what_is_wrong_in_a_project_of_via_3_is_told(tmp_path, change, said):
    with pytest.raises(InputError, match=said):
        from_via(written(tmp_path, {**three(), **change}), images(), ["leaf"])
