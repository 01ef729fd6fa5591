"""What VIA writes, of any version, in the form of its version 2: images and their regions."""

import csv
import io
import json
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from tfmaskrcnn.data.importers.fields import shown
from tfmaskrcnn.data.importers.source_files import other_format
from tfmaskrcnn.data.importers.via_three import of_version_three
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support.files import read_json, read_text

_COLUMNS = ("filename", "region_shape_attributes", "region_attributes")


class ViaImage(NamedTuple):
    """An image and what was drawn on it."""

    name: str
    # (key, region): a dictionary of "shape_attributes" and "region_attributes" unless it is wrong.
    regions: List[Tuple[Any, Any]]
    fault: Optional[str] = None  # why there are no regions


def via_images(path: str) -> List[ViaImage]:
    """The images of a file of VIA, sorted by their names.

    Raises:
        InputError: it is no file of VIA.
    """
    text = read_text(path) if path.lower().endswith((".csv", ".txt")) else None
    if text is not None and not text.lstrip().startswith("{"):
        return _of_csv(text, path)
    raw = read_json(path)
    if isinstance(raw, dict) and isinstance(raw.get("_via_img_metadata"), dict):
        raw = raw["_via_img_metadata"]
    elif isinstance(raw, dict) and {"project", "metadata", "file"} <= set(raw):
        raw = of_version_three(raw, path)
    entries = list(raw.values()) if isinstance(raw, dict) else []
    if not entries or not all(isinstance(e, dict) and "filename" in e for e in entries):
        other = None if isinstance(raw, dict) and "_via_img_metadata" in raw else raw
        raise InputError(
            other_format(other, path)
            or f"{path} is no JSON of VIA: wanted an object for each image with 'filename' and "
            "'regions'."
        )
    for key, entry in zip(raw, entries):
        if not isinstance(entry["filename"], str):
            found = f"the 'filename' of {shown(key)} is {quoted(entry['filename'])}"
            raise InputError(f"{path}: {found}, wanted a text.")
    return sorted(map(_image, entries), key=lambda image: image.name)


def _image(entry: Dict[str, Any]) -> ViaImage:
    """Of an entry; version 1 has an object of regions, version 2 a list."""
    regions = entry.get("regions")
    if isinstance(regions, dict):
        return ViaImage(entry["filename"], list(regions.items()))
    if isinstance(regions, list):
        return ViaImage(entry["filename"], list(enumerate(regions)))
    fault = f"its 'regions' are {quoted(regions)}, wanted a list"
    return ViaImage(entry["filename"], [], None if regions is None else fault)


def _of_csv(text: str, path: str) -> List[ViaImage]:
    """Images of "Export annotations (as CSV)": a row for each region."""
    if "Exported using VGG Image Annotator" in text[:400] or "spatial_coordinates" in text[:2000]:
        raise InputError(f"{path} is a CSV of VIA 3, which is not read; save the project as JSON.")
    images: Dict[str, List[Tuple[Any, Any]]] = {}
    try:
        rows = csv.DictReader(io.StringIO(text, newline=""))
        names = [str(name).lstrip("#") for name in rows.fieldnames or ()]
        if any(name not in names for name in _COLUMNS):
            wanted = f"wanted a first line with {', '.join(_COLUMNS)}"
            raise InputError(f"{path} is no CSV of VIA; {wanted}.")
        rows.fieldnames = names
        for row in rows:
            regions = images.setdefault(row["filename"] or "", [])
            where = f"{path}: line {rows.line_num}"
            shape = _cell(row["region_shape_attributes"], where)
            if shape:
                attributes = _cell(row["region_attributes"], where)
                region = {"shape_attributes": shape, "region_attributes": attributes}
                regions.append((len(regions), region))
    except csv.Error as error:
        raise InputError(f"{path} is no CSV that can be read: {error}.") from None
    if not images:
        raise InputError(f"{path} has no line below its first one.")
    return [ViaImage(name, images[name]) for name in sorted(images)]


def _cell(text: Any, where: str) -> Any:
    """The JSON in a cell."""
    try:
        return json.loads(text or "{}")
    except (TypeError, ValueError, RecursionError):
        raise InputError(f"{where} holds {quoted(text)}, wanted a JSON object.") from None
