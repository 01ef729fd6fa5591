"""What training is about to learn wrongly, by a quick look at a sample: a line a kind.

`check` is thorough and takes its time; this is for the start of every run.
"""

import os
import shlex
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data.augment.moved_objects import MIN_SIDE
from tfmaskrcnn.data.checking.clear_objects import all_shares
from tfmaskrcnn.data.checking.coverage import objects_of, resized
from tfmaskrcnn.data.checking.file_headers import turned_images
from tfmaskrcnn.data.checking.object_checks import box_fits, mask_box
from tfmaskrcnn.data.checking.set_checks import check_box_order, class_counts
from tfmaskrcnn.data.coco.file import read_coco
from tfmaskrcnn.data.coco.meaning import clear_segmentation
from tfmaskrcnn.data.coco.records import CocoData, Record
from tfmaskrcnn.data.tfrecord.reading import TfrecordRecords
from tfmaskrcnn.errors import listed, quoted
from tfmaskrcnn.support import storage

_IMAGES, _OBJECTS = 200, 1000  # of the sample
_APART, _HALF = 0.1, 0.5  # IoU of a box with its mask's
_MANY = 0.2  # share of the boxes that may not fit their masks by half
_CROWDS = 0.3  # share of all objects; COCO has one in eighty
_LONG_TAIL = 20  # classes of which some may have no object where others have one or two
_VANISHING = 0.01  # share of the objects that the resize loses
_SMALL, _WANTED = 8.0, 16.0  # pixels of the network's input, medians of an object's side
_SHRUNK = 0.5  # by a resize to less than this share of the image's side
_FEWEST = 10  # boxes by which their order is known without masks


class _Sample(NamedTuple):
    """How the boxes looked at lie to their masks."""

    seen: int
    corners: int  # fit as x1, y1, x2, y2 alone
    apart: int  # hardly touch
    half: int  # overlap by less than half, those apart included
    other: Counter  # what masks are that clearly mean something else


def first_look(data: CocoData, config: Config, val_records: Sequence[Record] = ()) -> List[str]:
    """Sentences on what of the train split will be learned wrongly, with the command that mends it.

    Args:
        data: the train split as it is read.
        config: what it is trained with.
        val_records: of the val split, which should show other images.

    Raises:
        InputError: an image of the sample is of another size than the JSON says.
    """
    command = _command(data, config)
    lines = _crowds(data, command)
    every = max(1, len(data.records) // _IMAGES)
    sample = [data.records[i] for i in range(0, len(data.records), every)][:_IMAGES]
    shares = all_shares(record.boxes for record in data.records)
    lines += _shares(data, command) if shares else _boxes(_looked_at(sample), command)
    if not config.model.mask_head.enabled:
        lines += _bare_boxes(data, command)
    with ThreadPoolExecutor(8) as pool:
        lines += turned_images(sample, config.model.input.exif, pool.map)
    lines += _classes(data, config)
    lines += _sizes(data, config)
    return lines + _leaks(data, val_records)


def _command(data: CocoData, config: Config) -> str:
    """What one types to mend the set."""
    if isinstance(data.records, TfrecordRecords) or not config.data.train_images:
        return "`tfmaskrcnn check-data JSON IMAGES --fix FILE` (of the shards' JSON)"
    paths = (os.fspath(path) for path in (data.json_path, config.data.train_images))
    return f"`tfmaskrcnn check-data {' '.join(map(shlex.quote, paths))} --fix FILE`"


def _crowds(data: CocoData, command: str) -> List[str]:
    count = sum(len(record.crowd) for record in data.records)
    crowds = sum(int(np.sum(record.crowd)) for record in data.records)
    if crowds < _CROWDS * count or not crowds:
        return []
    return [
        f"{data.json_path}: {crowds:,} of {count:,} objects are crowd regions (iscrowd 1), from "
        "which no object is learned, as CVAT writes every mask; if they are single objects, "
        f"{command.replace('--fix', '--no-crowds --fix')} makes them such."
    ]


def _looked_at(sample: Sequence[Record]) -> _Sample:
    seen, corners, cut, apart, half, other = 0, 0, 0, 0, 0, Counter()
    for record in sample:
        for box, shape, crowd in zip(record.boxes, record.segmentations, record.crowd):
            tight = None
            if not crowd and shape is not None and seen < _OBJECTS:
                tight = mask_box(shape, record.height, record.width)
            if tight is None:
                continue
            seen += 1
            if box_fits(box, tight):
                continue
            meaning = _meaning(shape, box, record)
            if meaning:
                other[meaning] += 1
                continue
            as_corners = _as_corners(tight, record.height, record.width)
            if box_fits(box, as_corners):
                # Cut off along both axes it may as well be an object in the image's corner.
                both = as_corners[2:] == (record.height, record.width)
                corners, cut = corners + (not both), cut + both
                continue
            overlap = _iou(box, tight)
            apart, half = apart + (overlap < _APART), half + (overlap < _HALF)
    return _Sample(seen, corners + cut if corners else 0, apart, half, other)


def _meaning(shape, box: np.ndarray, record: Record) -> Optional[str]:
    """What a mask clearly is that does not give its box."""
    if not isinstance(shape, dict):
        shape = [polygon.tolist() for polygon in shape]
    y1, x1, y2, x2 = box.tolist()
    found = clear_segmentation(shape, [x1, y1, x2 - x1, y2 - y1], record.height, record.width)
    return found.what if found else None


def _shares(data: CocoData, command: str) -> List[str]:
    return [
        f"{data.json_path}: all coordinates are between 0 and 1, as shares of the image's sides "
        f"are; COCO's are pixels; {command} mends them."
    ]


def _as_corners(tight: Sequence[float], height: int, width: int) -> Tuple[float, ...]:
    """What x1, y1, x2, y2 of a yxyx box give when read as x, y, width, height; yxyx, clipped."""
    y1, x1, y2, x2 = tight
    return y1, x1, min(y1 + y2, height), min(x1 + x2, width)


def _boxes(found: _Sample, command: str) -> List[str]:
    lines, of = [], f"of {found.seen:,}"
    if found.corners:
        lines.append(
            f"{found.corners:,} {of} boxes looked at fit their masks only as [x1, y1, x2, y2], but "
            f"COCO's are [x, y, width, height]; {command} mends them."
        )
    for what, count in found.other.items():
        lines.append(f"{count:,} {of} masks looked at are {what}; {command} mends them.")
    if found.apart or found.half > _MANY * found.seen:
        lines.append(
            f"{found.half:,} {of} boxes looked at miss most of their masks, {found.apart:,} "
            f"nearly all, which trains empty masks; {command} takes the masks' boxes."
        )
    return lines


def _bare_boxes(data: CocoData, command: str) -> List[str]:
    """On boxes without masks, by all of them together."""
    if isinstance(data.records, TfrecordRecords) or not _all_reach_far(data.records):
        return []
    raw = read_coco(data.json_path)  # a record's boxes are clipped
    entries = {e.get("id"): e for e in raw["annotations"] if isinstance(e, dict)}
    if not all(i in entries for record in data.records for i in record.annotation_ids):
        return []
    return [
        f"{data.json_path}: {f.message} {command} mends them."
        for f in check_box_order(data, entries)
    ]


def _all_reach_far(records: Sequence[Record]) -> bool:
    """Whether all boxes are so large as x1, y1, x2, y2 read as x, y, width, height are."""
    count = 0
    for record in records:
        if not len(record.boxes):
            continue
        y1, x1, y2, x2 = record.boxes.T
        tall = (y2 - y1 > y1) | (y2 >= record.height)
        wide = (x2 - x1 > x1) | (x2 >= record.width)
        if not np.all(tall & wide):
            return False
        count += len(record.boxes)
    return count >= _FEWEST


def _classes(data: CocoData, config: Config) -> List[str]:
    counts = class_counts(data)
    empty = [data.class_names[k - 1] for k, count in counts.items() if not count]
    if not empty or config.data.limit or len(empty) == len(counts):
        return []
    if len(counts) > _LONG_TAIL and min(filter(None, counts.values())) < 3 and len(empty) > 1:
        return []  # of many classes some are rarer than the set is large
    names = listed((quoted(name, 40) for name in empty), 5)
    return [
        f"{data.json_path}: {len(empty)} of {len(counts)} classes have no object and are never "
        f"found: {names}; take them out of 'categories' unless they are meant (Roboflow's exports "
        "have one above all others)."
    ]


def _sizes(data: CocoData, config: Config) -> List[str]:
    """On objects that the resize makes too small."""
    objects, input = objects_of(data), config.model.input
    if not len(objects.boxes):
        return []
    now = resized(objects, input).sides
    before = objects.boxes[:, 2:] - objects.boxes[:, :2]
    share = np.median(now / np.maximum(before, 1e-9))
    side = float(np.median(np.sqrt(now.prod(axis=1))))
    lost = int((now.min(axis=1) < MIN_SIDE).sum())
    if share >= _SHRUNK or (lost < _VANISHING * len(now) and side >= _SMALL):
        return []
    factor = min(max(_WANTED / max(side, 1e-9), 2.0), 1.0 / share)
    wanted = _larger(config, factor)
    return [
        f"{data.json_path}: images are shrunk to {share:.2g} of their size, objects to {side:.2g} "
        f"pixels (median), and {lost:,} of {len(now):,} vanish; --set {wanted} keeps them larger."
    ]


def _larger(config: Config, factor: float) -> str:
    input = config.model.input

    def times(side: int) -> int:
        return int(np.ceil(side * factor / input.pad_multiple)) * input.pad_multiple

    if input.fixed_size:
        return "'input.fixed_size=[{}, {}]'".format(*map(times, input.fixed_size))
    return f"input.min_side={times(input.min_side)} input.max_side={times(input.max_side)}"


def _leaks(data: CocoData, val_records: Sequence[Record]) -> List[str]:
    if isinstance(data.records, TfrecordRecords) or not len(val_records):
        return []
    train = set(_paths(data.records))
    both = [path for path in _paths(val_records) if path in train]
    if not both:
        return []
    return [
        f"{len(both):,} of {len(val_records):,} images of the val split are in the train split "
        f"too, such as {quoted(both[0], 100)}: AP tells little of others; "
        "`tfmaskrcnn split` divides a set without that."
    ]


def _paths(records: Sequence[Record]) -> Iterator[str]:
    return (storage.absolute(r.path) for r in records if isinstance(r.path, str))


def _iou(box: Sequence[float], other: Sequence[float]) -> float:
    """IoU of two yxyx boxes."""
    a, b = np.float64(box), np.float64(other)
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    overlap = float(np.maximum(sides, 0).prod())
    return overlap / max(float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod()) - overlap, 1e-12)
