"""The numbers of a COCO evaluation and how they are shown."""

import dataclasses
import json
from typing import Dict, Optional, Tuple

from tfmaskrcnn.support.tables import as_text, new_table

_MEANING = {
    "AP": "IoU 0.50 to 0.95",
    "AP50": "IoU 0.50",
    "AP75": "IoU 0.75",
    "APs": "objects under 32 x 32",
    "APm": "32 x 32 to 96 x 96",
    "APl": "objects over 96 x 96",
    "ARs": "objects under 32 x 32",
    "ARm": "32 x 32 to 96 x 96",
    "ARl": "objects over 96 x 96",
}

_KAGGLE_MEANING = {
    "score": "TP / (TP + FP + FN), mean of images and IoU 0.50 to 0.95",
    "pooled": "TP / (TP + FP + FN) of all images together, IoU 0.50",
    "precision": "TP / (TP + FP) of all images together, IoU 0.50",
    "recall": "TP / (TP + FN) of all images together, IoU 0.50",
}


@dataclasses.dataclass(frozen=True)
class CocoResult:
    """COCO's numbers for masks and boxes; -1 where there is nothing to refer to.

    All of `masks` is -1 where the model or the ground truth has boxes alone.

    `masks` and `boxes` hold AP, AP50, AP75, APs, APm, APl, then AR1, AR10, AR100 (after the limits
    in use), ARs, ARm, ARl, each in [0, 1].
    """

    masks: Dict[str, float]
    boxes: Dict[str, float]
    mask_ap_per_class: Dict[str, float]  # class name -> AP
    box_ap_per_class: Dict[str, float]
    num_images: int
    num_objects: int
    num_detections: int
    # AP, AP50, AP75, APm, APl, then AR, AR50, ... by object keypoint similarity, of the best 20
    # detections of an image; None for a model without keypoints.
    keypoints: Optional[Dict[str, float]] = None
    kaggle: Optional[Dict[str, float]] = None  # `kaggle.KaggleResult`, on request
    left_out: Tuple[str, ...] = ()  # categories that the model does not know; the rest was judged

    @property
    def has_masks(self) -> bool:
        """Whether there is anything to say about masks; False where all is absent, boxes too."""
        return any(value >= 0 for value in self.masks.values())

    def as_logs(self, prefix: str = "val_") -> Dict[str, float]:
        """A flat dict: val_mask_ap, val_mask_ap50, ..., val_box_ap, ..., and with keypoints
        val_keypoint_ap, ...; -1 for absent numbers.
        """
        kinds = [("mask", self.masks), ("box", self.boxes)]
        kinds += [] if self.keypoints is None else [("keypoint", self.keypoints)]
        return {f"{prefix}{kind}_{n.lower()}": v for kind, d in kinds for n, v in d.items()}

    def to_json(self) -> str:
        """All numbers as JSON, null for absent ones."""
        values = dataclasses.asdict(self)
        for name, value in values.items():
            if isinstance(value, dict):
                values[name] = {k: None if v < 0 else v for k, v in value.items()}
        return json.dumps(values, indent=2)

    def table(self) -> str:
        """The numbers as text for a terminal; n/a for absent ones."""
        return as_text(self)

    def __rich__(self):
        """The same for `rich.print`, with colour."""
        from rich.console import Group

        title = f"{self.num_images:,} images, {self.num_objects:,} objects, "
        parts = [self._summary_table(f"{title}{self.num_detections:,} detections")]
        if self.keypoints is not None:
            parts.append(self._keypoint_table())
        if self.kaggle is not None:
            parts.append(self._kaggle_table())
        if len(self.mask_ap_per_class) > 1:
            parts.append(self._class_table())
        return Group(*parts)

    def _summary_table(self, title: str):
        kinds = self._kinds()
        table = new_table(title, ("COCO", ""), kinds)
        for name in self.boxes:
            meaning = _MEANING.get(name, f"best {name[2:]} of each image")
            style = "bold" if name == "AP" else None
            numbers = [_shown(getattr(self, kind)[name]) for kind in kinds]
            table.add_row(name, meaning, *numbers, style=style, end_section=name == "APl")
        return table

    def _keypoint_table(self):
        table = new_table("Object keypoint similarity (OKS)", ["COCO", ""], ["keypoints"])
        for name, value in self.keypoints.items():
            meaning = _MEANING.get(name.replace("AR", "AP"), "").replace("IoU", "OKS")
            style = "bold" if name == "AP" else None
            table.add_row(name, meaning, _shown(value), style=style, end_section=name == "APl")
        return table

    def _kaggle_table(self):
        title = f"Data Science Bowl, masks of scores from {self.kaggle['score_threshold']:g}"
        table = new_table(title, ["", ""], ["masks"])
        for name, meaning in _KAGGLE_MEANING.items():
            table.add_row(name, meaning, _shown(self.kaggle[name]))
        return table

    def _class_table(self):
        kinds = self._kinds()
        table = new_table("AP of each class", ("class",), kinds)
        aps = {"masks": self.mask_ap_per_class, "boxes": self.box_ap_per_class}
        for name in self.box_ap_per_class:
            table.add_row(name, *(_shown(aps[kind][name]) for kind in kinds))
        return table

    def _kinds(self) -> Tuple[str, ...]:
        """The columns of numbers: boxes alone, if there are numbers of them alone."""
        boxes_alone = not self.has_masks and any(value >= 0 for value in self.boxes.values())
        return ("boxes",) if boxes_alone else ("masks", "boxes")


def _shown(value: float) -> str:
    return "n/a" if value < 0 else f"{value:.3f}"
