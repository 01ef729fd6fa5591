"""The objects of a set as a table: one array for each thing that all of them have.

A million objects are read, kept and put in order by few operations of NumPy; one by one that takes
longer than reading their numbers.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from tfmaskrcnn.data.coco.annotations import Checked, Segmentation

RLE = -1  # instead of a number of polygons


class ImageHead(NamedTuple):
    """What is said of an image besides its objects."""

    image_id: int
    file_name: str
    height: int  # pixels
    width: int


class ObjectTable(NamedTuple):
    """n objects that keep the rules, in any order, with P polygons of V numbers in all."""

    positions: np.ndarray  # [n] int64, of their entries in the file's list
    image_ids: np.ndarray  # [n] int64
    annotation_ids: np.ndarray  # [n] int64
    classes: np.ndarray  # [n] int32, 1..K; while reading also 0, of none
    crowd: np.ndarray  # [n] bool
    boxes: np.ndarray  # [n, 4] float, yxyx pixels, clipped to the image
    parts: np.ndarray  # [n] int64, polygons; `RLE` where there is one; 0 without a segmentation
    lengths: np.ndarray  # [P] int64, numbers of each polygon
    points: np.ndarray  # [V] float32, x1, y1, x2, y2, ... of all polygons
    rles: List[Dict[str, Any]]  # those that there are
    keypoints: Optional[np.ndarray] = None  # [n, J, 3] float32; None if not read

    def check(self) -> None:
        """Raise a `ValueError` where the arrays, which are none of ours, do not fit each other."""
        polygons, numbers = np.maximum(self.parts, 0).sum(), self.lengths.sum()
        fits = [len(column) == len(self.parts) for column in self[:7]]
        fits += [
            self.boxes.shape[1:] == (4,),
            np.count_nonzero(self.parts == RLE) == len(self.rles),
        ]
        fits += [polygons == len(self.lengths), numbers == len(self.points)]
        if not all(fits):
            raise ValueError("the arrays are of different sets")

    def only(self, kept: np.ndarray) -> "ObjectTable":
        """The objects where `kept` [n] bool holds."""
        if kept.all():
            return self
        polygons = np.repeat(kept, np.maximum(self.parts, 0))
        rles = [rle for rle, own in zip(self.rles, kept[self.parts == RLE]) if own]
        points = self.points[np.repeat(polygons, self.lengths)]
        keypoints = None if self.keypoints is None else self.keypoints[kept]
        columns = (column[kept] for column in self[:7])
        return ObjectTable(*columns, self.lengths[polygons], points, rles, keypoints)

    def by_image(self, image_ids: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """The rows of all objects, those of an image together; and how many each image has.

        Args:
            image_ids: [N] int64, of all images in their order; objects are in the file's.

        Raises:
            ValueError: an object is of no image.
        """
        order = np.argsort(image_ids)
        found = np.searchsorted(image_ids, self.image_ids, sorter=order)
        rows = order[np.minimum(found, len(order) - 1)]
        if not np.array_equal(image_ids[rows], self.image_ids):
            raise ValueError("an object is of no image")
        return np.lexsort((self.positions, rows)), np.bincount(rows, minlength=len(image_ids))

    def segmentations(self) -> List[Optional[Segmentation]]:
        """Of each object its polygons, views of `points`; or its RLE, or None."""
        ends = np.cumsum(self.lengths)
        starts = ends - self.lengths
        points = self.points
        views = [points[a:b] for a, b in zip(starts.tolist(), ends.tolist())]
        found, at, rles = [], 0, iter(self.rles)
        for count in self.parts.tolist():
            if count == RLE:
                found.append(next(rles))
            else:
                found.append(views[at : at + count] or None)
                at += count
        return found

    def checked(self) -> Dict[int, List[Checked]]:
        """Image id -> its objects one by one, in the file's order."""
        columns = (column.tolist() for column in self[:6])
        points = [None] * len(self.parts) if self.keypoints is None else self.keypoints
        found: Dict[int, List[Checked]] = {}
        for one in sorted(map(Checked, *columns, self.segmentations(), points), key=_position):
            found.setdefault(one.image_id, []).append(one)
        return found


def table_of(objects: Sequence[Checked], joints: int = 0) -> ObjectTable:
    """A table of single objects, with J = `joints` keypoints each."""
    shapes = [one.segmentation for one in objects]
    polygons = [p for shape in shapes if isinstance(shape, list) for p in shape]
    parts = [RLE if isinstance(shape, dict) else len(shape or ()) for shape in shapes]
    keypoints = np.array([one.keypoints for one in objects], np.float32) if joints else None
    return ObjectTable(
        positions=np.array([one.position for one in objects], np.int64),
        image_ids=np.array([one.image_id for one in objects], np.int64),
        annotation_ids=np.array([one.annotation_id for one in objects], np.int64),
        classes=np.array([one.number for one in objects], np.int32),
        crowd=np.array([one.crowd for one in objects], bool),
        boxes=np.array([one.box for one in objects], np.float64).reshape(-1, 4),
        parts=np.array(parts, np.int64),
        lengths=np.array([len(polygon) for polygon in polygons], np.int64),
        points=np.concatenate([np.zeros(0, np.float32), *polygons]),
        rles=[shape for shape in shapes if isinstance(shape, dict)],
        keypoints=keypoints.reshape(-1, joints, 3) if joints else None,
    )


def joined(tables: Sequence[ObjectTable]) -> ObjectTable:
    """The objects of one or more tables, all with keypoints or all without."""
    columns = [np.concatenate(parts) for parts in zip(*(table[:9] for table in tables))]
    rles = [rle for table in tables for rle in table.rles]
    points = [table.keypoints for table in tables if table.keypoints is not None]
    return ObjectTable(*columns, rles, np.concatenate(points) if points else None)


def _position(found: Checked) -> int:
    return found.position
