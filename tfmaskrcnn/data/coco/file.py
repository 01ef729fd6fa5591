"""A COCO file before its entries are looked at, and single fields of them."""

from typing import Any, Dict, Sequence

from tfmaskrcnn.data.coco.annotations import Fault
from tfmaskrcnn.data.coco.foreign import foreign_format
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support.files import read_json

INT64_MAX = 2**63 - 1
LISTS = ("images", "annotations", "categories")  # of an instance set


def read_coco(path: str, keys: Sequence[str] = LISTS) -> Dict[str, Any]:
    """A COCO file as dictionaries, of which the lists `keys` are known to be there.

    Raises:
        InputError: no such file, no JSON, or a list is not there.
    """
    return with_lists(read_json(path), path, keys)


def with_lists(raw: Any, path: str, keys: Sequence[str] = LISTS) -> Dict[str, Any]:
    """`raw`, the parsed JSON of a file, in which `read_coco` finds nothing to refuse."""
    whole = isinstance(raw, dict) and all(isinstance(raw.get(key), list) for key in keys)
    foreign = None if whole else foreign_format(raw, path)
    if foreign:
        raise InputError(foreign)
    if not isinstance(raw, dict):
        found = f"its top level is a {type(raw).__name__}, wanted an object"
        raise InputError(f"{path} is no COCO instance set: {found}.")
    for key in keys:
        if not isinstance(raw.get(key), list):
            found = f"is a {type(raw[key]).__name__}" if key in raw else "is missing"
            text = f"{path} is no COCO instance set: '{key}' {found}, wanted a list."
            if isinstance(raw.get(key), dict):  # of entries by their ids
                text += " `tfmaskrcnn check-data ... --fix FILE` makes it one, if it can be."
            raise InputError(text)
    return raw


def check_kind(annotations: Sequence[Any], json_path: str, masks: bool) -> None:
    """Refuse captions, keypoint-only and (for masks) box-only sets as a whole, with the reason."""
    kinds = ("segmentation",) if masks else ("bbox", "segmentation")
    dicts = (a for a in annotations if isinstance(a, dict))
    if not annotations or any(a.get(kind) for a in dicts for kind in kinds):
        return
    need = "needs a box for every object"
    if masks:
        need = "needs a mask (polygons or RLE) for every object; set mask_head.enabled=false to "
        need += "train on boxes alone"
    raise InputError(
        f"{json_path}: none of the {len(annotations)} annotations has a '{kinds[0]}'; "
        f"Mask R-CNN {need}."
    )


def field(entry: Any, key: str, kind: type, where: str):
    """`entry[key]`, checked to be of type `kind`, and a text to be one that can be written."""
    if not isinstance(entry, dict):
        raise Fault("entry", f"{where} is {quoted(entry)}, wanted an object.")
    value = entry.get(key)
    good = isinstance(value, kind) and not isinstance(value, bool) and value != ""
    if not good or (kind is str and not _writable(value)):
        found = f"is {quoted(value)}" if key in entry else "is missing"
        wanted = {int: "an integer", str: "a text"}[kind]
        raise Fault("entry", f"{where}: '{key}' {found}, wanted {wanted}.")
    return value


def _writable(text: str) -> bool:
    """Whether it has no halves of characters (lone surrogates), which no file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
