"""Other programs' JSON is told by name, and COCO is never taken for one."""

import json

import pytest

from helpers.cases import CASES, case
from tfmaskrcnn.data.coco.foreign import foreign_format

LABEL = {"polygonlabels": ["leaf"], "points": [[1, 2], [3, 4], [5, 6]]}
OTHERS = {
    "import-data label-studio": [{"id": 1, "annotations": [{"result": []}], "data": {"image": ""}}],
    "export 'JSON' and": [{"annotation_id": 1, "annotator": 1, "lead_time": 1.0, "label": [LABEL]}],
    "import-data qupath": [{"type": "Feature", "geometry": None, "properties": {}}],
    "import-data via": {"_via_settings": {}, "_via_img_metadata": {}},
    "V7 Darwin": {"version": "2.0", "item": {"name": "a.png"}, "annotations": []},
    "a JSON of V7": {"image": {"filename": "a.png"}, "annotations": [{"polygon": {}}]},
    "Supervisely": {"size": {"height": 4, "width": 5}, "objects": [{"classTitle": "a"}]},
    "JSON of Supervisely": {"classes": [{"title": "a", "shape": "polygon"}], "tags": []},
    "SuperAnnotate": {"metadata": {"name": "a.png"}, "instances": [{"className": "a"}]},
    "of SuperAnnotate": [{"className": "a", "type": "polygon", "points": [1, 2, 3, 4, 5, 6]}],
    "Labelbox": [{"data_row": {"id": "x"}, "projects": {}, "media_attributes": {}}],
    "of Labelbox": [{"ID": "x", "Labeled Data": "http://", "Label": {}}],
    "CreateML": [{"image": "a.png", "annotations": [{"label": "a", "coordinates": {}}]}],
    "captions": {"images": [], "annotations": [{"id": 1, "image_id": 1, "caption": "a"}]},
    "panoptic": {"images": [], "annotations": [{"segments_info": [], "file_name": "a.png"}]},
    "results of a model": [{"image_id": 1, "category_id": 1, "score": 0.5, "bbox": [1, 2, 3, 4]}],
    "without their images": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
    "Cityscapes": {"imgHeight": 4, "imgWidth": 5, "objects": []},
    "Datumaro": {"info": {}, "categories": {"label": {}}, "items": []},
    "YouTube-VIS": {"videos": [], "annotations": [], "categories": []},
    "Detectron2": [{"file_name": "a.png", "annotations": [], "height": 1, "width": 2}],
}
IN_CASES = {
    "data/d01_via_coco_export/train.json": "import-data via",
    "data/d01b_via_category_null/train.json": "import-data via",
    "data/d15_labelme/labels/p0.json": "import-data labelme",
    "data/d16_via3/via2.json": "import-data via",
    "data/d16_via3/via3.json": "project of VIA 3",
    "data/d18_qupath/p0.geojson": "import-data qupath",
}


def _fresh(raw):
    return json.loads(json.dumps(raw))


@pytest.mark.parametrize("words", OTHERS)
def test_another_programs_json_is_told_by_name(words):
    sentence = foreign_format(OTHERS[words], "set.json")
    assert words in sentence
    assert sentence.startswith("set.json is ") and sentence.endswith(".")
    assert len(sentence) < 400


@pytest.mark.parametrize("name", IN_CASES)
def test_the_cases_of_other_programs_name_the_importer(name):
    raw = json.loads(case(name).read_text())
    assert IN_CASES[name] in foreign_format(raw, name)


def test_coco_is_never_taken_for_another_programs_json():
    names = [p for p in sorted((CASES / "data").glob("*/train.json")) if "d01" not in p.parts[-2]]
    assert len(names) > 20
    for path in names:
        assert foreign_format(json.loads(path.read_text()), "set.json") is None, path


def test_vias_coco_export_is_known_without_its_name():
    raw = _fresh(json.loads(case("data/d01_via_coco_export/train.json").read_text()))
    del raw["info"]
    assert "COCO export of VIA" in foreign_format(raw, "set.json")


@pytest.mark.parametrize("filling", [None, 5, "x", True, [], {}, [[]], [5], {"a": 5}, [{}], 1e400])
def test_anything_else_is_none_of_them_and_breaks_nothing(filling):
    assert foreign_format(filling, "set.json") is None
    for raw in OTHERS.values():  # each value in turn is of another kind
        for entry in [raw] if isinstance(raw, dict) else raw:
            for key in entry:
                spoilt = {**entry, key: filling}
                foreign_format([spoilt] if isinstance(raw, list) else spoilt, "set.json")
