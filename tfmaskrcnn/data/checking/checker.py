"""`check`: all that is wrong or odd in a data set, found in one pass."""

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.yaml_files import override
from tfmaskrcnn.data.checking.check_result import CheckResult
from tfmaskrcnn.data.checking.clearing import Cleared, clear_set, read_lists
from tfmaskrcnn.data.checking.coverage import best_iou, objects_of, resized
from tfmaskrcnn.data.checking.entries_by_id import EntriesById
from tfmaskrcnn.data.checking.file_checks import (
    NOT_LOOKED,
    FileReport,
    Looked,
    check_copies,
    check_file,
    check_names,
    look,
)
from tfmaskrcnn.data.checking.notes import Change
from tfmaskrcnn.data.checking.object_checks import check_objects
from tfmaskrcnn.data.checking.repeats import may_repeat
from tfmaskrcnn.data.checking.rules import LEVELS, RULES, WRONG, Finding
from tfmaskrcnn.data.checking.set_checks import (
    check_box_order,
    check_classes,
    check_counts,
    check_sizes,
    class_counts,
)
from tfmaskrcnn.data.checking.setting_proposals import propose
from tfmaskrcnn.data.checking.turned_views import check_views
from tfmaskrcnn.data.coco.annotations import Fault
from tfmaskrcnn.data.coco.data_classes import DataClasses
from tfmaskrcnn.data.coco.foreign import LOOKED_AT, foreign_format
from tfmaskrcnn.data.coco.image_files import ImageFacts
from tfmaskrcnn.data.coco.lazy_entries import with_heads
from tfmaskrcnn.data.coco.meaning import clear_id
from tfmaskrcnn.data.coco.records import CocoData, Record, checked_set
from tfmaskrcnn.support.collecting import no_collecting
from tfmaskrcnn.support.given import A_COUNT, A_FOLDER, A_PATH, takes
from tfmaskrcnn.support.progress_bar import Progress

_TOGETHER = 32  # images that a thread looks at


class Examined(NamedTuple):
    """What `examined` knows of a set."""

    data: CocoData  # what training would take
    raw: Dict[str, Any]  # the JSON, cleared
    findings: List[Finding]
    changes: List[Change]  # that clear it
    reports: Dict[int, FileReport]  # image id -> what its file and its objects show
    missing: Set[int]  # ids of images whose files do not exist

    @property
    def facts(self) -> Dict[int, ImageFacts]:
        """Image id -> its file, if it can be read."""
        return {i: r.looked.facts for i, r in self.reports.items() if r.looked.facts}


@takes(json_path=A_PATH, image_dir=A_FOLDER, config=Config, other_json=A_PATH, limit=A_COUNT)
def check(
    json_path: str,
    image_dir: str,
    config: Optional[Config] = None,
    other_json: Optional[str] = None,
    other_images: Optional[str] = None,
    limit: Optional[int] = None,
    progress: Optional[Progress] = None,
) -> CheckResult:
    """Read a whole COCO data set, images too, and collect what is wrong or odd.

    Args:
        json_path: COCO instance JSON.
        image_dir: the folder that its file names start from.
        config: what the set is to be trained with; None for the defaults.
        other_json: another set, such as the val split, that should share no image with this one.
        other_images: its folder; None for `image_dir`.
        limit: check the first so many images only.
        progress: called with (images done, images in all).

    Raises:
        InputError: a JSON cannot be read, or the set as a whole is none to train on.
    """
    others = other_json, other_images or image_dir
    with no_collecting():
        return _check(os.fspath(json_path), image_dir, config or Config(), others, limit, progress)


def _check(
    json_path: str,
    image_dir: str,
    config: Config,
    other: Tuple[Optional[str], str],
    limit: Optional[int],
    progress: Optional[Progress],
) -> CheckResult:
    """`check`; `other` is another set and its folder."""
    lists = read_lists(json_path)
    raw = _first_images(lists.raw, limit)
    found = examined(raw, json_path, image_dir, config, progress)
    data, findings = found.data, [*lists.findings, *found.findings]
    findings += _foreign(lists, found)
    others = _records(*other, config) if other[0] else []
    findings += check_names(data.records, found.missing) + check_copies(data.records, others)
    findings += check_counts(data, config) + check_views(data.records, found.facts, config)
    objects = objects_of(data)
    at_input = resized(objects, config.model.input)
    iou = best_iou(at_input, config.model.anchors)[0]
    findings += check_sizes(data, at_input, iou, config)
    proposals = propose(data, objects, config)
    changed = override(config, [p.setting() for p in proposals])
    then = resized(objects, changed.model.input)
    return CheckResult(
        data=data,
        raw=found.raw,
        image_dir=os.fspath(image_dir),
        config=config,
        proposed=changed,
        findings=_worst_first(findings),
        proposals=proposals,
        class_counts=class_counts(data),
        looked={r.path: found.reports[r.image_id].looked for r in data.records},
        changes=lists.changes + found.changes,
        at_input=at_input,
        iou=iou,
        proposed_iou=best_iou(then, changed.model.anchors)[0],
        proposed_scales=then.scales,
        limit=limit,
    )


def examined(
    raw: Dict[str, Any],
    json_path: str,
    image_dir: str,
    config: Config,
    progress: Optional[Progress] = None,
    known: Optional[Dict[str, Looked]] = None,
) -> Examined:
    """All that can be wrong in the lists of a set, and what is odd about single entries.

    Args:
        raw: the parsed JSON, of which the three lists are known to be there.
        json_path: where it is from.
        image_dir: the folder of the images.
        config: what the set is to be trained with.
        progress: called with (images done, images in all).
        known: path -> what it holds, of files that need not be read again.
    """
    cleared = clear_set(raw, image_dir, config.model.input.exif)
    data, entries, findings = _collected(cleared.raw, json_path, image_dir, config)
    missing = {f.image_id for f in findings if f.rule == "image-missing"}
    about = functools.partial(check_objects, entries=entries, plain=cleared.plain)
    looked = _each_image(data.records, missing, about, config, known or {}, progress)
    findings = cleared.findings + findings
    findings += [f for report in looked.values() for f in report.findings]
    findings += check_classes(data) + check_box_order(data, entries)
    return Examined(data, cleared.raw, findings, cleared.changes, looked, missing)


def _worst_first(findings: List[Finding]) -> List[Finding]:
    rules = sorted(RULES, key=lambda rule: LEVELS.index(RULES[rule].level))
    order = {rule: n for n, rule in enumerate(rules)}
    return sorted(findings, key=lambda finding: order[finding.rule])


def _first_images(raw: Dict[str, Any], limit: Optional[int]) -> Dict[str, Any]:
    if limit is None:
        return raw
    images = raw["images"][:limit]
    ids = {_key(image, "id") for image in images}
    kept = [a for a in raw["annotations"] if _key(a, "image_id") in ids]
    return {**raw, "images": images, "annotations": kept}


def _key(entry: Any, key: str) -> Any:
    """What an id refers to, in whatever form."""
    value = entry.get(key) if isinstance(entry, dict) else None
    number = clear_id(value)
    return number if number is not None else value if isinstance(value, str) else None


def _records(json_path: str, image_dir: str, config: Config) -> Sequence[Record]:
    """The images of a set of which nothing else is to be known."""
    raw = clear_set(read_lists(json_path).raw, image_dir, config.model.input.exif).raw
    return _collected(raw, json_path, image_dir, config)[0].records


def _foreign(lists: Cleared, found: Examined) -> List[Finding]:
    """Whose COCO it is, if something is wrong with it and another program wrote it."""
    sentence = foreign_format(with_heads(lists.raw, LOOKED_AT), found.data.json_path)
    wrong = [f for f in lists.findings + found.findings if RULES[f.rule].level == WRONG]
    return [Finding("foreign", sentence)] if sentence and wrong else []


def _collected(
    raw: Dict[str, Any], json_path: str, image_dir: str, config: Config
) -> Tuple[CocoData, EntriesById, List[Finding]]:
    """What `load_coco` would take, and one finding for each entry where it would stop."""
    found: List[Finding] = []
    names = {_id(image, "id"): image.get("file_name") for image in _dicts(raw["images"])}

    def on_fault(part: str, index: int, fault: Fault) -> None:
        entry = raw[part][index]
        image_id = _id(entry, "image_id" if part == "annotations" else "id")
        if fault.rule == "unknown-image" and image_id in names:
            return  # its image is wrong, which has been said
        annotation_id = _id(entry, "id") if part == "annotations" else None
        place = ("", None, None)
        if part != "categories":
            place = (str(names.get(image_id) or ""), image_id, annotation_id)
        message = str(fault)
        message = message[len(json_path) + 2 :] if message.startswith(json_path) else message
        found.append(Finding(fault.rule, message, *place))

    head = config.model.keypoint_head
    masks = config.model.mask_head.enabled
    wanted = DataClasses.of(config.data.classes, complete=False)
    data, read = checked_set(raw, json_path, image_dir, on_fault, masks, head, wanted)
    return data, EntriesById(read.table, read.annotations), found


def _each_image(
    records: List[Record],
    missing: Set[int],
    about: Callable[..., List[Finding]],
    config: Config,
    known: Dict[str, Looked],
    progress: Optional[Progress],
) -> Dict[int, FileReport]:
    """Image id -> what its file and its objects show; `about` tells of the objects of a record."""
    channels, exif = config.model.input.channels, config.model.input.exif

    def look_at(record: Record) -> Looked:
        if record.image_id in missing:
            return NOT_LOOKED
        return known.get(record.path) or look(record.path, channels, exif)

    def looks(some: List[Record]) -> List[Looked]:
        return [look_at(record) for record in some]

    reports: Dict[int, FileReport] = {}
    repeats = dict(zip((r.image_id for r in records), may_repeat(records).tolist()))
    batches = [records[n : n + _TOGETHER] for n in range(0, len(records), _TOGETHER)]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        # `map` keeps the order, and what waits are records and what their files hold, no pixels.
        for some, looked in zip(batches, pool.map(looks, batches)):
            for record, one in zip(some, looked):
                found = check_file(record, one, channels, exif)
                found += about(record, repeats=repeats[record.image_id])
                reports[record.image_id] = FileReport(one, found)
            if progress:
                progress(len(reports), len(records))
    return reports


def _dicts(entries: List[Any]) -> List[Dict[str, Any]]:
    return [entry for entry in entries if isinstance(entry, dict)]


def _id(entry: Any, key: str) -> Optional[int]:
    """An id of a JSON entry, None if it is no integer."""
    value = entry.get(key) if isinstance(entry, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
