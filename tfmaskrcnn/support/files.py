"""Files that appear whole or not at all, and texts that are read or refused in one sentence."""

import contextlib
import errno
import json
import logging
import os
import re
import shutil
import zipfile
from typing import Any, Iterator, Mapping, Optional

import numpy as np

from tfmaskrcnn.errors import InputError

_LOG = logging.getLogger(__name__)
_LEFTOVER = re.compile(r".+\.\d+\.tmp")  # what a process that is killed in `replaced` leaves behind


class DiskFull(InputError):
    """There is no room left for a file; the one that it was to replace is as it was."""


@contextlib.contextmanager
def replaced(path: str, mode: str = "wb", size: Optional[int] = None):
    """Open a temporary file that becomes `path` when the block ends without an error.

    Whoever reads `path` meanwhile, or after a crash, finds the former file.

    Args:
        path: of the file.
        mode: of `open`; text is UTF-8.
        size: bytes that will be written, if that is known beforehand, for the message.

    Raises:
        DiskFull: there is no room for it.
        InputError: the place cannot be written for another reason.
    """
    path = os.fspath(path)
    target = _regular(os.path.realpath(path))  # of a link what it points to is replaced
    temporary = f"{target}.{os.getpid()}.tmp"
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    try:
        with open(temporary, mode, **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        _remove(temporary)  # before the free room is measured
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"Cannot write {path}: {_room(path, size, error.errno)}.") from None
        raise InputError(f"Cannot write {path}: {error.strerror or error}.") from None
    finally:
        _remove(temporary)


def save_arrays(path: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an `.npz` file by `replaced`.

    As `np.savez`, which leaves an open zip file behind when the disk is full, and with it an
    "Exception ignored" on the terminal.
    """
    size = sum(array.nbytes for array in arrays.values())
    with replaced(path, size=size) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as part:
                np.lib.format.write_array(part, np.asanyarray(array), allow_pickle=False)


def read_text(path: str) -> str:
    """The text of a UTF-8 file, without the byte-order mark that some tools on Windows write.

    Raises:
        InputError: it cannot be read or is no UTF-8.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no UTF-8 text: {error}.") from None


def read_json(path: str) -> Any:
    """What a JSON file holds; read by `read_text`.

    Raises:
        InputError: it cannot be read or is no JSON.
    """
    text = read_text(path)
    if not text:
        raise InputError(f"{path} is empty (0 bytes); wanted JSON.")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON: {error}.") from None


def remove_leftovers(folder: str) -> None:
    """Remove the temporary files in `folder` of processes that were killed while they wrote."""
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        if _LEFTOVER.fullmatch(name):
            _remove(os.path.join(folder, name))


@contextlib.contextmanager
def not_vital() -> Iterator[None]:
    """Go on with a line in the log if a file cannot be written that a run can do without."""
    try:
        yield
    except InputError as error:
        _LOG.warning("%s The run goes on without it.", error)


def writable_folder(path: str) -> str:
    """Make the folder `path` if need be, and make sure that files can be written into it."""
    path = os.fspath(path)
    try:
        os.makedirs(path, exist_ok=True)
        probe = os.path.join(path, f".{os.getpid()}.tmp")
        with open(probe, "wb"):
            pass
        os.remove(probe)
    except OSError as error:
        raise InputError(f"Cannot write into the folder {path}: {error.strerror}.") from None
    return path


def writable_file(path: str) -> str:
    """Make the folder of the file `path` if need be, and make sure that the file can be written.

    For what is written after long work.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        raise InputError(f"{path} is a folder; give the name of the file to write.")
    writable_folder(os.path.dirname(_regular(os.path.realpath(path))))
    return path


def _regular(path: str) -> str:
    """`path`, unless it is there and no file: a device would be replaced by one."""
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise InputError(f"{path} is no regular file; give the name of the file to write.")
    return path


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.remove(path)


def _room(path: str, size: Optional[int], number: int) -> str:
    what = "the disk is full" if number == errno.ENOSPC else "the quota of the disk is used up"
    free = shutil.disk_usage(os.path.dirname(path) or ".").free
    needed = f", {_megabytes(size)} are needed" if size else ""
    return f"{what}{needed}, {_megabytes(free)} are free"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
