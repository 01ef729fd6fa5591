"""A COCO file whose entries are parsed when they are looked at, so that a large one fits into
memory."""

import itertools
import json
from collections.abc import Sequence
from typing import Any, Collection, Dict, Iterator, List, Optional, Union

import msgspec

from tfmaskrcnn.data.coco.file import LISTS, with_lists
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.files import parsed_json, read_content, utf8_text

_LONG = ("images", "annotations")
_TOGETHER = 1000  # entries
_OBJECT = msgspec.json.Decoder(Dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(List[msgspec.Raw])


class LazyEntries(Sequence):
    """The entries of a list of a JSON file; each is parsed anew whenever it is asked for."""

    def __init__(
        self, raws: List[msgspec.Raw], path: str, changed: Optional[Dict[int, Any]] = None
    ):
        """A list.

        Args:
            raws: the bytes of the entries.
            path: names the file in errors.
            changed: entries that are others than in the file, whose bytes are `null`.
        """
        self.raws, self.path, self.changed = raws, path, changed or {}

    def __len__(self) -> int:
        return len(self.raws)

    def __getitem__(self, index: Union[int, slice]) -> Any:
        if isinstance(index, slice):
            return [self[n] for n in range(*index.indices(len(self)))]
        if index in self.changed:
            return self.changed[index]
        return parsed_json(bytes(self.raws[index]).decode(), self.path)

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, len(self), _TOGETHER):
            some = self.raws[start : start + _TOGETHER]
            try:
                together = json.loads(b"[" + b",".join(some) + b"]")
            except (ValueError, RecursionError):
                together = [self[n] for n in range(start, start + len(some))]
            for n in self.changed.keys() & range(start, start + len(some)):
                together[n - start] = self.changed[n]
            yield from together

    def with_changes(self, changed: Dict[int, Any]) -> "LazyEntries":
        """The list with other entries at the places `changed`."""
        raws = list(self.raws)
        for place in changed:
            raws[place] = msgspec.Raw(b"null")
        return LazyEntries(raws, self.path, {**self.changed, **changed})


def read_coco_lazily(path: str, keys: Collection[str] = LISTS) -> Dict[str, Any]:
    """`read_coco`, whose images and annotations are `LazyEntries`, wherever the file allows it.

    What no entry is asked for may break rules of JSON, such as those of escapes in texts.

    Raises:
        InputError: as of `read_coco`.
    """
    try:
        content = read_content(path)
        raw = _lazily(content, path)
        return raw or with_lists(parsed_json(utf8_text(content, path), path), path, keys)
    except MemoryError:
        raise InputError(f"{path} does not fit into the memory of this machine.") from None


def with_heads(raw: Any, count: int) -> Any:
    """`raw`, parsed JSON, with the first `count` entries of its lazy lists as lists."""
    if not isinstance(raw, dict):
        return raw
    lazy = {key: value for key, value in raw.items() if isinstance(value, LazyEntries)}
    return {**raw, **{key: list(itertools.islice(lazy[key], count)) for key in lazy}}


def _lazily(content: bytes, path: str) -> Optional[Dict[str, Any]]:
    """None where Python's own reader has to look: it takes NaN, and says best what is wrong."""
    try:
        if not content.isascii():
            content.decode()  # texts that nobody asks for are not looked at otherwise
        found = _OBJECT.decode(content)
        raw = {key: json.loads(bytes(found[key])) for key in found if key not in _LONG}
        lists = {key: LazyEntries(_LIST.decode(found[key]), path) for key in _LONG}
    except (ValueError, KeyError, RecursionError):
        return None
    whole = isinstance(raw.get("categories"), list)
    return {key: lists[key] if key in lists else raw[key] for key in found} if whole else None
