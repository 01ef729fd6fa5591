"""What must not be divided: images of one group, and copies of one picture."""

import json
import os
import re
from collections import defaultdict
from typing import Any, Callable, Dict, Hashable, Iterable, List, NamedTuple, Optional, Tuple

from tfmaskrcnn.errors import InputError, listed, quoted
from tfmaskrcnn.support.suggestions import did_you_mean

FOLDER, FILE = "folder", "file:"  # ways to group that are no key of the JSON
_SHOWN = 12  # keys that a sentence lists


class Grouping(NamedTuple):
    """The group of each image of a set."""

    groups: List[Optional[Hashable]]  # None of an image that has none
    way: str  # in words

    @property
    def ungrouped(self) -> int:
        """Images without a group."""
        return sum(group is None for group in self.groups)


def grouping(images: List[Dict[str, Any]], way: str) -> Grouping:
    """The groups of images by a key of their entries, or by a part of their file names.

    Args:
        images: entries of a COCO file.
        way: a key, such as "patient"; "folder", that of the file; or "file:" and a regular
            expression: its first bracket, or all that it matches, is the group.

    Raises:
        InputError: no image has such a key, or none of the names matches; the expression is none.
    """
    if any(way in image for image in images):
        values = [image.get(way) for image in images]
        groups = [None if v is None or v == "" else json.dumps(v, sort_keys=True) for v in values]
        found = Grouping(groups, f"the key {way!r}")
    elif way == FOLDER:
        folders = [os.path.dirname(name.replace("\\", "/")) for name in _names(images)]
        found = Grouping(folders, "the folders of the files")
    elif way.startswith(FILE):
        match = _matcher(way[len(FILE) :])
        found = Grouping([match(name) for name in _names(images)], f"the file names ({way})")
    else:
        raise _unknown(images, way)
    if found.ungrouped == len(images):
        first = quoted(images[0]["file_name"])
        raise InputError(f"--group-by {way}: no image has such a group, not even {first}.")
    if len(set(found.groups)) == 1 and len(images) > 1:
        only = quoted(found.groups[0])
        raise InputError(f"--group-by {way}: all {len(images)} images are of one group, {only}.")
    return found


def united(count: int, same: Iterable[Iterable[int]]) -> List[List[int]]:
    """The numbers 0..count-1 in lists of those that hang together, each ascending.

    Args:
        count: of numbers.
        same: numbers that belong together.
    """
    parent = list(range(count))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    for first, *others in same:
        for other in others:
            parent[root(other)] = root(first)
    units = defaultdict(list)
    for i in range(count):
        units[root(i)].append(i)
    return list(units.values())


def same_of(keys: Iterable[Optional[Hashable]]) -> List[List[int]]:
    """The places of equal keys; None is equal to nothing."""
    places = defaultdict(list)
    for i, key in enumerate(keys):
        if key is not None:
            places[key].append(i)
    return list(places.values())


def _names(images: List[Dict[str, Any]]) -> List[str]:
    return [image["file_name"] for image in images]


def _matcher(pattern: str) -> Callable[[str], Optional[str]]:
    try:
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        text = f"--group-by {FILE}{pattern}: that is no regular expression ({error})."
        raise InputError(text) from None

    def match(name: str) -> Optional[str]:
        found = compiled.search(name)
        return (found.group(1 if compiled.groups else 0) or None) if found else None

    return match


def _unknown(images: List[Dict[str, Any]], way: str) -> InputError:
    keys: Tuple[str, ...] = tuple(dict.fromkeys(key for image in images for key in image))
    meant = did_you_mean(way, keys)
    hint = f"; {meant}" if meant else "."
    return InputError(
        f"--group-by {quoted(way)[1:-1]}: no image has this key{hint} They have "
        f"{listed(keys, _SHOWN)}; {FOLDER} takes the files' folders, '{FILE}PATTERN' "
        f"a part of their names, such as '{FILE}^[^_]+_'."
    )
