"""The journal of a prediction: a line an image, appended whole, so that a killed one can go on."""

import json
import logging
import os
import re
from typing import Any, Dict, Iterator, List, Mapping, Optional

from tfmaskrcnn.errors import InputError, quoted, short_path
from tfmaskrcnn.support.files import DiskFull, replaced

NAME = "predictions.jsonl"
_LOG = logging.getLogger(__name__)
_KIND = "tfmaskrcnn predictions 1"
_DONE = b'{"finished": true}\n'
# What every line of an image begins with, so that most of a long file need not be understood.
_START = re.compile(rb'\{"index": (\d{1,9}), ("failed")?')
_OTHER = "choose another --out folder, or leave --resume out to begin anew"


class Journal:
    """`predictions.jsonl` of an output folder, open for appending; a context manager.

    The first line says of what model, settings and inputs the others are. Then a line an image:
    what was found, or why nothing could be; the last line of an image counts. Where all images have
    been looked at, a line says so.
    """

    def __init__(self, folder: str, header: Mapping[str, Any], resume: bool = False):
        """Begin a journal, or go on with the one in `folder`.

        Args:
            folder: exists.
            header: "model", "inputs" (texts) and "settings" (JSON's types by name).
            resume: go on with what lies there, if anything does.

        Raises:
            InputError: what lies there is of another model, settings or inputs; or without
                `resume` is unfinished, or another shard.
        """
        self.path = os.path.join(folder, NAME)
        self.failed: Dict[int, str] = {}  # index -> why
        self._places: Dict[int, int] = {}  # index -> where the line begins, of images that are done
        self._finished = False
        head = (json.dumps({"journal": _KIND, **header}) + "\n").encode()
        begun = os.path.exists(self.path) and self._read(head, header, resume)
        if not begun:
            self._places, self.failed, self._finished = {}, {}, False
            with replaced(self.path) as file:
                file.write(head)
        self._file = _unbuffered(self.path)
        self.resumed = len(self._places)  # images that were done before

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    def __contains__(self, index: int) -> bool:
        return index in self._places

    def __len__(self) -> int:
        """Images that are done; those that have failed do not count."""
        return len(self._places)

    def add(self, index: int, record: Mapping[str, Any]) -> None:
        """Append what was found in the image `index`; raises `DiskFull`, and is then as before."""
        line = json.dumps({"index": index, **record}, default=plain) + "\n"
        place = self._append(line.encode())
        self._places[index] = place
        self.failed.pop(index, None)

    def add_failure(self, index: int, reason: str) -> None:
        """Append why nothing is known of the image `index`."""
        if index not in self._places and self.failed.get(index) != reason:
            self._append((json.dumps({"index": index, "failed": reason}) + "\n").encode())
            self.failed[index] = reason

    def finish(self) -> None:
        """Append that every image has been looked at."""
        if not self._finished:
            self._append(_DONE)
            self._finished = True

    def records(self, indices: Optional[List[int]] = None) -> Iterator[Dict[str, Any]]:
        """What was added of each image that is done, by its index; or of these, in this order."""
        with open(self.path, "rb") as file:
            for index in sorted(self._places) if indices is None else indices:
                file.seek(self._places[index])
                try:
                    yield json.loads(file.readline())
                except ValueError:
                    raise InputError(
                        f"{short_path(self.path)} is damaged where image {index + 1} stands; "
                        "remove it and predict anew."
                    ) from None

    def sync(self) -> None:
        """Make sure that what was added is on the disk."""
        os.fsync(self._file.fileno())

    def _append(self, line: bytes) -> int:
        """Write a line whole or not at all; returns where it begins."""
        place = self._file.seek(0, os.SEEK_END)
        try:
            rest = memoryview(line)
            while len(rest):  # a signal may come between
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self._file.truncate(place)
            raise DiskFull(f"Cannot write {self.path}: {error.strerror or error}.") from None
        return place

    def _read(self, head: bytes, header: Mapping[str, Any], resume: bool) -> bool:
        """Learn what is done already; False where there is nothing to go on with."""
        with open(self.path, "rb") as file:
            first = file.readline()
            _check_kind(first, self.path)
            whole = file.tell()
            for line in file:
                if not self._take(line, whole):
                    break
                whole += len(line)
            lost = file.seek(0, os.SEEK_END) - whole
        if not resume:
            if self._finished or not self._places:
                _refuse_other_shard(json.loads(first), header, os.path.dirname(self.path))
                return False
            raise InputError(
                f"{short_path(os.path.dirname(self.path))} holds an unfinished prediction of "
                f"{len(self._places)} images; go on with it by --resume, choose another --out "
                f"folder, or remove its {NAME}."
            )
        if first != head:
            _compare(json.loads(first), json.loads(head), self.path)
        if lost:
            _LOG.info("%s: %d bytes of an unfinished line are cut off.", self.path, lost)
            os.truncate(self.path, whole)
        return True

    def _take(self, line: bytes, place: int) -> bool:
        """Note what a line says; False of one that is not whole."""
        found = _START.match(line)
        if not line.endswith(b"}\n") or not (found or line == _DONE):
            return False
        if not found:
            self._finished = True
        elif found[2]:
            self.failed[int(found[1])] = str(json.loads(line)["failed"])
        else:
            self._places[int(found[1])] = place
            self.failed.pop(int(found[1]), None)
        return True


def plain(value: Any) -> Any:
    """Python's own number of one of NumPy's."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _unbuffered(path: str):
    try:
        return open(path, "ab", buffering=0)
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror or error}.") from None


def _check_kind(first: bytes, path: str) -> None:
    try:
        header = json.loads(first)
        good = isinstance(header, dict) and header.get("journal") == _KIND
    except ValueError:
        good = False
    if not good:
        raise InputError(
            f"{short_path(path)} is no journal of this version ({_KIND!r}); remove it or choose "
            "another --out folder."
        )


def _refuse_other_shard(was: Mapping[str, Any], now: Mapping[str, Any], folder: str) -> None:
    """A finished prediction is replaced, but another part of the same one is none of those."""
    one, other = was.get("settings", {}).get("shard"), now["settings"].get("shard")
    if one and other and one[0] != other[0] and one[1] == other[1]:
        raise InputError(
            f"{short_path(folder)} holds part {one[0]} of {one[1]}, which part {other[0]} would "
            "replace; give each part an --out folder of its own."
        )


def _compare(was: Mapping[str, Any], now: Mapping[str, Any], path: str) -> None:
    """Say in which way a prediction is another one than that of the journal."""
    path = short_path(path, 120)
    if was.get("model") != now["model"]:
        raise InputError(f"{path} is of another model; go on with that one, {_OTHER}.")
    before, after = was.get("settings", {}), now["settings"]
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            raise InputError(
                f"{path} was begun with {name} {quoted(before.get(name))}, not "
                f"{quoted(after.get(name))}; go on with that, {_OTHER}."
            )
    raise InputError(
        f"{path} is of other images ({was.get('inputs')}), not of these ({now['inputs']}); give "
        f"the same inputs in the same order, {_OTHER}."
    )
