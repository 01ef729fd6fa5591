"""Files that appear whole or not at all, and texts that are read or refused in one sentence."""

import codecs
import contextlib
import errno
import json
import logging
import os
import re
import shutil
import stat
import zipfile
from typing import Any, BinaryIO, Iterator, Mapping, Optional, Union

import numpy as np

from tfmaskrcnn.errors import InputError, quoted, short_path
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.single_file import open_member, place_in

_LOG = logging.getLogger(__name__)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_LEFTOVER = re.compile(r".+\.\d+\.tmp")  # what a process that is killed in `replaced` leaves behind


class DiskFull(InputError):
    """There is no room left for a file; the one that it was to replace is as it was."""


def is_full(error: Exception) -> bool:
    """Whether an error says that there is no room left on the disk."""
    return isinstance(error, DiskFull) or getattr(error, "errno", None) in _FULL


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
    if storage.is_remote(path):
        with storage.written(path, mode) as file:
            yield file
        return
    target = _target(path)
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
        if error.errno in _FULL:
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
    with replaced(path, size=size) as file:
        write_arrays(file, arrays)


def write_arrays(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the content of an `.npz` file; the same arrays give the same bytes."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as part:
                np.lib.format.write_array(part, np.asanyarray(array), allow_pickle=False)


def read_text(path: str, most: Optional[int] = None) -> str:
    """The text of a UTF-8 file, without the byte-order mark that some tools on Windows write.

    Args:
        path: of the file; or of a pipe, or into a single-file model.
        most: bytes that it may have; None takes as many as fit into memory.

    Raises:
        InputError: it cannot be read, is no UTF-8 or too long.
    """
    return utf8_text(read_content(path, most), path)


def read_content(path: str, most: Optional[int] = None) -> bytes:
    """The bytes of a text file, with the arguments and errors of `read_text`."""
    most = most_bytes() if most is None else most
    try:
        content = _bytes(path, most)
    except OSError as error:
        raise InputError(f"Cannot read {short_path(os.fspath(path))}: {error.strerror}.") from None
    except ValueError as error:  # such as a NUL in a name, or `InputError`
        if isinstance(error, InputError):
            raise
        raise InputError(f"Cannot read {quoted(path)}: {error}.") from None
    return content


def utf8_text(content: bytes, path: str) -> str:
    """What `read_text` gives of a file that holds `content`."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"{path} is UTF-16 text; save it as UTF-8.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no UTF-8 text: {error}.") from None


def open_regular(path: str) -> BinaryIO:
    """The file `path`, open for reading bytes; a pipe would wait, and a device may never end.

    A path may lead into a single-file model.

    Raises:
        InputError: it is no regular file.
        OSError: it cannot be opened.
    """
    place = place_in(path)
    if place is not None:
        return open_member(place)
    if storage.is_remote(path):
        return storage.open_bytes(path)
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # `open` tells of a folder
        raise InputError(f"{short_path(os.fspath(path))} is no regular file.")
    return open(path, "rb")


def read_json(path: str) -> Any:
    """What a JSON file holds; read by `read_text`.

    Numbers may be infinite or not a number, and texts may hold lone surrogates: who takes values
    out of it says what they may be.

    Raises:
        InputError: it cannot be read or is no JSON.
    """
    try:
        return parsed_json(read_text(path), path)
    except MemoryError:
        raise InputError(f"{path} does not fit into the memory of this machine.") from None


def parsed_json(text: Union[str, bytes], path: str) -> Any:
    """What `read_json` gives of a file `path` that holds `text`."""
    if not text:
        raise InputError(f"{path} is empty (0 bytes); wanted JSON.")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON: {error}.") from None


def remove_leftovers(folder: str) -> None:
    """Remove the temporary files in `folder` of processes that were killed while they wrote."""
    for name in storage.names_in(folder):
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
        storage.make_folder(path)
        probe = os.path.join(path, f".{os.getpid()}.tmp")
        storage.touch(probe)
        storage.remove(probe)
    except OSError as error:
        kind = DiskFull if error.errno in _FULL else InputError
        raise kind(f"Cannot write into the folder {path}: {error.strerror}.") from None
    except ValueError as error:  # a NUL, or half a character
        raise InputError(f"{quoted(path)} is no name of a folder: {error}.") from None
    return path


def refuse_full(folder: str) -> None:
    """Raise `InputError` if there is something in `folder`, or if it is not on this machine."""
    if storage.names_in(storage.on_this_machine(folder)):
        raise InputError(f"{folder} is not empty; choose a new folder, such as the next version.")


def writable_file(path: str) -> str:
    """Make the folder of the file `path` if need be, and make sure that the file can be written.

    For what is written after long work.
    """
    path = os.fspath(path)
    if storage.is_folder(path):
        raise InputError(f"{path} is a folder; give the name of the file to write.")
    writable_folder(os.path.dirname(_target(path)))
    return path


def _bytes(path: str, most: int) -> bytes:
    place = place_in(path)
    if place is not None or storage.is_remote(path):
        with open_member(place) if place else storage.open_bytes(path) as file:
            return _whole(file, path, most)
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISFIFO(mode) and not stat.S_ISDIR(mode):
        raise InputError(f"{path} is no regular file.")
    with open(path, "rb") as file:
        return _piped(file, path, most) if stat.S_ISFIFO(mode) else _whole(file, path, most)


def _whole(file: BinaryIO, path: str, most: int) -> bytes:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size > most:
        raise _too_long(path, size, most)
    return file.read()


def _piped(file: BinaryIO, path: str, most: int) -> bytes:
    content = bytearray()
    while True:
        part = file.read(1 << 20)
        content += part
        if not part:
            return bytes(content)
        if len(content) > most:
            raise _too_long(path, len(content), most)


def most_bytes() -> int:
    """A quarter of the memory: of a text, whose values take some times as much; of a picture."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4
    except (AttributeError, OSError, ValueError):  # Windows
        return 1 << 32


def _too_long(path: str, size: int, most: int) -> InputError:
    return InputError(f"{path} has {_megabytes(size)}; at most {_megabytes(most)} can be read.")


def _target(path: str) -> str:
    """What is written for `path`: of a link what it points to; no device, which would be lost."""
    try:
        path = storage.real(path)
    except ValueError as error:  # a NUL, or half a character
        raise InputError(f"{quoted(path)} is no name of a file: {error}.") from None
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise InputError(f"{path} is no regular file; give the name of the file to write.")
    return path


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        storage.remove(path)


def _room(path: str, size: Optional[int], number: int) -> str:
    what = "the disk is full" if number == errno.ENOSPC else "the quota of the disk is used up"
    folder = os.path.dirname(path) or "."
    if hasattr(os, "statvfs") and os.statvfs(folder).f_files and not os.statvfs(folder).f_favail:
        return "the disk takes no more files, whatever their size"
    free = shutil.disk_usage(folder).free
    needed = f", {_megabytes(size)} are needed" if size else ""
    return f"{what}{needed}, {_megabytes(free)} are free"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
