"""`results/result_formats.py`: what all writers have in common."""

import importlib.util

import numpy as np
import pytest

from helpers.found_shapes import HEIGHT, WIDTH, drawn_masks, found_of, read_back, results
from tfmaskrcnn.data.importers import from_cvat, from_via, from_yolo
from tfmaskrcnn.results import polygons_of_masks, shared_polygons
from tfmaskrcnn.results.image_result import ResultOptions
from tfmaskrcnn.results.result_formats import FORMATS, writer
from tfmaskrcnn.results.shared_polygons import SharedPolygons

NAMELESS = ["class 1", "class 2", "class 1", "class 2", "class 1", "class 2"]


def written(folder, made, name, options):
    """The bytes of the files of one format, by their paths."""
    folder.mkdir()
    if FORMATS[name].scope == "set":
        writer(name)(iter(made), str(folder), options)
    else:
        for result in made:
            writer(name)(result, str(folder), options)
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_classes_without_names_are_numbered_in_every_format(name, tmp_path):
    pytest.importorskip(FORMATS[name].package or "numpy")
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    nameless = found_of(drawn_masks(), class_names=())
    made = [result._replace(image=image) for result in results(tmp_path, nameless)]
    files = written(tmp_path / "out", made, name, ResultOptions((), ()))
    text = b" ".join([*files.values(), *(path.encode() for path in files)]).decode("latin-1")
    if name not in ("labels", "kaggle"):  # they have no classes
        assert all(text.count(label) or text.count(label.replace(" ", "-")) for label in NAMELESS)
    readers = {"cvat": from_cvat, "via": from_via, "yolo": from_yolo}
    if name in readers:
        path = str(tmp_path / "out" / FORMATS[name].file)
        coco = readers[name](path, None if name == "yolo" else str(tmp_path / "images")).coco
        objects = [one for image in read_back(coco).values() for one in image]
        assert [label for label, _ in objects] == NAMELESS * 2


POLYGONS = ["coco", "labelme", "cvat", "via", "yolo", "label-studio", "geojson"]
POLYGONS += ["imagej"] if importlib.util.find_spec("roifile") else []


def test_formats_share_polygons_and_are_written_as_without(tmp_path, monkeypatch):
    made, count = results(tmp_path), []

    def counted(window, tolerance):
        count.append(window)
        return polygons_of_masks.polygons_of(window, tolerance)

    monkeypatch.setattr(shared_polygons, "polygons_of", counted)
    options = ResultOptions(("a", "b"), (7, 3))
    shared = options._replace(shared=SharedPolygons())
    for name in POLYGONS:
        alone = written(tmp_path / f"{name} alone", made, name, options)
        assert alone and alone == written(tmp_path / name, made, name, shared)
    assert len(count) == len(made[0].found)  # of both images with objects the same ones


def test_no_more_polygons_are_kept_than_may_be(monkeypatch):
    windows, asked = list(found_of(drawn_masks()).windows()), []

    def counted(window, tolerance):
        asked.append(window)
        return polygons_of_masks.polygons_of(window, tolerance)

    monkeypatch.setattr(shared_polygons, "polygons_of", counted)
    few = SharedPolygons(most_bytes=3000)
    for _ in range(2):
        for window in windows:
            few.of(window, 0.5)
            few.of(window, 0.5)
    assert len(windows) < len(asked) <= 2 * len(windows) and few._bytes <= 3000
    assert few.of(windows[-1], 0.0) is not few.of(windows[-1], 0.5)
