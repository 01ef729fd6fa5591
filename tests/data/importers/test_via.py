"""`data/importers/via.py`: both versions of the file, every shape and kind of attribute."""

import json
import math

import numpy as np
import pytest
from PIL import Image

from helpers.cases import case
from tfmaskrcnn.data import load_coco
from tfmaskrcnn.data.coco.segmentation import decode
from tfmaskrcnn.data.importers import from_via
from tfmaskrcnn.errors import InputError

HEIGHT, WIDTH = 60, 80
SQUARE = {"name": "polygon", "all_points_x": [10, 20, 20, 10], "all_points_y": [5, 5, 15, 15]}


def region(shape, **attributes):
    return {"shape_attributes": shape, "region_attributes": attributes}


def written(folder, *regions, project=True, listed=True, name="b.png"):
    """A VIA file of two images, the first without regions."""
    for image in ("a.png", "b.png"):
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / image)
    regions = list(regions) if listed else {str(n): r for n, r in enumerate(regions)}
    entries = {
        f"{name}77": {"filename": name, "size": 77, "regions": regions, "file_attributes": {}},
        "a.png12": {"filename": "a.png", "size": 12, "regions": [] if listed else {}},
    }
    path = folder / "via.json"
    path.write_text(json.dumps({"_via_img_metadata": entries} if project else entries))
    return str(path)


@pytest.mark.parametrize("project", [True, False])
@pytest.mark.parametrize("listed", [True, False])
def test_both_versions_and_both_forms_give_the_same(tmp_path, project, listed):
    regions = region(SQUARE, kind="dog"), region(SQUARE, kind=" cat\n")
    found = from_via(written(tmp_path, *regions, project=project, listed=listed))
    assert [i["file_name"] for i in found.coco["images"]] == ["a.png", "b.png"]
    assert found.coco["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    assert found.coco["annotations"][0] == {
        "id": 1,
        "category_id": 2,
        "image_id": 2,
        "iscrowd": 0,
        "bbox": [10.0, 5.0, 10.0, 10.0],
        "area": 100,
        "segmentation": [[10.0, 5.0, 20.0, 5.0, 20.0, 15.0, 10.0, 15.0]],
    }
    assert found.summary().splitlines() == [
        "images      2, 1 of them without objects",
        "objects     2",
        "classes     2: cat 1, dog 1",
        "rectangles  2 objects, whose mask is their box",
    ]
    found.write(str(tmp_path / "out.json"))
    data = load_coco(str(tmp_path / "out.json"), found.image_dir)
    assert data.class_names == ("cat", "dog") and data.records[1].classes.tolist() == [2, 1]


def test_curves_become_polygons_that_leave_them_by_a_twentieth_of_a_pixel(tmp_path):
    circle = {"name": "circle", "cx": 40, "cy": 30, "r": 20}
    ellipse = {"name": "ellipse", "cx": 40, "cy": 30, "rx": 25, "ry": 10, "theta": 0.5}
    found = from_via(written(tmp_path, region(circle, c="a"), region(ellipse, c="a")))
    one, other = (np.reshape(a["segmentation"][0], (-1, 2)) for a in found.coco["annotations"])
    middles = (one + np.roll(one, 1, axis=0)) / 2
    radii = np.linalg.norm(np.concatenate([one, middles]) - (40, 30), axis=1)
    assert abs(radii - 20).max() < 0.051
    # Against the equation of the ellipse, at every pixel that is not on its edge.
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5 - np.array([30, 40])[:, None, None]
    along, across = x * math.cos(0.5) + y * math.sin(0.5), y * math.cos(0.5) - x * math.sin(0.5)
    level = (along / 25) ** 2 + (across / 10) ** 2
    mask = decode([other.reshape(-1)], HEIGHT, WIDTH)
    assert mask[level < 0.85].all() and not mask[level > 1.15].any()


def test_rectangles_are_objects_and_what_has_no_area_is_counted(tmp_path):
    line = {"name": "polyline", "all_points_x": [1, 9, 9], "all_points_y": [1, 1, 9]}
    ring = {"name": "polyline", "all_points_x": [1, 9, 9, 1], "all_points_y": [1, 1, 9, 1]}
    shapes = {"name": "rect", "x": 1, "y": 2, "width": 30, "height": 4}, line, ring
    shapes += ({"name": "point", "cx": 1, "cy": 1},)
    found = from_via(written(tmp_path, *(region(s, c="a") for s in shapes)))
    assert [a["bbox"] for a in found.coco["annotations"]] == [[1, 2, 30, 4], [1, 1, 8, 8]]
    assert found.left_out == {"points and open lines, which have no area": 2}
    assert found.rectangles == 1


def test_the_class_is_a_text_or_the_one_ticked_option_of_the_chosen_attribute(tmp_path):
    regions = [region(SQUARE, kind="dog", ripe={"yes": True, "no": False})]
    path = written(tmp_path, *regions)
    with pytest.raises(InputError, match="has the region attributes kind, ripe; say which"):
        from_via(path)
    assert from_via(path, attribute="kind").coco["categories"][0]["name"] == "dog"
    assert from_via(path, attribute="ripe").coco["categories"][0]["name"] == "yes"
    path = written(tmp_path, region(SQUARE, ripe={"yes": True, "no": True}))
    with pytest.raises(InputError, match=r"region 0 of b.png: .* has 2 values \(yes, no\)"):
        from_via(path)


def test_regions_without_a_class_take_the_only_one(tmp_path):
    path = written(tmp_path, region(SQUARE))
    with pytest.raises(InputError, match="no region attributes; give the one class with --classes"):
        from_via(path)
    assert from_via(path, classes=["leaf"]).coco["categories"] == [{"id": 1, "name": "leaf"}]
    path = written(tmp_path, region(SQUARE, kind="a"), region(SQUARE, kind=""))
    with pytest.raises(InputError, match="region 1 of b.png: the attribute 'kind' is empty"):
        from_via(path)


def test_classes_are_chosen_and_ordered(tmp_path, caplog):
    path = written(tmp_path, *(region(SQUARE, c=name) for name in "abca"))
    found = from_via(path, classes=["c", "a", "z"])
    assert [c["name"] for c in found.coco["categories"]] == ["c", "a", "z"]
    assert [a["category_id"] for a in found.coco["annotations"]] == [2, 1, 2]
    assert found.left_out == {"of a class that was not asked for": 1}
    assert "no object of the class z" in caplog.text
    with pytest.raises(InputError, match="'a' is named twice"):
        from_via(path, classes=["a", "a"])


@pytest.mark.parametrize(
    "shape, said",
    [
        ({"name": "circle", "cx": 1, "cy": 1}, "its 'circle' has no 'r'"),
        ({"name": "cloud"}, "its 'cloud' is wrong: wanted polygon, polyline"),
        ({**SQUARE, "all_points_y": [1]}, "4 x and 1 y coordinates"),
        ({**SQUARE, "all_points_x": [1, 2], "all_points_y": [1, 2]}, "4 coordinates; wanted x, y"),
        (
            {"name": "rect", "x": 90, "y": 2, "width": 5, "height": 4},
            "outside the image of 60 x 80",
        ),
        ({"name": "circle", "cx": 1, "cy": 1, "r": 0}, "a polygon has 0 coordinates"),
    ],
)
def test_a_wrong_region_is_named_or_skipped(tmp_path, shape, said, caplog):
    path = written(tmp_path, region(SQUARE, c="a"), region(shape, c="a"))
    with pytest.raises(InputError) as caught:
        from_via(path)
    assert f"{path}: region 1 of b.png" in str(caught.value) and said in str(caught.value)
    found = from_via(path, skip_invalid=True)
    assert len(found.coco["annotations"]) == 1 and found.left_out == {"wrong": 1}
    assert said in caplog.text


def test_what_is_no_via_file_is_refused(tmp_path):
    path = tmp_path / "via.json"
    for content, said in (
        ("{", "is not valid JSON"),
        ('{"images": []}', "is no JSON of VIA"),
        ('{"project": {}, "metadata": {}, "file": {}}', "a project of VIA 3 without images"),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=said):
            from_via(str(path))
    with pytest.raises(InputError, match="Cannot read"):
        from_via(str(tmp_path / "none.json"))
    missing = written(tmp_path, region(SQUARE, c="a"), name="gone.png")
    with pytest.raises(InputError, match=r"via.json: the image .*gone.png does not exist"):
        from_via(missing)


def test_an_exif_orientation_is_told(tmp_path, caplog):
    path = written(tmp_path, region(SQUARE, c="a"), name="b.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "b.jpg", exif=exif)
    from_via(path)
    assert "1 images have an EXIF orientation; their annotations are taken to be" in caplog.text


@pytest.mark.parametrize(
    "name, name_of_class, said",
    [
        (
            "via_attributes_list",
            "leaf",
            r"of region 0 of a.png are \['nut'\]; give the",
        ),
        (
            "via_regions_5",
            "leaf",
            "of a.png its 'regions' are 5, wanted a list; give",
        ),
        ("via_hang_circle_1e12", "nut", "region 0 of a.png: a polygon reaches .* 10 sides outside"),
    ],
)
def test_the_hostile_files_of_via_are_told_cases_via(name, name_of_class, said):
    path, images = str(case(f"hostile/{name}.json")), str(case("hostile/images"))
    with pytest.raises(InputError, match=said):
        from_via(path, images)
    found = from_via(path, images, [name_of_class], skip_invalid=True)
    assert found.coco["annotations"] == [] and found.left_out == {"wrong": 1}


@pytest.mark.parametrize(
    "odd, said",
    [
        ({"region_attributes": {"kind": ["nut"]}}, r"the attribute 'kind' is \['nut'\], wanted a"),
        ({"region_attributes": {"kind": True}}, "the attribute 'kind' is True, wanted a class"),
        ({"region_attributes": {"kind": None}}, "the attribute 'kind' is empty"),
        ({"region_attributes": {"kind": {"a": 0}}}, "the attribute 'kind' is empty"),
        ({"region_attributes": 5}, "its region_attributes are 5, wanted an object"),
        ({"shape_attributes": []}, "has no 'shape_attributes'"),
        ({"shape_attributes": {"name": ["rect"]}}, r"its \['rect'\] is wrong: wanted polygon"),
        ({"shape_attributes": {**SQUARE, "all_points_x": 5}}, "all_points_x is 5, wanted a list"),
        ({"shape_attributes": {**SQUARE, "all_points_x": [1, 2, [3], 4]}}, r"is \[3\], wanted a f"),
        ({"shape_attributes": {"name": "circle", "cx": 1, "cy": 1, "r": math.inf}}, "r is inf"),
        ({"shape_attributes": {"name": "rect", "x": "", "y": 1}}, "x is '', wanted a finite"),
    ],
)
def test_a_region_of_odd_kinds_is_told_and_skipped(tmp_path, odd, said):
    good = region(SQUARE, kind="a")
    path = written(tmp_path, good, {**good, **odd})
    with pytest.raises(InputError, match=f"region 1 of b.png.*{said}"):
        from_via(path)
    assert len(from_via(path, skip_invalid=True).coco["annotations"]) == 1


def test_a_class_may_be_a_number(tmp_path):
    found = from_via(written(tmp_path, region(SQUARE, c=0), region(SQUARE, c=2.5)))
    assert [c["name"] for c in found.coco["categories"]] == ["0", "2.5"]


def test_a_file_name_of_another_kind_is_told(tmp_path):
    path = tmp_path / "via.json"
    for name, said in ((5, "is 5, wanted a text"), ("\ud800.png", r"\\ud800.png' has characters")):
        path.write_text(json.dumps({"k": {"filename": name, "regions": [region(SQUARE, c="a")]}}))
        with pytest.raises(InputError, match=said) as caught:
            from_via(str(path))
        str(caught.value).encode("utf-8")


def test_other_files_name_their_importer(tmp_path):
    with pytest.raises(InputError, match="LabelMe's JSON .*import-data labelme"):
        from_via(str(case("data/d15_labelme/labels/p0.json")))
    with pytest.raises(InputError, match="is a folder; wanted a JSON or CSV of VIA. It holds"):
        from_via(str(case("data/d16_via3")))
