"""`split`: one annotated set in parts that are alike and share no picture."""

import dataclasses
import hashlib
import os
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from tfmaskrcnn.data.checking.file_content import content_keys
from tfmaskrcnn.data.coco.entries import Entries, read_entries
from tfmaskrcnn.data.coco.faults import Faults
from tfmaskrcnn.data.coco.file import read_coco
from tfmaskrcnn.data.coco.reading_rules import Rules
from tfmaskrcnn.data.splitting.contents import Contents, contents_of
from tfmaskrcnn.data.splitting.lacking import lacking
from tfmaskrcnn.data.splitting.near_copies import near_copies
from tfmaskrcnn.data.splitting.split_options import checked_options, shares_of
from tfmaskrcnn.data.splitting.split_result import Split
from tfmaskrcnn.data.splitting.stratified import assigned
from tfmaskrcnn.data.splitting.units import Grouping, grouping, same_of, united
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support.given import A_FOLDER, A_PATH, takes
from tfmaskrcnn.support.progress_bar import Progress


@takes(json_path=A_PATH, image_dir=A_FOLDER)
def split(
    json_path: str,
    image_dir: Optional[str] = None,
    progress: Optional[Progress] = None,
    **options: Any,
) -> Split:
    """Divide a COCO set by its images: all parts have the classes and sizes of objects of the
    whole as nearly as can be, and pictures that are copies of each other lie in one part.

    The same set, options and seed give the same parts, whatever the order in the file. Nothing is
    written: `Split.write` does.

    Args:
        json_path: COCO annotations.
        image_dir: the folder that its file names start from; None for `images` beside the JSON, or
            else the JSON's folder.
        progress: called with (pictures read, pictures in all).
        options: of `SplitOptions`.

    Raises:
        InputError: the file or an option is wrong, or there are too few images to divide.
    """
    chosen, json_path = checked_options(options), os.fspath(json_path)
    raw = read_coco(json_path)
    image_dir = _folder(json_path) if image_dir is None else os.fspath(image_dir)
    faults = Faults(raw, json_path, image_dir, chosen.skip_invalid)
    entries = read_entries(raw, json_path, None, faults, Rules(masks=False))
    faults.report()
    images = list(entries.images.values())
    _check_names(images, json_path)
    shares = shares_of(chosen)
    _check_shares(shares, len(images))
    groups = grouping(images, chosen.group_by) if chosen.group_by else None
    units, notes = _units(images, image_dir, groups, progress)
    if len(units) < len(shares):
        raise InputError(
            f"{json_path}: {len(images)} images hang together in {len(units)} groups, which cannot "
            f"be divided into {len(shares)} parts. {' '.join(notes)}".rstrip()
        )
    contents = contents_of(entries)
    parts = _parts(units, images, contents, shares, chosen.seed)
    part_of = {image["id"]: part for image, part in zip(images, parts)}
    found = Split(json_path, image_dir, _kept(raw, entries), tuple(shares), part_of, contents)
    return dataclasses.replace(found, notes=(*notes, *lacking(found)))


def _check_shares(shares: Dict[str, float], images: int) -> None:
    for name, share in shares.items():
        if share * images < 0.5:
            raise InputError(f"{name}: a share of {share:.3g} of {images} images is no image.")


def _folder(json_path: str) -> str:
    """Where the images lie if nobody says: as importers look for them."""
    own = os.path.dirname(json_path)
    beside = os.path.join(own, "images")
    return beside if os.path.isdir(beside) else own or "."


def _check_names(images: List[Dict[str, Any]], json_path: str) -> None:
    for image in images:
        name = image.get("file_name")
        if not isinstance(name, str) or not name or "\0" in name:
            raise InputError(
                f"{json_path}: the 'file_name' of image {image['id']} is {quoted(name)}; wanted "
                "the name of its file."
            )


def _units(
    images: List[Dict[str, Any]],
    image_dir: str,
    groups: Optional[Grouping],
    progress: Optional[Progress],
) -> Tuple[List[List[int]], List[str]]:
    """Lists of images that must stay together, and sentences on why."""
    paths = [os.path.join(image_dir, image["file_name"]) for image in images]
    keys = content_keys(paths)
    copies = same_of(map(os.path.normpath, paths)) + same_of(map(keys.get, paths))
    first_of = {keys.get(path, path): i for i, path in reversed(list(enumerate(paths)))}
    firsts = sorted(first_of.values())  # what is the same to the byte is looked at once
    looked = near_copies([paths[i] for i in firsts], progress)
    if len(looked.unreadable) == len(firsts):
        raise InputError(
            f"None of the {len(images)} pictures can be read from {image_dir}, the first: "
            f"{looked.unreadable[0]} Give the folder that the file names start from (--images)."
        )
    near = [(firsts[i], firsts[j]) for i, j in looked.pairs]
    own = same_of(groups.groups) if groups else []
    notes = list(_notes(len(images), copies, near, looked.unreadable, groups))
    return united(len(images), [*copies, *near, *own]), notes


def _notes(count: int, copies, near, unreadable: Sequence[str], groups) -> Iterator[str]:
    """Sentences on what holds images together, and on what could not be compared."""
    if groups:
        text = f"{len(set(groups.groups) - {None})} groups by {groups.way} stay whole"
        alone = f"; {groups.ungrouped} images have none and stand alone" * bool(groups.ungrouped)
        yield f"{text}{alone}."
    same = count - len(united(count, copies))
    if same:
        yield f"{same} pictures are the same as another, to the byte; they stay in one part."
    similar = count - same - len(united(count, [*copies, *near]))
    if similar:
        yield f"{similar} pictures look the same as another; they stay in one part."
    if unreadable:
        yield (
            f"{len(unreadable)} pictures cannot be read, so it is not known whether they are "
            f"copies, the first: {unreadable[0]}"
        )


def _parts(
    units: List[List[int]],
    images: List[Dict[str, Any]],
    contents: Contents,
    shares: Dict[str, float],
    seed: int,
) -> List[int]:
    """The part of each image."""

    def draw(i: int) -> bytes:
        """Places an image at random, wherever it stands in the file."""
        name = images[i]["file_name"].encode("utf-8", "surrogatepass")
        return hashlib.blake2b(name, key=str(seed).encode()[:64], digest_size=16).digest()

    units = sorted(units, key=lambda unit: min(map(draw, unit)))
    found = assigned([contents.counts(unit) for unit in units], list(shares.values()), seed)
    for number, name in enumerate(shares):
        if number not in found:
            most = max(map(len, units))
            raise InputError(
                f"{name} would get no image: the largest group that stays whole has {most} of the "
                f"{len(images)} images. Take larger shares, or group otherwise."
            )
    parts = [0] * len(images)
    for unit, part in zip(units, found):
        for i in unit:
            parts[i] = part
    return parts


def _kept(raw: Dict[str, Any], entries: Entries) -> Dict[str, Any]:
    """The JSON without annotations that were left out."""
    good = {found.position for objects in entries.objects.values() for found in objects}
    return {**raw, "annotations": [raw["annotations"][n] for n in sorted(good)]}
