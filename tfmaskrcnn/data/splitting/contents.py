"""What the images of a set hold, as far as parts of it should be alike."""

from typing import Any, Dict, Iterable, List, NamedTuple, Sequence, Tuple

import numpy as np

from tfmaskrcnn.data.coco.annotations import is_number
from tfmaskrcnn.data.coco.entries import Entries
from tfmaskrcnn.data.splitting.stratified import Counts

SIZES = ("small", "medium", "large")  # COCO's, by which AP is reported
_EDGES = (32.0**2, 96.0**2)  # square pixels, where the next size begins
# Of each class: images that show it, its objects, and those of each size.
_PER_CLASS = 2 + len(SIZES)
_FIRST = 2  # before the classes: images, and those without objects


class Contents(NamedTuple):
    """Of n images; crowd regions are no objects."""

    class_names: Tuple[str, ...]
    classes: List[np.ndarray]  # n times [m] int: the objects' classes, 0..K-1
    sizes: List[np.ndarray]  # n times [m] int: places in `SIZES`

    def counts(self, images: Iterable[int]) -> Counts:
        """What these images hold together, all of it."""
        table = self.table(images)
        strata = np.flatnonzero(table)
        return Counts(strata, table[strata].astype(float))

    def table(self, images: Iterable[int]) -> np.ndarray:
        """[_FIRST + K * _PER_CLASS] counts of everything over these images."""
        images = list(images)
        found = np.zeros(_FIRST + len(self.class_names) * _PER_CLASS, np.int64)
        found[0] = len(images)
        for i in images:
            classes, sizes = self.classes[i], self.sizes[i]
            found[1] += not len(classes)
            found[_FIRST + np.unique(classes) * _PER_CLASS] += 1
            np.add.at(found, _FIRST + classes * _PER_CLASS + 1, 1)
            np.add.at(found, _FIRST + classes * _PER_CLASS + 2 + sizes, 1)
        return found

    def of_classes(self, images: Iterable[int]) -> np.ndarray:
        """[K, 2 + sizes]: images that show a class, its objects, and those of each size."""
        return self.table(images)[_FIRST:].reshape(len(self.class_names), _PER_CLASS)


def contents_of(entries: Entries) -> Contents:
    """What the images of `entries` hold, in their order."""
    classes, sizes = [], []
    for image_id in entries.images:
        objects = [found for found in entries.objects.get(image_id, []) if not found.crowd]
        classes.append(np.array([found.number - 1 for found in objects], np.int64))
        areas = np.array([_area(entries.entry(found), found.box) for found in objects])
        sizes.append(np.digitize(areas, _EDGES) if len(areas) else np.zeros(0, np.int64))
    return Contents(tuple(entries.categories.values()), classes, sizes)


def _area(entry: Dict[str, Any], box: Sequence[float]) -> float:
    """Square pixels, as COCO's evaluation takes them: what the file says, else those of the box."""
    area = entry.get("area")
    if is_number(area) and area > 0:
        return float(area)
    y1, x1, y2, x2 = box
    return (y2 - y1) * (x2 - x1)
