"""Whose JSON it is that was given as COCO, and how it becomes COCO."""

import itertools
from typing import Any, Callable, List, NamedTuple, Optional

LOOKED_AT = 50  # entries of a list or of an object that are looked at
_IMPORT = "turn it into COCO with `tfmaskrcnn import-data {0} INPUT OUT.json{1}`"


class _Format(NamedTuple):
    holds: Callable[[Any], bool]  # of the parsed JSON
    what: str  # follows "is"
    advice: str


def foreign_format(raw: Any, path: str) -> Optional[str]:
    """Which other program's JSON this is and what to do with it, in one sentence.

    Args:
        raw: the parsed JSON, of any kind.
        path: names it in the sentence.

    Returns:
        None where it is of none of the known kinds, or is COCO.
    """
    for known in _FORMATS:
        if known.holds(raw):
            return f"{path} is {known.what}, not COCO as it can be read; {known.advice}."
    return None


def _entries(raw: Any) -> List[dict]:
    """The first objects of a list, or of an object's values; [] unless all of them are objects."""
    values = raw.values() if isinstance(raw, dict) else raw if isinstance(raw, list) else ()
    found = list(itertools.islice(values, LOOKED_AT))
    return found if all(isinstance(entry, dict) for entry in found) else []


def _keyed(raw: Any, *keys: str) -> bool:
    """Whether `raw` is an object that has all `keys`."""
    return isinstance(raw, dict) and all(key in raw for key in keys)


def _listed(raw: Any, *keys: str) -> bool:
    """Whether `raw` is a list of objects, the first of which have all `keys`."""
    entries = _entries(raw) if isinstance(raw, list) else []
    return bool(entries) and all(_keyed(entry, *keys) for entry in entries)


def _part(raw: Any, *keys: str) -> Any:
    """`raw[key][key]...`; None where there is no such thing."""
    for key in keys:
        raw = raw.get(key) if isinstance(raw, dict) else None
    return raw


def _some(entries: Any, *keys: str) -> bool:
    """Whether one of the first entries has all `keys`."""
    return any(_keyed(entry, *keys) for entry in _entries(entries))


def _via(raw: Any) -> bool:
    if isinstance(_part(raw, "_via_img_metadata"), dict):
        return True
    entries = _entries(raw) if isinstance(raw, dict) else []
    return bool(entries) and all(_keyed(entry, "filename", "regions") for entry in entries)


def _via_coco(raw: Any) -> bool:
    """VIA's own COCO: it names itself, or has its texts for ids and its flat polygons."""
    if not _keyed(raw, "images", "annotations"):
        return False
    described = _part(raw, "info", "description")
    if isinstance(described, str) and "VGG Image Annotator" in described:
        return True
    first = _entries(raw["annotations"])[:1]
    return bool(first) and isinstance(first[0].get("image_id"), str) and _flat(first[0])


def _flat(annotation: dict) -> bool:
    polygon = annotation.get("segmentation")
    return isinstance(polygon, list) and bool(polygon) and isinstance(polygon[0], (int, float))


def _geojson(raw: Any) -> bool:
    features = raw[:1] if isinstance(raw, list) else [raw]
    return any(
        _part(feature, "type") in ("FeatureCollection", "Feature", "GeometryCollection")
        for feature in features
    )


def _label_studio(raw: Any) -> bool:
    return any(_listed(raw, key, "data") for key in ("annotations", "completions"))


def _label_studio_min(raw: Any) -> bool:
    return _listed(raw, "annotation_id", "annotator") or _listed(raw, "annotator", "lead_time")


def _labelbox(raw: Any) -> bool:
    rows = [raw] if isinstance(raw, dict) else raw
    return _listed(rows, "data_row", "projects") or _listed(rows, "Labeled Data", "Label")


def _super_annotate(raw: Any) -> bool:
    if isinstance(_part(raw, "instances"), list) and _keyed(raw, "metadata"):
        return True
    return _listed(raw, "className", "type") or _listed(raw, "instances", "metadata")


def _darwin(raw: Any) -> bool:
    if not isinstance(_part(raw, "annotations"), list):
        return False
    return _keyed(raw, "item") or (_keyed(raw, "image") and "images" not in raw)


def _supervisely(raw: Any) -> bool:
    if _keyed(raw, "objects", "size") and isinstance(_part(raw, "size"), dict):
        return True
    return _keyed(raw, "classes", "tags") and _some(raw["classes"], "title", "shape")


def _captions(raw: Any) -> bool:
    return _keyed(raw, "images", "annotations") and _some(raw["annotations"], "caption")


def _panoptic(raw: Any) -> bool:
    return _keyed(raw, "images", "annotations") and _some(raw["annotations"], "segments_info")


def _results(raw: Any) -> bool:
    return _listed(raw, "image_id", "category_id", "score")


_FOLDER = " --images FOLDER"
_FORMATS = (
    _Format(
        _via_coco,
        "the COCO export of VIA (VGG Image Annotator)",
        "choose VIA's export 'Annotations (as JSON)' and "
        + _IMPORT.format("via", _FOLDER)
        + ", or mend this one with `tfmaskrcnn check-data ... --fix FILE`",
    ),
    _Format(_via, "a JSON of VIA (VGG Image Annotator)", _IMPORT.format("via", _FOLDER)),
    _Format(
        lambda raw: _keyed(raw, "project", "metadata", "file"),
        "a project of VIA 3 (VGG Image Annotator)",
        _IMPORT.format("via", _FOLDER),
    ),
    _Format(
        lambda raw: isinstance(_part(raw, "shapes"), list)
        and any(key in raw for key in ("imagePath", "imageData", "imageHeight")),
        "LabelMe's JSON of one image",
        _IMPORT.format("labelme", "") + ", where INPUT is the folder of all of them",
    ),
    _Format(_label_studio, "Label Studio's JSON", _IMPORT.format("label-studio", _FOLDER)),
    _Format(
        _label_studio_min,
        "Label Studio's JSON-MIN",
        "choose its export 'JSON' and " + _IMPORT.format("label-studio", _FOLDER),
    ),
    _Format(_geojson, "GeoJSON, as QuPath writes it", _IMPORT.format("qupath", _FOLDER)),
    _Format(_captions, "a COCO file of captions", "wanted the one of instances"),
    _Format(_panoptic, "a COCO file of panoptic segments", "wanted the one of instances"),
    _Format(
        _results,
        "a list of detections, the results of a model",
        "wanted the annotations that they are compared with",
    ),
    _Format(
        lambda raw: _listed(raw, "image_id", "category_id", "bbox"),
        "a list of annotations without their images and categories",
        "wanted an object with 'images', 'annotations' and 'categories'",
    ),
    _Format(
        _darwin,
        "a JSON of V7 Darwin",
        "choose the format COCO where V7 exports a release of the data set",
    ),
    _Format(
        _supervisely,
        "a JSON of Supervisely",
        "export the project with Supervisely's app 'Export to COCO'",
    ),
    _Format(
        _super_annotate,
        "a JSON of SuperAnnotate",
        "choose COCO where SuperAnnotate exports or converts a project",
    ),
    _Format(
        _labelbox,
        "an export of Labelbox, which writes no COCO itself",
        "convert it to COCO with Labelbox's Python library, or export each object's mask as PNG "
        "and " + _IMPORT.format("png-masks", _FOLDER),
    ),
    _Format(
        lambda raw: _listed(raw, "image", "annotations") or _listed(raw, "imagefilename"),
        "CreateML's JSON, which has boxes alone",
        "choose the export COCO with segmentation in the program that wrote it",
    ),
    _Format(
        lambda raw: _keyed(raw, "imgHeight", "imgWidth", "objects"),
        "a JSON of one image as Cityscapes has it",
        "convert the data set to COCO, or its masks with "
        "`tfmaskrcnn import-data png-masks INPUT OUT.json --images FOLDER`",
    ),
    _Format(
        lambda raw: _keyed(raw, "categories", "items") and isinstance(raw["items"], list),
        "a JSON of Datumaro",
        "choose 'COCO 1.0' or 'CVAT for images 1.1' where CVAT exports; "
        "`tfmaskrcnn import-data cvat` reads the latter",
    ),
    _Format(
        lambda raw: _keyed(raw, "videos", "annotations", "categories") and "images" not in raw,
        "a set of videos, as YouTube-VIS has it",
        "wanted one of single images",
    ),
    _Format(
        lambda raw: _listed(raw, "file_name", "annotations"),
        "Detectron2's own list of images",
        "write it as COCO with detectron2.data.datasets.convert_to_coco_json",
    ),
)
