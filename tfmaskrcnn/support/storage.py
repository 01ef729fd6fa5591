"""Where files lie: in this machine's folders, or where TensorFlow leads, such as `gs://bucket/run`.

Functions have the meanings of `os`, `os.path` and `glob`. Paths of this machine go to these; a path
with a scheme goes through `tf.io.gfile`, imported only then, and raises `OSError`s as well.
"""

import contextlib
import errno
import glob
import importlib
import io
import os
import re
import shutil
import tempfile
from typing import BinaryIO, Dict, Iterator, List, Set

from tfmaskrcnn.errors import InputError, one_line, short_path

# Of web addresses other modules take care.
_REMOTE = re.compile(r"(?!https?:)[A-Za-z][A-Za-z0-9+.-]+://")
# Stores where renaming is one step. Of the others an object appears whole when it is written.
_RENAMING = ("file", "hdfs", "har", "viewfs", "ram")
_BLOCK = 1 << 20  # bytes copied at a time
_BUFFER = 1 << 18  # bytes asked for at least; a request takes longer than their way


def is_remote(path: str) -> bool:
    """Whether a path has a scheme: "gs://bucket/run"."""
    path = os.fspath(path)
    return isinstance(path, str) and _REMOTE.match(path) is not None


def on_this_machine(path: str) -> str:
    """`path`, for what is not written through this module.

    Raises:
        InputError: it is remote.
    """
    if is_remote(path):
        shown = short_path(os.fspath(path))
        raise InputError(f"{shown} is not on this machine; choose a folder here, and copy it then.")
    return path


def exists(path: str) -> bool:
    """As of `os.path`."""
    return _ask("exists", path) if is_remote(path) else os.path.exists(path)


def is_folder(path: str) -> bool:
    """`os.path.isdir`."""
    return _ask("isdir", path) if is_remote(path) else os.path.isdir(path)


def is_file(path: str) -> bool:
    """`os.path.isfile`."""
    if not is_remote(path):
        return os.path.isfile(path)
    return _ask("exists", path) and not _ask("isdir", path)


def size(path: str) -> int:
    """`os.path.getsize`, bytes."""
    return _ask("stat", path).length if is_remote(path) else os.path.getsize(path)


def names_in(folder: str) -> List[str]:
    """`os.listdir`, sorted; none where there is no folder."""
    if not is_folder(folder):
        return []
    found = _ask("listdir", folder) if is_remote(folder) else os.listdir(folder)
    return sorted(name.rstrip("/") for name in found)


def matching(pattern: str) -> List[str]:
    """`glob.glob`, sorted."""
    return sorted(_ask("glob", pattern) if is_remote(pattern) else glob.glob(pattern))


def real(path: str) -> str:
    """`os.path.realpath`; a place that is not on this machine has one name."""
    return os.fspath(path).rstrip("/") if is_remote(path) else os.path.realpath(path)


def same_place(one: str, other: str) -> bool:
    """Whether two paths lead to one file; what no file can be called leads nowhere."""
    try:
        return real(one) == real(other)
    except ValueError:  # a NUL, or half a character
        return False


def absolute(path: str) -> str:
    """`os.path.abspath`."""
    return os.fspath(path) if is_remote(path) else os.path.abspath(path)


def is_absolute(path: str) -> bool:
    """`os.path.isabs`."""
    return is_remote(path) or os.path.isabs(path)


def make_folder(path: str) -> None:
    """`os.makedirs`, of a folder that may be there."""
    if is_remote(path):
        _ask("makedirs", path)
    else:
        os.makedirs(path, exist_ok=True)


def touch(path: str) -> None:
    """Make an empty file."""
    if is_remote(path):
        _send(io.BytesIO(), path)
    else:
        with open(path, "wb"):
            pass


def remove(path: str) -> None:
    """`os.remove`."""
    if is_remote(path):
        _ask("remove", path)
    else:
        os.remove(path)


def replace(path: str, target: str) -> None:
    """`os.replace`; object stores copy and delete, and the copy appears whole."""
    if is_remote(path):
        _ask("rename", path, target, overwrite=True)
    else:
        os.replace(path, target)


def open_bytes(path: str) -> BinaryIO:
    """`open(path, "rb")`."""
    if not is_remote(path):
        return open(path, "rb")
    if is_folder(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    return io.BufferedReader(_Reader(path, size(path)), _BUFFER)


@contextlib.contextmanager
def written(path: str, mode: str = "wb") -> Iterator:
    """Open a file on this machine that is sent to the remote `path` when the block ends well.

    Raises:
        InputError: it cannot be sent.
    """
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    try:
        with tempfile.TemporaryFile(mode.replace("w", "w+"), **text) as file:
            yield file
            file.flush()
            content = file if "b" in mode else file.buffer
            content.seek(0)
            _send(content, path)
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror or error}.") from None


class FilesThere:
    """Whether files are there, of many: a remote folder is listed once instead of asked so often.

    There a folder of the name counts too.
    """

    def __init__(self):
        self._names: Dict[str, Set[str]] = {}  # of remote folders

    def __contains__(self, path: str) -> bool:
        if not is_remote(path):
            return os.path.isfile(path)
        folder, name = os.path.split(path)
        if folder not in self._names:
            self._names[folder] = set(names_in(folder))
        return name in self._names[folder]


class _Reader(io.RawIOBase):
    """A remote file as Python's own are: TensorFlow's opens late, and `seek` returns nothing."""

    def __init__(self, path: str, size: int):
        self._path, self._size, self._at = path, size, 0
        self._file = _gfile().GFile(path, "rb")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer) -> int:
        count = min(len(buffer), max(0, self._size - self._at))
        if not count:
            return 0
        with _told(self._path):
            self._file.seek(self._at)
            content = self._file.read(count)
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _send(content: BinaryIO, path: str) -> None:
    """Write a remote file that appears whole, or not at all."""
    by_renaming = path.split(":")[0] in _RENAMING
    place = f"{path}.{os.getpid()}.tmp" if by_renaming else path
    with _told(path), _gfile().GFile(place, "wb") as file:
        file.write(b"")  # it is made by the first write, also if there is nothing to write
        shutil.copyfileobj(content, file, _BLOCK)
    if by_renaming:
        replace(place, path)


def _gfile():
    import tensorflow as tf

    return tf.io.gfile


def _ask(name: str, path: str, *others: str, **options):
    """What a function of `tf.io.gfile` says of a path."""
    _check_scheme(path)
    with _told(path):
        return getattr(_gfile(), name)(os.fspath(path), *others, **options)


def _check_scheme(path: str) -> None:
    scheme = os.fspath(path).split(":")[0]
    if scheme in _gfile().get_registered_schemes():
        return
    try:
        importlib.import_module("tensorflow_io")  # which brings s3, hdfs and others along
    except ImportError:
        raise InputError(
            f"{short_path(os.fspath(path))}: TensorFlow knows no {scheme}:// by itself; install "
            "the tensorflow-io made for your TensorFlow, or copy the files to this machine."
        ) from None


@contextlib.contextmanager
def _told(path: str) -> Iterator[None]:
    """TensorFlow's errors as Python's own of the same meaning."""
    import tensorflow as tf

    numbers = {
        tf.errors.NotFoundError: errno.ENOENT,
        tf.errors.PermissionDeniedError: errno.EACCES,
        tf.errors.UnauthenticatedError: errno.EACCES,
    }
    try:
        yield
    except tf.errors.OpError as error:
        number = numbers.get(type(error), errno.EIO)
        reason = os.strerror(number) if number == errno.ENOENT else one_line(error.message)
        raise OSError(number, reason.rstrip("."), path) from None
