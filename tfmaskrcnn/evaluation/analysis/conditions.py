"""Where it fails: recall and AP by what an object or its image is like."""

from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from tfmaskrcnn.evaluation.analysis.coco_matching import match_all
from tfmaskrcnn.evaluation.analysis.examined import Examined, ExaminedImage
from tfmaskrcnn.evaluation.analysis.precision import ABSENT, average_precision, mean_present
from tfmaskrcnn.evaluation.analysis.verdicts import FOUND, ImageVerdicts

SMALL, LARGE = 32.0**2, 96.0**2  # COCO's limits, in pixels
SIZE_WORDS = ("tiny", "small", "large", "huge")
LIGHT_WORDS = ("dark", "dim", "light", "bright")
CLOSE = 10.0  # pixels between two boxes
# Many a non-maximum suppression takes boxes that overlap more for the same object.
OVERLAPPING = 0.3  # IoU


class Condition(NamedTuple):
    """The objects of one kind; there are some."""

    name: str  # with its limits: "tiny: area under 120 px"
    num_images: int  # that hold such objects; of this kind, where images are told apart
    num_objects: int  # without crowd regions
    recall: float  # share of the objects whose verdict is FOUND
    ap: float  # COCO's; ABSENT where a false detection cannot be told to be of a kind
    mean_iou: float  # of the objects that are found; ABSENT where none is


class Conditions(NamedTuple):
    """One way to tell objects apart, and at least two kinds of them."""

    title: str
    about: str  # one sentence: how it is cut
    rows: List[Condition]


def conditions(
    examined: Examined,
    verdicts: Sequence[ImageVerdicts],
    brightness: Optional[Sequence[float]] = None,
) -> List[Conditions]:
    """Short tables; kinds without objects are left out, and tables that would have one row.

    Args:
        examined: the images.
        verdicts: of each image, by `judge` on `examined.kind` at the operating point.
        brightness: [I] mean grey value of each image, 0..255; None leaves the table out.
    """
    objects = _population(examined, verdicts)
    tables = [
        _coco_sizes(examined, objects),
        _own_sizes(examined, objects),
        _crowding(objects),
        _border(objects),
    ]
    if brightness is not None:
        about = "Quarters of the images by their mean grey value, from 0 to 255."
        ranges = _quarters(np.asarray(brightness, np.float64), LIGHT_WORDS)
        rows = _rows_of_images(examined, objects, brightness, ranges, ("mean grey", ""))
        tables.append(Conditions("by brightness of the image", about, rows))
    sides = np.array([max(image.size) for image in examined.images], np.float64)
    about = "Quarters of the images by their longer side."
    ranges = _quarters(sides, SIZE_WORDS)
    rows = _rows_of_images(examined, objects, sides, ranges, ("longer side", " px"))
    tables.append(Conditions("by size of the image", about, rows))
    tables = [table._replace(rows=[r for r in table.rows if r.num_objects]) for table in tables]
    return [table for table in tables if len(table.rows) > 1]


class _Population(NamedTuple):
    """The N objects of a set, crowd regions left out."""

    images: np.ndarray  # [N] int, index into `Examined.images`
    areas: np.ndarray  # [N] float64 pixels, as annotated
    found: np.ndarray  # [N] bool
    ious: np.ndarray  # [N] float64, of those that are found
    gaps: np.ndarray  # [N] float64 pixels to the nearest other box, inf where there is none
    shares: np.ndarray  # [N] float64, largest IoU with another box
    at_border: np.ndarray  # [N] bool

    def row(self, name: str, chosen: np.ndarray, ap: float = ABSENT) -> Condition:
        """The condition of the objects `chosen`: [N] bool."""
        found, total = self.found & chosen, int(np.count_nonzero(chosen))
        recall = np.count_nonzero(found) / total if total else ABSENT
        mean_iou = float(self.ious[found].mean()) if found.any() else ABSENT
        return Condition(name, len(np.unique(self.images[chosen])), total, recall, ap, mean_iou)


class _Range(NamedTuple):
    word: str
    low: float  # -inf where there is no limit
    high: float  # inf where there is none; does not belong to it

    def holds(self, values: np.ndarray) -> np.ndarray:
        return (self.low <= values) & (values < self.high)

    def name(self, noun: str, unit: str) -> str:
        if self.low == -np.inf:
            limits = f"under {self.high:.0f}"
        elif self.high == np.inf:
            limits = f"from {self.low:.0f}"
        else:
            limits = f"{self.low:.0f} to {self.high:.0f}"
        return f"{self.word}: {noun} {limits}{unit}"


def _quarters(values: np.ndarray, words: Sequence[str]) -> List[_Range]:
    """Four ranges with whole limits, fewer where many values are equal; each holds some."""
    limits = np.round(np.quantile(values, (0.25, 0.5, 0.75))) if len(values) else np.zeros(0)
    below, first = np.unique(np.searchsorted(np.sort(values), limits), return_index=True)
    limits = limits[first][(below > 0) & (below < len(values))]
    edges = [-np.inf, *limits.tolist(), np.inf]
    chosen = np.linspace(0, len(words) - 1, len(edges) - 1).round().astype(int)
    chosen = (1, 2) if len(edges) == 3 else chosen  # two are no extremes
    return [_Range(words[i], *pair) for i, *pair in zip(chosen, edges, edges[1:])]


def _population(examined: Examined, verdicts: Sequence[ImageVerdicts]) -> _Population:
    columns = [np.zeros((7, 0))]
    for i, (image, verdict) in enumerate(zip(examined.images, verdicts)):
        kept = np.flatnonzero(~image.objects.crowd)
        found = np.array([verdict.objects[g] == FOUND for g in kept], bool)
        ious = np.zeros(len(kept))
        ious[found] = image.overlap(examined.kind)[verdict.finder[kept[found]], kept[found]]
        boxes = image.objects.boxes[kept]
        measured = (*_neighbours(boxes), _at_border(boxes, image))
        columns.append(
            np.stack([np.full(len(kept), i), image.objects.areas[kept], found, ious, *measured])
        )
    images, areas, found, ious, gaps, shares, border = np.concatenate(columns, axis=1)
    return _Population(images.astype(int), areas, found > 0, ious, gaps, shares, border > 0)


def _neighbours(boxes: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """[G] pixels to the nearest other box, inf where there is none, and largest IoU with one."""
    low = np.maximum(boxes[:, None, :2], boxes[:, :2])  # [G, G, 2]
    high = np.minimum(boxes[:, None, 2:], boxes[:, 2:])
    gaps = np.linalg.norm(np.maximum(low - high, 0), axis=-1)
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    shares = shared / np.maximum(areas[:, None] + areas - shared, np.finfo(float).tiny)
    np.fill_diagonal(gaps, np.inf)
    np.fill_diagonal(shares, 0.0)
    return gaps.min(axis=1, initial=np.inf), shares.max(axis=1, initial=0.0)


def _at_border(boxes: np.ndarray, image: ExaminedImage) -> np.ndarray:
    """[G] bool: less than a pixel lies between the box and the border of the image."""
    near = (boxes[:, :2] < 1) | (boxes[:, 2:] > np.array(image.size) - 1)
    return near.any(axis=1)


def _coco_sizes(examined: Examined, objects: _Population) -> Conditions:
    ranges = (
        _Range("small", -np.inf, SMALL),
        _Range("medium", SMALL, LARGE),
        _Range("large", LARGE, np.inf),
    )
    rows = []
    for part in ranges:
        chosen = (part.low <= objects.areas) & (objects.areas <= part.high)
        ap = _ap_of_sizes(examined, (part.low, part.high))
        rows.append(objects.row(part.name("area", " px"), chosen, ap))
    about = "COCO's sizes by annotated area; an object on a limit is in both, as in COCO."
    return Conditions("by object size (COCO)", about, rows)


def _own_sizes(examined: Examined, objects: _Population) -> Conditions:
    rows = []
    for part in _quarters(objects.areas, SIZE_WORDS):
        below = float(np.nextafter(part.high, part.low))
        ap = _ap_of_sizes(examined, (part.low, below))
        rows.append(objects.row(part.name("area", " px"), part.holds(objects.areas), ap))
    about = "Quarters of this set's objects by annotated area."
    return Conditions("by object size (this set)", about, rows)


def _crowding(objects: _Population) -> Conditions:
    overlapping, apart = objects.shares >= OVERLAPPING, objects.gaps >= CLOSE
    touching = (objects.gaps == 0) & ~overlapping
    near = ~(overlapping | touching | apart)
    kinds = (
        (f"overlapping: box IoU of {OVERLAPPING:.1f} or more with another", overlapping),
        (f"touching: box meets another, IoU under {OVERLAPPING:.1f}", touching),
        (f"close: next box under {CLOSE:.0f} px away", near),
        (f"apart: next box {CLOSE:.0f} px away or more, or none", apart),
    )
    about = "The box of each object against the nearest other object's in the image."
    return Conditions("by crowding", about, [objects.row(*kind) for kind in kinds])


def _border(objects: _Population) -> Conditions:
    kinds = (
        ("at the border: box less than 1 px from it", objects.at_border),
        ("inside: box 1 px from the border or more", ~objects.at_border),
    )
    about = "Objects that the image's border may cut, and the others."
    return Conditions("by place in the image", about, [objects.row(*kind) for kind in kinds])


def _rows_of_images(examined, objects, values, ranges, noun) -> List[Condition]:
    """A row for each of `ranges` of `values` [I]; noun: what they are, and their unit."""
    chosen = np.array([part.holds(np.asarray(values)) for part in ranges], bool)
    chosen = chosen.reshape(len(ranges), len(examined.images))
    ap = mean_present(average_precision(match_all(examined, examined.kind), chosen))
    rows = []
    for part, images, value in zip(ranges, chosen, ap.tolist()):
        row = objects.row(part.name(*noun), images[objects.images], value)
        rows.append(row._replace(num_images=int(np.count_nonzero(images))))
    return rows


def _ap_of_sizes(examined: Examined, area: Tuple[float, float]) -> float:
    matches = match_all(examined, examined.kind, area=area)
    return float(mean_present(average_precision(matches))[0])
