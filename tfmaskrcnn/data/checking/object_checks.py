"""Checks of one image's objects that training does without: odd, but not refused."""

import functools
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np
from pycocotools import mask as coco_mask

from tfmaskrcnn.data.checking.holes import first_hole
from tfmaskrcnn.data.checking.notes import image_named
from tfmaskrcnn.data.checking.plain_objects import NOTHING_KNOWN, PlainObjects
from tfmaskrcnn.data.checking.repeats import SAME_IOU, corners_close
from tfmaskrcnn.data.checking.rules import Finding
from tfmaskrcnn.data.coco.annotations import Segmentation, is_number
from tfmaskrcnn.data.coco.records import Record
from tfmaskrcnn.data.coco.segmentation import as_rle, clip_polygon, visible_part

# Tools round corners, and some count the last pixel and some do not.
EDGE_TOLERANCE = 1.0  # pixels
BOX_TOLERANCE, BOX_SHARE = 2.0, 0.05  # pixels, or of the side if that is more
AREA_TOLERANCE, AREA_SHARE = 10.0, 0.1  # square pixels and of the mask's area
# x1, y1, x2, y2 fits the mask at least so well, x, y, width, height at most so.
XYXY_FITS, XYWH_FAILS = 0.9, 0.5
_AS_IT_IS = np.eye(2, 3)
_HOLE = "its polygon {} lies inside its polygon {}: they are united, so that a hole is filled."
_MOST_POINTS = 8192  # of a polygon
_CHUNK = 256  # edges or objects that are compared with all others at a time


def check_objects(
    record: Record,
    entries: Mapping[int, Dict[str, Any]],
    plain: PlainObjects = NOTHING_KNOWN,
    repeats: bool = True,
) -> List[Finding]:
    """What is odd about the objects of one image.

    Args:
        record: n objects.
        entries: annotation id -> the annotation in the JSON.
        plain: objects of which some is known already.
        repeats: whether an object may be there twice, see `may_repeat`.
    """
    if not repeats and plain.areas.issuperset(record.annotation_ids):
        return []
    found: List[Finding] = []

    def add(rule: str, i: int, text: str) -> None:
        annotation_id = record.annotation_ids[i]
        where = f"annotation {annotation_id} of {image_named(record)}"
        place = record.file_name, record.image_id, annotation_id
        found.append(Finding(rule, f"{where}: {text}", *place))

    @functools.lru_cache(None)
    def rle(i: int) -> Optional[Dict[str, Any]]:
        return mask_rle(record.segmentations[i], record.height, record.width)

    odd = [i for i, own in enumerate(record.annotation_ids) if own not in plain.shapes]
    for i, rule, text in _box_faults(record, entries, odd) if odd else ():
        add(rule, i, text)
    pixels = _plain_areas(record, plain)
    for i in odd:
        segmentation, hole = record.segmentations[i], None
        if isinstance(segmentation, list):
            for rule, text in _polygon_faults(segmentation, record.height, record.width):
                add(rule, i, text)
            hole = first_hole(segmentation)
        if hole:
            add("hole", i, _HOLE.format(hole[0] + 1, hole[1] + 1))
        elif rle(i) is not None:
            pixels[i] = int(coco_mask.area(rle(i)))
        if record.crowd[i]:
            add("crowd", i, "it is a crowd region.")
    for i, wanted in sorted(pixels.items()):
        own = record.annotation_ids[i]
        area = plain.told[own] if own in plain.told else entries.get(own, {}).get("area")
        text = area_fault(area, wanted)
        if text:
            add("area", i, text)
    for i, j, overlap in duplicates(record, rle) if repeats else ():
        text = f"repeats annotation {record.annotation_ids[i]} (same class, IoU {overlap:.2f})."
        add("duplicate-object", j, text)
    return found


def _plain_areas(record: Record, plain: PlainObjects) -> Dict[int, int]:
    """Pixels of the masks of plain objects whose areas are not known, drawn together."""
    ids = enumerate(record.annotation_ids)
    which = [i for i, own in ids if own in plain.shapes and own not in plain.areas]
    if not which:
        return {}
    shapes = [record.segmentations[i] for i in which]
    polygons = [polygon.tolist() for shape in shapes for polygon in shape]
    masks = coco_mask.frPyObjects(polygons, record.height, record.width)
    if len(masks) > len(which):
        each = iter(masks)
        masks = [coco_mask.merge([next(each) for _ in shape]) for shape in shapes]
    return dict(zip(which, coco_mask.area(masks).tolist()))


def _given_boxes(
    record: Record, entries: Mapping[int, Dict[str, Any]], which: List[int]
) -> np.ndarray:
    """[n, 4] float64 xywh of the JSON, of the objects `which`.

    Where it has none, and of other objects, what the record has.
    """
    y1, x1, y2, x2 = np.float64(record.boxes).T
    boxes = np.stack([x1, y1, x2 - x1, y2 - y1], axis=1)
    for n in which:
        bbox = entries.get(record.annotation_ids[n], {}).get("bbox")
        if bbox is not None:
            boxes[n] = bbox
    return boxes


def mask_rle(
    segmentation: Optional[Segmentation], height: int, width: int
) -> Optional[Dict[str, Any]]:
    """A compressed RLE of what lies inside the image; None without a mask or without area."""
    if segmentation is None:
        return None
    if isinstance(segmentation, list):
        segmentation = inside_image(segmentation, height, width)
    return as_rle(segmentation, height, width) if segmentation else None


def mask_box(
    segmentation: Optional[Segmentation], height: int, width: int
) -> Optional[Tuple[float, ...]]:
    """(y1, x1, y2, x2) of what lies inside the image; None without a mask or without area."""
    if isinstance(segmentation, dict):
        x, y, w, h = coco_mask.toBbox(as_rle(segmentation, height, width)).tolist()
        return (y, x, y + h, x + w) if w and h else None
    if not segmentation:
        return None
    points = np.concatenate([p.reshape(-1, 2) for p in segmentation])[:, ::-1]
    low, high = points.min(axis=0), points.max(axis=0)
    if low.min() >= 0 and np.all(high <= (height, width)):
        return (*low.tolist(), *high.tolist())
    part = visible_part(segmentation, height, width, _AS_IT_IS, (height, width))
    return tuple(part.box.tolist()) if part.share > 0 else None


def inside_image(polygons: List[np.ndarray], height: int, width: int) -> List[np.ndarray]:
    """Flat xy polygons cut off at the image's edge; those wholly outside are left out."""
    parts = []
    for flat in polygons:
        points = np.float64(flat).reshape(-1, 2)
        if points.min() < 0 or np.any(points.max(axis=0) > (width, height)):
            points = clip_polygon(points[:, ::-1], (height, width))[:, ::-1]
        if len(points) >= 3:
            parts.append(points.reshape(-1))
    return parts


def duplicates(
    record: Record, rle: Callable[[int], Optional[Dict]]
) -> Iterator[Tuple[int, int, float]]:
    """(i, j, IoU) of objects i < j of the same class that are the same; crowd regions are none.

    Args:
        record: n objects.
        rle: gives the mask of object i, None without one.
    """
    boxes, alone = record.boxes, np.flatnonzero(~record.crowd)
    for start in range(0, len(alone), _CHUNK):
        later = alone[start : start + _CHUNK, None]
        same = (record.classes[alone] == record.classes[later]) & (alone < later)
        same &= corners_close(boxes[alone], boxes[later])  # cheaper than IoU
        known = set()
        for row, column in np.argwhere(same).tolist():
            i, j = int(alone[column]), int(later[row, 0])
            if j in known:
                continue  # one is enough to know that j is too many
            overlap = float(_iou(boxes[i], boxes[j]))
            if rle(i) is not None and rle(j) is not None:
                overlap = float(coco_mask.iou([rle(i)], [rle(j)], [0])[0, 0])
            if overlap >= SAME_IOU:
                known.add(j)
                yield i, j, overlap


def first_crossing(flat: np.ndarray) -> Optional[Tuple[float, float]]:
    """(x, y) near where a flat xy polygon crosses itself, None if it does not; touching is none.

    All edges are compared with all others, so that polygons of very many points are not looked at.
    """
    points = np.float64(flat).reshape(-1, 2)
    if len(points) > _MOST_POINTS:
        return None
    a, b = points, np.roll(points, -1, axis=0)
    for start in range(0, len(points), _CHUNK):
        p, q = a[start : start + _CHUNK, None], b[start : start + _CHUNK, None]
        # Edges pq and ab cross if each has its ends on both sides of the other's line.
        apart = (_turn(p, q, a) * _turn(p, q, b) < 0) & (_turn(a, b, p) * _turn(a, b, q) < 0)
        if apart.any():
            i = start + int(np.argmax(apart.any(axis=1)))
            x, y = (a[i] + b[i]) / 2
            return float(x), float(y)
    return None


def box_fits(box: Sequence[float], tight: Sequence[float]) -> bool:
    """Whether a yxyx box is the one of its mask, `tight`, as tools draw it."""
    sides = tight[2] - tight[0], tight[3] - tight[1]
    allowed = [max(BOX_TOLERANCE, BOX_SHARE * side) for side in sides]
    return all(abs(a - b) <= allowed[k % 2] for k, (a, b) in enumerate(zip(box, tight)))


def is_xyxy(given: np.ndarray, box: Tuple[float, ...]) -> bool:
    """Whether a bbox [4] of the JSON fits the yxyx `box` of its mask as x1, y1, x2, y2 alone."""
    x, y, w, h = given
    as_corners, as_sides = np.array([y, x, h, w]), np.array([y, x, y + h, x + w])
    return bool(_iou(as_corners, box) >= XYXY_FITS and _iou(as_sides, box) < XYWH_FAILS)


def _box_faults(
    record: Record, entries: Mapping[int, Dict[str, Any]], which: List[int]
) -> Iterator[Tuple[int, str, str]]:
    given = _given_boxes(record, entries, which)
    limit = np.array([record.height, record.width] * 2, float)
    corners = np.stack([given[:, 1], given[:, 0], given[:, 1], given[:, 0]], axis=1)
    corners[:, 2:] += given[:, :1:-1]  # yxyx
    over = np.maximum(-corners, corners - limit).max(axis=1, initial=-np.inf)
    for i in which:
        bbox = given[i].tolist()
        tight = mask_box(record.segmentations[i], record.height, record.width)
        fits = tight is None or box_fits(record.boxes[i], tight)
        if not fits and is_xyxy(given[i], tight):
            yield i, "box-xyxy", f"its bbox {bbox} fits its mask only as [x1, y1, x2, y2]."
            continue
        if over[i] > EDGE_TOLERANCE:
            yield i, "box-edge", f"its bbox {bbox} reaches {over[i]:.4g} pixels over the edge."
        if not fits:
            y1, x1, y2, x2 = tight
            wanted = [round(v, 2) for v in (x1, y1, x2 - x1, y2 - y1)]
            yield i, "box-mask", f"its bbox is {bbox}, but its mask's is {wanted}."


def _polygon_faults(polygons: List[np.ndarray], height: int, width: int):
    for flat in polygons:
        points = flat.reshape(-1, 2)
        low, high = points.min(axis=0), points.max(axis=0)
        if np.any(low < -EDGE_TOLERANCE) or np.any(high > np.add((width, height), EDGE_TOLERANCE)):
            span = f"x {low[0]:g}..{high[0]:g}, y {low[1]:g}..{high[1]:g}"
            yield "polygon-edge", f"a polygon spans {span} in {height} x {width} pixels."
        place = first_crossing(flat)
        if place:
            near = f"near x {place[0]:.1f}, y {place[1]:.1f}"
            yield "crossing", f"a polygon of {len(points)} points crosses itself {near}."


def area_fault(area: Any, wanted: int) -> Optional[str]:
    """What is wrong with the area of a JSON, None if it fits the mask's or is not there.

    Args:
        area: anything.
        wanted: pixels of the mask.
    """
    if not is_number(area) or abs(area - wanted) <= max(AREA_TOLERANCE, AREA_SHARE * wanted):
        return None
    return f"its area is {area:g}, but its mask has {wanted} pixels."


def _turn(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """On which side of the line through a and b the point c lies: the sign."""
    return (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (
        c[..., 0] - a[..., 0]
    )


def _iou(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """IoU of yxyx boxes [..., 4] with one box [4]; 0 for boxes without area."""
    boxes, box = np.asarray(boxes, float), np.asarray(box, float)
    low, high = np.maximum(boxes[..., :2], box[:2]), np.minimum(boxes[..., 2:], box[2:])
    overlap = np.prod(np.maximum(high - low, 0), axis=-1)
    areas = np.prod(np.maximum(boxes[..., 2:] - boxes[..., :2], 0), axis=-1)
    union = areas + np.prod(np.maximum(box[2:] - box[:2], 0)) - overlap
    return np.where(union > 0, overlap / np.maximum(union, 1e-12), 0.0)
