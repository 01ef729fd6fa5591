"""The ground truth of an evaluation: a COCO JSON, read by the one reader, for pycocotools."""

import logging
import os
from typing import Any, Dict, List, Optional, Sequence, Tuple

from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from tfmaskrcnn.config.keypoints import KeypointHeadConfig
from tfmaskrcnn.data.coco.annotations import Checked, Fault
from tfmaskrcnn.data.coco.data_classes import DataClasses
from tfmaskrcnn.data.coco.entries import read_entries
from tfmaskrcnn.data.coco.faults import Faults
from tfmaskrcnn.data.coco.file import check_kind, read_coco
from tfmaskrcnn.data.coco.records import CocoData, data_of, rules_of
from tfmaskrcnn.data.coco.segmentation import as_rle
from tfmaskrcnn.errors import InputError, quoted

_LOG = logging.getLogger(__name__)


class GroundTruthFile:
    """Images, categories and annotations of a COCO instance JSON.

    What training would refuse is refused here too, or left out and told, as one chooses; all the
    rest counts as in pycocotools, crowd regions included.
    """

    def __init__(
        self,
        json_path: str,
        image_dir: Optional[str] = None,
        skip_invalid: bool = False,
        masks: bool = False,
        keypoint_head: Optional[KeypointHeadConfig] = None,
        classes: Optional[DataClasses] = None,
    ):
        """Read the file.

        Args:
            json_path: COCO instance JSON.
            image_dir: the folder that its file names start from; None looks at no image file, and
                then there is no `data`.
            skip_invalid: leave wrong annotations out and log their number. Without, the first is
                raised: at once, or without `image_dir` when its image is asked for.
            masks: whether every annotation must have a mask.
            keypoint_head: if it is enabled, keypoints are checked too.
            classes: which categories are which class; None for a class a category.

        Raises:
            InputError: the file is no COCO set, or an image or a category in it is wrong.
        """
        self.path = os.fspath(json_path)
        raw = read_coco(self.path)
        if masks:
            check_kind(raw["annotations"], self.path, masks)
        # Whether any annotation has a mask, or there is none at all: a set may hold boxes alone.
        annotations = raw["annotations"]
        shapes = (a.get("segmentation") for a in annotations if isinstance(a, dict))
        self.has_masks = not annotations or any(shapes)
        lazily = image_dir is None and not skip_invalid
        self._skip = skip_invalid
        self._faults = (_FaultsByImage if lazily else Faults)(
            raw, self.path, image_dir, skip_invalid
        )
        keypoints, rules = rules_of(raw, self.path, masks, keypoint_head, classes)
        entries = read_entries(raw, self.path, image_dir, self._faults, rules)
        self._faults.report()
        self.images = entries.images
        self.data: Optional[CocoData] = None
        if image_dir is not None:
            self.data = data_of(entries, self.path, image_dir, keypoints)
        self.all_class_names = tuple(entries.categories.values())  # those left out by `keep` too
        categories = dict(sorted(entries.categories.items()))  # the order of COCOeval
        self.category_ids: Tuple[int, ...] = tuple(categories)
        self.class_names: Tuple[str, ...] = tuple(categories.values())
        self._entries, self._number = entries, 0
        self._left_out: Tuple[int, ...] = ()
        self._ready: Dict[int, List[Dict]] = {}
        self._told = False

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
            InputError: an annotation of the image is wrong, and such are not left out.
        """
        if image_id not in self._ready:
            self._faults.of_image(image_id)
            size = self.images[image_id]["height"], self.images[image_id]["width"]
            found = [o for o in self._entries.objects.get(image_id, []) if self._counts(o, masks)]
            self._ready[image_id] = [self._completed(o, *size) for o in found]
        return self._ready[image_id]

    def _counts(self, found: Checked, masks: bool) -> bool:
        """Whether an annotation is judged."""
        entry = self._entries.entry(found)
        if entry["category_id"] in self._left_out:
            return False
        if not masks or found.segmentation is not None:
            return True
        number, image_id = found.annotation_id, found.image_id
        text = f"{self.path}: annotation {number} of image {image_id}: its segmentation is "
        text += f"{quoted(entry.get('segmentation'))}; wanted polygons or an RLE."
        if not self._skip:
            raise InputError(text)
        if not self._told:
            self._told = True
            every = (one for objects in self._entries.objects.values() for one in objects)
            count = sum(one.segmentation is None for one in every)
            text = f"{count} wrong annotations, which have no mask, the first: {text}"
            _LOG.warning("%s: left out %s", self.path, text)
        return False

    def _completed(self, found: Checked, height: int, width: int) -> Dict[str, Any]:
        """A COCO entry. The file's own numbers are kept: pycocotools judges boxes by them."""
        given = self._entries.entry(found)
        entry = {key: value for key, value in given.items() if value is not None}
        self._number += 1
        # Ids are given anew from 1: COCOeval takes a match with annotation 0 for no match.
        entry.update(id=self._number, original_id=entry.get("id", found.annotation_id))
        entry["iscrowd"] = int(found.crowd)
        if found.segmentation is None:
            entry.pop("segmentation", None)
        else:
            entry["segmentation"] = _exact_rle(found, given, height, width)
        rle = entry.get("segmentation")
        if "bbox" not in entry:
            entry["bbox"] = coco_mask.toBbox(rle).tolist()
        if "area" not in entry:
            x, y, w, h = entry["bbox"]
            entry["area"] = float(coco_mask.area(rle)) if rle else float(w * h)
        return entry


class _FaultsByImage(Faults):
    """Faults of annotations that are raised when their image is asked for."""

    def __init__(self, raw: Dict[str, Any], *args):
        super().__init__(raw, *args)
        self._annotations = raw["annotations"]
        self._by_image: Dict[int, Fault] = {}

    def __call__(self, part: str, number: int, fault: Fault) -> None:
        """Keep the first fault of an image; an id is given anew without a word."""
        entry = self._annotations[number] if part == "annotations" else None
        image_id = entry.get("image_id") if isinstance(entry, dict) else None
        if type(image_id) is not int:  # of no image that could be asked for
            super().__call__(part, number, fault)
        elif fault.rule != "annotation-id" and image_id not in self._by_image:
            self._by_image[image_id] = self.explained(part, number, fault)

    def of_image(self, image_id: int) -> None:
        """Raise the first fault of an image."""
        if image_id in self._by_image:
            raise self._by_image[image_id]


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


def _exact_rle(found: Checked, entry: Dict[str, Any], height: int, width: int) -> Dict[str, Any]:
    """Compressed RLE of the file's own coordinates: float32 would round some to another pixel."""
    if isinstance(found.segmentation, dict):
        return as_rle(found.segmentation, height, width)
    polygons = [p for p in entry["segmentation"] if len(p) >= 6]
    return as_rle(polygons, height, width)
