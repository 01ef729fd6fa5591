"""The ground truth of an evaluation: a COCO JSON as pycocotools wants it, checked on use."""

import math
import numbers
import os
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from tfmaskrcnn.data.coco.file import read_coco
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.ops.paste import run_lengths


class GroundTruthFile:
    """Images, categories and annotations of a COCO instance JSON.

    Every annotation counts, crowd regions and what training would leave out included, as in
    pycocotools; only what cannot be evaluated at all is refused.
    """

    def __init__(self, json_path: str):
        """Read the file; annotations are checked when their image is asked for."""
        self.path = os.fspath(json_path)
        raw = _read(self.path)
        self.images = {image["id"]: image for image in raw["images"]}
        categories = sorted(raw["categories"], key=lambda c: c["id"])
        self.category_ids: Tuple[int, ...] = tuple(c["id"] for c in categories)  # classes 1..K
        self.class_names: Tuple[str, ...] = tuple(str(c["name"]) for c in categories)
        self.all_class_names = self.class_names  # those left out by `keep` too
        # Whether any annotation has a mask, or there is none at all: a set may hold boxes alone.
        masks = (entry.get("segmentation") for entry in raw["annotations"])
        self.has_masks = not raw["annotations"] or any(masks)
        self._annotations: Dict[int, List[Dict]] = {}
        # Ids are given anew from 1: COCOeval takes a match with annotation 0 for no match, and
        # files with ids from 0, or the same id twice, are common.
        for number, entry in enumerate(raw["annotations"], start=1):
            entry = {key: value for key, value in entry.items() if value is not None}
            entry.update(id=number, original_id=entry.get("id"))
            self._annotations.setdefault(entry.get("image_id"), []).append(entry)
        self._left_out: Tuple[int, ...] = ()
        self._ready: Dict[int, List[Dict]] = {}

    def keep(self, names: Sequence[str]) -> None:
        """Leave the categories of other names out, and all their annotations."""
        every = zip(self.category_ids, self.class_names)
        kept = [(i, name) for i, name in every if name in names]
        self._left_out += tuple(i for i in self.category_ids if i not in [k for k, _ in kept])
        self.category_ids = tuple(i for i, _ in kept)
        self.class_names = tuple(name for _, name in kept)
        self._ready.clear()

    def annotations(self, image_id: int, masks: bool = True) -> List[Dict]:
        """What an image holds, `area`, `bbox`, `iscrowd` always there and `segmentation` as RLE.

        Args:
            image_id: an id of the file.
            masks: False takes annotations of a box alone too, and leaves them without a
                segmentation; their area is the box's.

        Raises:
            InputError: an annotation has no mask that pycocotools can read, or no box.
        """
        if image_id not in self._ready:
            entries = self._annotations.get(image_id, [])
            entries = [e for e in entries if e.get("category_id") not in self._left_out]
            self._ready[image_id] = [self._completed(entry, image_id, masks) for entry in entries]
        return self._ready[image_id]

    def _completed(self, entry: Dict, image_id: int, masks: bool) -> Dict:
        image, where = self.images[image_id], f"annotation {entry['original_id']}"
        where = f"{self.path}: {where} of image {image_id}"
        if entry.get("category_id") not in self.category_ids:
            found = f"category_id {entry.get('category_id')!r} is not in 'categories'"
            raise InputError(f"{where}: {found} ({', '.join(map(str, self.category_ids[:10]))}).")
        known: Dict[str, Any] = {"iscrowd": 0}
        try:
            if masks or entry.get("segmentation"):
                rle = _rle(entry["segmentation"], image["height"], image["width"])
                known.update(area=float(coco_mask.area(rle)), bbox=coco_mask.toBbox(rle).tolist())
                entry["segmentation"] = rle
        except Exception as error:  # pycocotools answers bad values with nearly anything
            found = repr(entry.get("segmentation"))[:60]
            reason = "wanted polygons of at least 3 points or an RLE"
            raise InputError(f"{where}: its segmentation is {found}; {reason}.") from error
        complete = {**known, **entry}
        box = complete.get("bbox")
        if np.shape(box) != (4,) or not all(map(_is_number, box)):
            raise InputError(f"{where}: its bbox is {box!r}, wanted 4 numbers.")
        complete.setdefault("area", float(box[2] * box[3]))
        if not _is_number(complete["area"]):
            raise InputError(f"{where}: its area is {complete['area']!r}, wanted a number.")
        return complete


def coco_index(images: List[Dict], category_ids: Tuple[int, ...], annotations: List[Dict]) -> COCO:
    """A pycocotools data set without its prints and without a deep copy."""
    coco = COCO()
    coco.dataset = {
        "images": images,
        "categories": [{"id": i} for i in category_ids],
        "annotations": annotations,
    }
    coco.anns = {entry["id"]: entry for entry in annotations}
    coco.imgs = {image["id"]: image for image in images}
    coco.cats = {category["id"]: category for category in coco.dataset["categories"]}
    for entry in annotations:
        coco.imgToAnns[entry["image_id"]].append(entry)
        coco.catToImgs[entry["category_id"]].append(entry["image_id"])
    return coco


def _is_number(value) -> bool:
    return isinstance(value, numbers.Real) and math.isfinite(value)


def _rle(segmentation, height: int, width: int) -> Dict:
    """Compressed RLE of polygons, an uncompressed or a compressed RLE."""
    if isinstance(segmentation, list):
        # Two points enclose nothing, and pycocotools takes four numbers for a box.
        polygons = [p for p in segmentation if len(p) >= 6]
        return coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
    if list(segmentation["size"]) != [height, width]:
        raise ValueError("an RLE of another size")
    if isinstance(segmentation["counts"], list):
        return coco_mask.frPyObjects(segmentation, height, width)
    runs = run_lengths(segmentation["counts"])
    if runs.min() < 0 or runs.sum() != height * width:
        raise ValueError("an RLE that is cut off or garbled")  # pycocotools finds out when it draws
    return segmentation


def _read(path: str) -> Dict:
    raw = read_coco(path)
    for key, needed in (("images", ("id", "height", "width")), ("categories", ("id", "name"))):
        for number, entry in enumerate(raw[key]):
            missing = [n for n in needed if not isinstance(entry, dict) or n not in entry]
            if missing:
                raise InputError(f"{path}: entry {number} of '{key}' has no {missing[0]!r}.")
    return raw
