"""A COCO file before its entries are looked at, and single fields of them."""

from typing import Any, Dict, List

from tfmaskrcnn.data.coco.annotations import Fault
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.files import read_json


def read_coco(path: str) -> Dict[str, Any]:
    """A COCO file as dictionaries, of which the three lists are known to be there.

    Raises:
        InputError: no such file, no JSON, or no lists of images, annotations and categories.
    """
    raw = read_json(path)
    if not isinstance(raw, dict):
        found = f"its top level is a {type(raw).__name__}, wanted an object"
        raise InputError(f"{path} is no COCO instance set: {found}.")
    for key in ("images", "annotations", "categories"):
        if not isinstance(raw.get(key), list):
            found = f"is a {type(raw[key]).__name__}" if key in raw else "is missing"
            raise InputError(f"{path} is no COCO instance set: '{key}' {found}, wanted a list.")
    return raw


def check_kind(annotations: List[Any], json_path: str, masks: bool) -> None:
    """Refuse captions, keypoint-only and (for masks) box-only sets as a whole, with the reason."""
    box, mask = "needs a box for every object", "needs a mask (polygons or RLE) for every object"
    mask += "; set mask_head.enabled=false to train on boxes alone"
    for key, need in (("bbox", box), ("segmentation", mask))[: 2 if masks else 1]:
        if annotations and not any(isinstance(a, dict) and a.get(key) for a in annotations):
            raise InputError(
                f"{json_path}: none of the {len(annotations)} annotations has a '{key}'; "
                f"Mask R-CNN {need}."
            )


def field(entry: Any, key: str, kind: type, where: str):
    """`entry[key]`, checked to be of type `kind`."""
    if not isinstance(entry, dict):
        raise Fault("entry", f"{where} is {entry!r:.60}, wanted an object.")
    value = entry.get(key)
    if not isinstance(value, kind) or isinstance(value, bool) or value == "":
        found = f"is {value!r:.60}" if key in entry else "is missing"
        wanted = {int: "an integer", str: "a text"}[kind]
        raise Fault("entry", f"{where}: '{key}' {found}, wanted {wanted}.")
    return value
