"""What `predict_images` returns for one image."""

import dataclasses
import functools
import importlib
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple, Union

import numpy as np

from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.ops.paste import (
    Window,
    paste_masks,
    paste_to_rle,
    paste_windows,
    rle_to_masks,
    rle_windows,
)
from tfmaskrcnn.ops.region_measures import (
    in_units,
    intensity_measures,
    shape_measures,
)
from tfmaskrcnn.support.pixel_size import PixelSize, read_pixel_size

BOX_COLUMNS = ("id", "class", "score", "x1", "y1", "x2", "y2")  # of every table of objects


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Instances:
    """The D objects found in one image, best first.

    `found[:10]`, `found[found.scores > 0.5]` and `found[[3, 0]]` are `Instances` again.
    """

    boxes: np.ndarray  # [D, 4] float32, yxyx pixels of the image as given
    scores: np.ndarray  # [D] float32 in [0, 1], descending
    classes: np.ndarray  # [D] int32, 1..K
    size: Tuple[int, int]  # (height, width) of the image
    mask_probabilities: Optional[np.ndarray] = None  # [D, M, M] float32, inside the boxes
    class_names: Sequence[str] = ()  # of classes 1..K
    paste_rule: str = "aligned"  # of `ops.paste`: how probabilities become pixels
    # D COCO compressed RLE dicts, where the masks are known to the pixel (annotations, results of
    # another program); used instead of `mask_probabilities`.
    exact_rle: Optional[List[Dict]] = None
    # [D, J, 3] float32 (y, x, score), pixels of the image as given.
    keypoints: Optional[np.ndarray] = None
    skeleton: Sequence[Tuple[int, int]] = ()  # pairs of keypoints, by index from 0, to draw lines
    keypoint_offset: float = 0.5  # what COCO's keypoints, which name pixels, are short of these
    ids: Optional[np.ndarray] = None  # [D] int64, from 1: objects that keep a number over frames

    def __post_init__(self):
        """Take anything array-like, check that the lengths agree."""
        if not hasattr(self.boxes, "__len__"):
            raise InputError(f"boxes is {quoted(self.boxes)}; wanted an array [D, 4].")
        count = len(self.boxes)
        self._take("boxes", np.float32, (count, 4))
        self._take("scores", np.float32, (count,))
        self._take("classes", np.int32, (count,))
        if self.ids is not None:
            self._take("ids", np.int64, (count,))
            if (self.ids < 1).any():
                raise InputError(f"ids go from 1, found {self.ids.min()}.")
        if self.mask_probabilities is not None:
            shape = np.shape(self.mask_probabilities)
            side = shape[2] if len(shape) == 3 else 0
            self._take("mask_probabilities", np.float32, (count, side, side))
        if self.keypoints is not None:
            shape = np.shape(self.keypoints)
            joints = shape[1] if len(shape) == 3 else 0
            self._take("keypoints", np.float32, (count, joints, 3))
        if self.exact_rle is not None and len(self.exact_rle) != count:
            raise InputError(f"exact_rle has {len(self.exact_rle)} entries, wanted {count}.")
        height, width = self.size
        object.__setattr__(self, "size", (int(height), int(width)))
        object.__setattr__(self, "class_names", tuple(self.class_names))

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index) -> "Instances":
        """The rows that a slice, an int, a bool array or an index array selects."""
        rows = np.atleast_1d(np.arange(len(self))[_as_index(index)])
        rle = self.exact_rle
        probabilities = self.mask_probabilities
        chosen = dataclasses.replace(
            self,
            boxes=self.boxes[rows],
            scores=self.scores[rows],
            classes=self.classes[rows],
            mask_probabilities=None if probabilities is None else probabilities[rows],
            exact_rle=None if rle is None else [rle[i] for i in rows],
            keypoints=None if self.keypoints is None else self.keypoints[rows],
            ids=None if self.ids is None else self.ids[rows],
        )
        if "masks" in self.__dict__:  # pasted already
            chosen.__dict__["masks"] = self.masks[rows]
        return chosen

    def __repr__(self) -> str:
        labels = [f"{n} {s:.2f}" for n, s in zip(self.names[:3], self.scores)]
        labels += ["..."] if len(self) > 3 else []
        found = f": {', '.join(labels)}" if labels else ""
        return f"<{len(self)} Instances in {self.size[0]}x{self.size[1]}{found}>"

    def _repr_html_(self) -> str:
        """In notebooks: a picture of the objects on plain ground, and a table of the first ten."""
        return _drawn_by("as_html")(self)

    def _repr_png_(self) -> bytes:
        """For consoles that show pictures but no HTML."""
        return _drawn_by("as_png")(self)

    @property
    def names(self) -> List[str]:
        """D labels; "class 3" where `class_names` has none."""
        known = dict(enumerate(self.class_names, start=1))
        return [known.get(k, f"class {k}") for k in self.classes.tolist()]

    @property
    def numbers(self) -> np.ndarray:
        """[D] int64, by which pictures, tables and files call the objects: `ids`, else 1..D."""
        return np.arange(1, len(self) + 1, dtype=np.int64) if self.ids is None else self.ids

    @property
    def has_masks(self) -> bool:
        """Whether there are masks, or boxes alone."""
        return self.exact_rle is not None or self.mask_probabilities is not None

    @functools.cached_property
    def masks(self) -> np.ndarray:
        """[D, H, W] bool, pasted on first use."""
        if not self._need_masks():
            return np.zeros((0, *self.size), bool)
        if self.exact_rle is not None:
            return rle_to_masks(self.exact_rle, *self.size)
        return paste_masks(self.mask_probabilities, self.boxes, *self.size, rule=self.paste_rule)

    def rle(self) -> List[Dict]:
        """D COCO compressed RLE dicts, JSON-ready, without making the bitmaps."""
        if not self._need_masks():
            return []
        if self.exact_rle is not None:
            return list(self.exact_rle)
        return paste_to_rle(self.mask_probabilities, self.boxes, *self.size, rule=self.paste_rule)

    def windows(self) -> Iterator[Window]:
        """The D masks one by one, each as (top, left, [h, w] bool) around its object.

        Memory is that of one object, however large the image: `masks` makes [D, H, W]. A window
        may be wider than its mask, or empty (h or w 0) where no pixel is in the image.
        """
        if not self._need_masks():
            return iter(())
        if self.exact_rle is not None:
            return rle_windows(self.exact_rle, *self.size)
        return paste_windows(self.mask_probabilities, self.boxes, *self.size, rule=self.paste_rule)

    def coco_results(self, image_id: int, category_ids: Sequence[Optional[int]]) -> List[Dict]:
        """Entries of a COCO results file.

        Args:
            image_id: the data set's id of this image.
            category_ids: the data set's ids of classes 1..K; None leaves a class out.

        Raises:
            ValueError: a class is beyond the category ids.
        """
        if len(self) and not 1 <= self.classes.min() <= self.classes.max() <= len(category_ids):
            raise InputError(
                f"classes {self.classes.min()}..{self.classes.max()} found, wanted 1.."
                f"{len(category_ids)}: there are {len(category_ids)} category ids."
            )
        results = []
        for box, score, k in zip(_xywh_from_yxyx(self.boxes), self.scores, self.classes):
            entry = {"image_id": image_id, "category_id": category_ids[k - 1]}
            results.append({**entry, "bbox": box.tolist(), "score": float(score)})
        if self.has_masks:
            for entry, rle in zip(results, self.rle()):
                entry["segmentation"] = rle
        if self.keypoints is not None:
            for entry, points in zip(results, self.keypoints.astype(np.float64)):
                # Nothing is said of visibility; COCO's results have a number in its place.
                y, x = (points[:, i] - self.keypoint_offset for i in range(2))
                entry["keypoints"] = np.stack([x, y, points[:, 2]], axis=1).reshape(-1).tolist()
        return [entry for entry in results if entry["category_id"] is not None]

    def table(
        self,
        image: Optional[np.ndarray] = None,
        pixel_size: Union[str, PixelSize, None] = None,
        pandas: Optional[bool] = None,
    ):
        """The `rows` as a pandas DataFrame where pandas is installed, else as a list of dicts.

        `pandas=False` gives the list and `pandas=True` the DataFrame in any case.

        Raises:
            InputError: pandas is wanted and not installed, or as `rows`.
        """
        rows = self.rows(image, pixel_size)
        if pandas is False:
            return rows
        try:
            from pandas import DataFrame
        except ImportError:
            if pandas:
                raise InputError("table(pandas=True) needs pandas: pip install pandas.") from None
            return rows
        return DataFrame(rows, columns=list(rows[0]) if rows else list(BOX_COLUMNS))

    def rows(
        self,
        image: Optional[np.ndarray] = None,
        pixel_size: Union[str, PixelSize, None] = None,
    ) -> List[Dict[str, Any]]:
        """D dicts: number, class, score and box; of masks what `docs/results.md` tells.

        Args:
            image: [H, W, C] or [H, W] pixels, for mean and spread in each channel.
            pixel_size: such as "0.32um", for lengths and areas in this unit as well.

        Raises:
            InputError: there are masks and scikit-image is not installed, or no such pixel size.
        """
        if image is not None:
            image = image if hasattr(image, "shape") else np.asarray(image)
            if tuple(image.shape[:2]) != self.size:
                raise InputError(f"The image has the shape {image.shape}, wanted {self.size}.")
        side = None if pixel_size is None else read_pixel_size(pixel_size)
        values = (self.numbers, self.names, self.scores, *self.boxes.T[[1, 0, 3, 2]])
        rows = [
            dict(zip(BOX_COLUMNS, row)) for row in zip(*(np.asarray(v).tolist() for v in values))
        ]
        for row, window in zip(rows, self.windows() if self.has_masks else ()):
            row.update(shape_measures(window))
            row.update({} if image is None else intensity_measures(window, image))
            row.update({} if side is None else in_units(row, *side))
        return rows

    def _take(self, name: str, dtype, shape: Tuple[int, ...]) -> None:
        try:
            value = np.asarray(getattr(self, name), dtype)
        except (TypeError, ValueError):
            found = quoted(getattr(self, name))
            raise InputError(f"{name} is {found}; wanted an array of numbers.") from None
        value = value.reshape(shape) if not len(self.boxes) else value
        if value.shape != shape:
            raise InputError(f"{name} has the shape {value.shape}, wanted {shape}.")
        object.__setattr__(self, name, value)

    def _need_masks(self) -> bool:
        """Whether there is a mask to return; an error where there are boxes alone."""
        if len(self) and not self.has_masks:
            raise InputError("These instances have boxes alone: mask_probabilities is None.")
        return len(self) > 0


def _drawn_by(function: str):
    """By its name: drawing knows `Instances`, which know of drawing only when they are shown."""
    return getattr(importlib.import_module("tfmaskrcnn.drawing.notebook"), function)


def _as_index(index):
    # An empty list is an index array, though NumPy would make it float64.
    return np.asarray(index, int) if isinstance(index, (list, tuple)) and not index else index


def _xywh_from_yxyx(boxes: np.ndarray) -> np.ndarray:
    """COCO's (x, y, width, height) of [D, 4] yxyx boxes."""
    y1, x1, y2, x2 = boxes.astype(np.float64).T
    return np.stack([x1, y1, x2 - x1, y2 - y1], axis=-1)
