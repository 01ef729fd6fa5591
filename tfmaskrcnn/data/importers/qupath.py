"""QuPath: GeoJSON of annotations and detections, a file for each image; holes are cut out."""

import os
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from pycocotools import mask as coco_mask

from tfmaskrcnn.data.coco.annotations import checked_segmentation
from tfmaskrcnn.data.coco.segmentation import as_rle
from tfmaskrcnn.data.importers.building import CocoBuilder, Imported
from tfmaskrcnn.data.importers.fields import number, shown
from tfmaskrcnn.data.importers.found_objects import Shape
from tfmaskrcnn.data.importers.source_files import (
    IMAGE_SUFFIXES,
    contents,
    existing_file,
    existing_folder,
    files_below,
    other_format,
)
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.ops.paste import run_lengths
from tfmaskrcnn.support.files import read_json
from tfmaskrcnn.support.progress_bar import Progress, counted

_NO_AREA = ("Point", "MultiPoint", "LineString", "MultiLineString")
_SUFFIXES = (".geojson", ".json")
_MOST_LEVELS = 8  # of collections in collections


def from_qupath(
    path: str,
    images: Optional[str] = None,
    classes: Optional[Sequence[str]] = None,
    skip_invalid: bool = False,
    progress: Optional[Progress] = None,
) -> Imported:
    """Polygons and groups of polygons; one with holes becomes a mask without them.

    Args:
        path: a GeoJSON file, or a folder of them: NAME.geojson is of the image NAME.*, and so is
            NAME.png.geojson; of several the one in the folder of the same name. Other JSON files
            of a folder are passed over.
        images: the folder of the images; None for `images` beside the files, or else their folder.
            Images without a file are left out.
        classes: these only, in this order; None for all, sorted. A single one is also the class of
            objects that have none, which else are called by their kind ("annotation").
        skip_invalid: leave wrong objects out and count them, instead of stopping.
        progress: called with (images done, images in all).

    Raises:
        InputError: names the file and the object.
    """
    path = os.fspath(path)
    if not os.path.isdir(path):
        existing_file(path, "a .geojson file, or a folder of them")
    folder = path if os.path.isdir(path) else os.path.dirname(path) or "."
    if images is None:
        beside = os.path.join(folder, "images")
        images = beside if os.path.isdir(beside) else folder
    images = existing_folder(images, "image folder")
    found = _feature_lists(path)
    pictures = files_below(images, IMAGE_SUFFIXES)
    alike, by_path = _by_name(pictures, os.path.basename), _by_name(pictures, str)
    builder = CocoBuilder(images, classes, skip_invalid)
    for file, features in counted(found, progress):
        where = shown(file, 200)
        below = os.path.splitext(os.path.relpath(file, folder))[0].replace(os.sep, "/")
        stem = os.path.basename(below)
        named = alike.get(stem, [])
        if os.path.isdir(path):  # of equal names the one in the folder of the same name
            named = by_path.get(below, named)
        if len(named) != 1:
            there = f"{len(named) or 'no'} image{'s' * bool(named)} of the name {shown(stem)}"
            raise InputError(f"{where}: {images} holds {there}, but {contents(images)}.")
        size = builder.image(named[0], where)
        for n, feature in enumerate(features):
            _add_feature(builder, feature, size, f"{where}: object {n}")
    return builder.result(path)


def _by_name(names: List[str], called: Callable[[str], str]) -> Dict[str, List[str]]:
    """The names of pictures by what `called` makes of them, and by that without its ending."""
    found: Dict[str, List[str]] = {}
    for name in names:
        for key in {called(name), os.path.splitext(called(name))[0]}:
            found.setdefault(key, []).append(name)
    return found


def _feature_lists(path: str) -> List[Tuple[str, List[Any]]]:
    """(file, features) of a file, or of each GeoJSON of a folder."""
    if not os.path.isdir(path):
        raw = read_json(path)
        features = _features(raw)
        if features is None:
            other = other_format(raw, shown(path, 200))
            wanted = "wanted a Feature, a FeatureCollection or a list of features"
            raise InputError(other or f"{path} is no GeoJSON: {wanted}.")
        return [(path, features)]
    names = files_below(path, _SUFFIXES)
    read = [(os.path.join(path, n), _features(read_json(os.path.join(path, n)))) for n in names]
    found = [(file, features) for file, features in read if features is not None]
    if not found:
        raise InputError(f"{path} holds no GeoJSON of QuPath, but {contents(path)}.")
    return found


def _features(raw: Any) -> Optional[List[Any]]:
    if isinstance(raw, list):
        first = raw[0] if raw else None
        return raw if isinstance(first, dict) and first.get("type") == "Feature" else None
    kind = raw.get("type") if isinstance(raw, dict) else None
    if kind == "Feature":
        return [raw]
    if kind == "FeatureCollection" and isinstance(raw.get("features"), list):
        return raw["features"]
    return None


def _add_feature(builder: CocoBuilder, feature: Any, size: Tuple[int, int], where: str) -> None:
    if not isinstance(feature, dict) or not isinstance(feature.get("geometry"), dict):
        return builder.wrong(f"{where} is {quoted(feature)}, wanted a Feature with a geometry.")
    geometry = feature["geometry"]
    if geometry.get("type") in _NO_AREA:
        return builder.leave_out("points and lines, which have no area")
    try:
        shape = _shape(list(_polygons(geometry)), size)
        name = _class(feature.get("properties"), builder.only_class)
    except ValueError as error:  # an InputError is one
        return builder.wrong(f"{where}: {str(error).rstrip('.')}.")
    return builder.add(name, shape, where)


def _class(properties: Any, only_class: Optional[str]) -> str:
    """The class of an object, or what it is called where it has none."""
    properties = properties if isinstance(properties, dict) else {}
    found = properties.get("classification")
    if isinstance(found, dict):
        name = found.get("name")
        names = found.get("names")  # of a class that is derived from others
        if name is None and isinstance(names, list) and all(isinstance(n, str) for n in names):
            name = ": ".join(names)
        found = name
    if found is None:
        kind = properties.get("objectType")
        found = only_class or (kind if isinstance(kind, str) and kind else "annotation")
    if not isinstance(found, str):
        raise ValueError(f"its classification is {quoted(found)}, wanted a name")
    return found


def _polygons(geometry: Any, level: int = 0) -> Iterator[List[List[float]]]:
    """Each polygon as flat rings, of which the first is its outline and the others are holes."""
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind in _NO_AREA:
        return
    if kind == "GeometryCollection" and level < _MOST_LEVELS:
        for part in _listed(geometry.get("geometries"), "geometries"):
            yield from _polygons(part, level + 1)
    elif kind == "Polygon":
        yield _rings(geometry.get("coordinates"))
    elif kind == "MultiPolygon":
        for polygon in _listed(geometry.get("coordinates"), "coordinates"):
            yield _rings(polygon)
    else:
        raise ValueError(f"its geometry is {quoted(kind)}, wanted Polygon or MultiPolygon")


def _rings(rings: Any) -> List[List[float]]:
    found = []
    for ring in _listed(rings, "rings"):
        points = [_listed(point, "points") for point in _listed(ring, "points")]
        if any(len(point) < 2 for point in points):
            raise ValueError("a point of it has less than two coordinates")
        flat = [number(v, "a coordinate") for point in points for v in point[:2]]
        # The last point repeats the first one.
        found.append(flat[:-2] if len(flat) > 6 and flat[:2] == flat[-2:] else flat)
    if not found:
        raise ValueError("a polygon of it has no ring")
    return found


def _listed(value: Any, what: str) -> List[Any]:
    if not isinstance(value, list):
        raise ValueError(f"its {what} are {quoted(value)}, wanted a list")
    return value


def _shape(polygons: List[List[List[float]]], size: Tuple[int, int]) -> Shape:
    """Polygons as they are, or a mask where one has a hole."""
    if not polygons:
        raise ValueError("it has no polygon")
    if all(len(rings) == 1 for rings in polygons):
        return [rings[0] for rings in polygons]
    outlines = checked_segmentation([rings[0] for rings in polygons], *size)
    parts = []
    for outline, (_, *holes) in zip(outlines, polygons):
        part = as_rle([outline], *size)
        for hole in holes:
            part = _without(part, as_rle([hole], *size))
        parts.append(part)
    return coco_mask.merge(parts)


def _without(rle: Dict[str, Any], hole: Dict[str, Any]) -> Dict[str, Any]:
    """The pixels of a compressed RLE that are not in another."""
    counts = run_lengths(hole["counts"]).tolist()
    if not sum(counts[1::2]):
        return rle
    rest = counts[1:] if counts[0] == 0 else [0, *counts]
    if not sum(rest[1::2]):
        raise ValueError("a hole of it covers the whole image")
    rest = as_rle({"size": rle["size"], "counts": rest}, *rle["size"])
    return coco_mask.merge([rle, rest], intersect=True)
