"""`data/importers/qupath.py`: holes, classes, and which image a file is of."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from helpers.cases import case
from tfmaskrcnn.data import load_coco
from tfmaskrcnn.data.coco.segmentation import decode
from tfmaskrcnn.data.importers import from_qupath
from tfmaskrcnn.errors import InputError

HEIGHT, WIDTH = 60, 80
SQUARE = [[10, 10], [40, 10], [40, 40], [10, 40], [10, 10]]
HOLE = [[20, 20], [30, 20], [30, 30], [20, 30], [20, 20]]
FAR_OFF = [[50, 10], [60, 10], [60, 20], [50, 20], [50, 10]]


def feature(coordinates, kind="Polygon", **properties):
    properties.setdefault("classification", {"name": "leaf", "color": [1, 2, 3]})
    shape = {"type": kind, "coordinates": coordinates}
    return {"type": "Feature", "geometry": shape, "properties": properties}


def written(folder, *features, name="p0.geojson", whole=None):
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "p0.png")
    raw = {"type": "FeatureCollection", "features": list(features)}
    (folder / name).write_text(json.dumps(raw if whole is None else whole))
    return str(folder / name)


def masks(found):
    return [decode(a["segmentation"], HEIGHT, WIDTH) for a in found.coco["annotations"]]


def square(y1, x1, y2, x2):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y1:y2, x1:x2] = True
    return mask


def test_a_file_of_qupath_is_read_case_d18(tmp_path):
    path = str(case("data/d18_qupath/p0.geojson"))
    found = from_qupath(path)
    assert [c["name"] for c in found.coco["categories"]] == ["leaf", "stem"]
    assert found.coco["annotations"][0]["segmentation"] == [[20, 20, 60, 24, 56, 60, 18, 54]]
    assert [i["file_name"] for i in found.coco["images"]] == ["p0.png"]  # of four
    found.write(str(tmp_path / "out.json"))
    assert len(load_coco(str(tmp_path / "out.json"), found.image_dir).records[0].classes) == 2
    assert from_qupath(str(case("data/d18_qupath"))).coco == found.coco  # the folder


def test_holes_are_cut_out(tmp_path):
    path = written(tmp_path, feature([SQUARE, HOLE]), feature([SQUARE]))
    holed, plain = masks(from_qupath(path))
    np.testing.assert_array_equal(holed, square(10, 10, 40, 40) & ~square(20, 20, 30, 30))
    np.testing.assert_array_equal(plain, square(10, 10, 40, 40))


def test_parts_are_one_object_with_their_own_holes(tmp_path):
    both = feature([[SQUARE, HOLE], [FAR_OFF]], "MultiPolygon")
    inside = feature([[SQUARE, HOLE], [[[22, 22], [25, 22], [25, 25], [22, 25]]]], "MultiPolygon")
    one, other = masks(from_qupath(written(tmp_path, both, inside)))
    ring = square(10, 10, 40, 40) & ~square(20, 20, 30, 30)
    np.testing.assert_array_equal(one, ring | square(10, 50, 20, 60))
    np.testing.assert_array_equal(other, ring | square(22, 22, 25, 25))
    plain = from_qupath(written(tmp_path, feature([[SQUARE], [FAR_OFF]], "MultiPolygon")))
    assert [len(p) for p in plain.coco["annotations"][0]["segmentation"]] == [8, 8]


@pytest.mark.parametrize("form", ["Feature", "list", "p0.png.geojson", "p0.json"])
def test_the_file_may_be_one_object_a_list_or_named_after_the_whole_image(tmp_path, form):
    one = feature([SQUARE])
    whole = {"Feature": one, "list": [one]}.get(form)
    path = written(tmp_path, one, name=form if "." in form else "p0.geojson", whole=whole)
    assert len(from_qupath(path).coco["annotations"]) == 1


def test_of_equal_names_the_image_is_the_one_in_the_same_folder(tmp_path):
    for below in ("", "x", "x/y"):
        (tmp_path / "i" / below).mkdir(parents=True, exist_ok=True)
        (tmp_path / "g" / below).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "i" / below / "p0.png")
        written(tmp_path / "g" / below, *[feature([SQUARE])] * (1 + len(below)))
        (tmp_path / "g" / below / "p0.png").unlink()
    found = from_qupath(str(tmp_path / "g"), str(tmp_path / "i")).coco
    names = {image["id"]: image["file_name"] for image in found["images"]}
    of = [names[entry["image_id"]] for entry in found["annotations"]]
    assert [of.count(n) for n in ("p0.png", "x/p0.png", "x/y/p0.png")] == [1, 2, 4]


def test_classes_are_names_parts_of_names_or_kinds(tmp_path):
    features = [
        feature([SQUARE], classification={"names": ["Tumour", "Positive"]}),
        feature([SQUARE], classification=None, objectType="detection"),
        feature([SQUARE], classification=None),
    ]
    found = from_qupath(written(tmp_path, *features))
    assert [c["name"] for c in found.coco["categories"]] == [
        *("Tumour: Positive", "annotation", "detection")
    ]
    found = from_qupath(written(tmp_path, *features[1:]), classes=["cell"])
    assert [a["category_id"] for a in found.coco["annotations"]] == [1, 1]


def test_points_and_lines_are_counted(tmp_path):
    path = written(
        *(tmp_path, feature([3, 3], "Point"), feature(SQUARE, "LineString"), feature([SQUARE]))
    )
    found = from_qupath(path)
    assert len(found.coco["annotations"]) == 1
    assert found.left_out == {"points and lines, which have no area": 2}


@pytest.mark.parametrize(
    "wrong, said",
    [
        (feature([[[1, 1], [2, 2]]]), "4 coordinates"),
        (feature([]), "has no ring"),
        (feature(5), "rings are 5, wanted a list"),
        (feature([[[1]]]), "less than two coordinates"),
        (feature([[[1, "x"], [2, 2], [3, 1]]]), "coordinate is 'x', wanted a finite number"),
        (feature([[[0, 0], [1e12, 0], [0, 9]]]), "10 sides outside the image"),
        (feature([[[0, 0], [9, 0], [0, 9]], [[0, 0], [float("nan"), 0], [0, 9]]]), "finite"),
        (
            feature([SQUARE, [[-9, -9], [99, -9], [99, 99], [-9, 99]]]),
            "hole of it covers",
        ),
        (feature([SQUARE, SQUARE]), "no pixel inside"),
        (feature([SQUARE], "Cloud"), "geometry is 'Cloud', wanted Polygon"),
        (feature([SQUARE], classification={"name": ["a"]}), "classification is \\['a'\\]"),
        ({"type": "Feature", "geometry": None}, "wanted a Feature with a geometry"),
        (7, "is 7, wanted a Feature"),
    ],
)
def test_a_wrong_object_is_named_or_skipped(tmp_path, wrong, said):
    path = written(tmp_path, feature([SQUARE]), wrong)
    with pytest.raises(InputError, match=f"p0.geojson: object 1.*{said}"):
        from_qupath(path)
    assert len(from_qupath(path, skip_invalid=True).coco["annotations"]) == 1


def test_what_is_missing_or_of_another_kind_is_told(tmp_path):
    path = written(tmp_path, feature([SQUARE]), name="other.geojson")
    with pytest.raises(InputError, match="no image of the name other, but 1 .geojson, 1 .png"):
        from_qupath(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no GeoJSON of QuPath, but no file"):
        from_qupath(str(tmp_path / "empty"))
    shutil.copy(case("data/d16_via3/via2.json"), tmp_path / "via.json")
    with pytest.raises(InputError, match="is a JSON of VIA .*import-data via"):
        from_qupath(str(tmp_path / "via.json"))
    with pytest.raises(InputError, match="is no GeoJSON: wanted a Feature"):
        from_qupath(written(tmp_path, whole=[1, 2]))
