"""A lock on a folder, so that two processes do not write into it at once."""

import contextlib
import datetime
import json
import logging
import os
import socket
from typing import Iterator, Optional

from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support.storage import is_remote

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_LOG = logging.getLogger(__name__)
_MOST = 1000  # bytes read of who has a lock


@contextlib.contextmanager
def locked_folder(folder: str, wait: bool = False) -> Iterator[None]:
    """Hold the lock of `folder` while the block runs.

    It is the operating system's, on the file `.lock`, which goes with the block. The system takes
    it from a process that dies, however it dies: what a killed one left behind stops nobody. Where
    there are no such locks (some network file systems, Windows, `gs://`), the log says so.

    Args:
        folder: where the file is made.
        wait: for a process that has the lock, which the log names; else it is an error.

    Raises:
        InputError: another process has it; the sentence says which, where and since when.
    """
    path = os.path.join(folder, ".lock")
    file = _locked_file(path, wait)
    try:
        yield
    finally:
        if file is not None:
            with contextlib.suppress(OSError):  # before it is closed: a new one may have it then
                os.remove(path)
            os.close(file)


def _locked_file(path: str, wait: bool) -> Optional[int]:
    """The open file that is locked; None where nothing can be locked."""
    if fcntl is None:
        return None
    if is_remote(path):
        _say_unlocked(path, "it is not on this machine")
        return None
    while True:
        try:
            # No link: a stranger's folder must not make us write elsewhere.
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            _say_unlocked(path, error.strerror or error)
            return None
        try:
            _lock(path, file, wait)
            if _is_still(path, file):
                _write_owner(file)
                return file
        except BlockingIOError:
            owner = _owner(file)
            os.close(file)
            raise InputError(
                f"{os.path.dirname(path)} is in use by another run{owner}; wait for its end or "
                "stop it, or choose another folder."
            ) from None
        except OSError as error:
            os.close(file)
            _say_unlocked(path, error.strerror or error)
            return None
        os.close(file)  # its owner has removed it since: the next one is another file


def _lock(path: str, file: int, wait: bool) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if not wait:
            raise
        _LOG.info("Waiting for %s%s.", os.path.dirname(path), _owner(file))
        fcntl.flock(file, fcntl.LOCK_EX)


def _is_still(path: str, file: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False


def _write_owner(file: int) -> None:
    now = datetime.datetime.now().astimezone().isoformat(" ", "seconds")
    owner = {"host": socket.gethostname(), "pid": os.getpid(), "since": now}
    with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps(owner).encode(), 0)


def _owner(file: int) -> str:
    """Who has the lock, for a sentence; empty if the file does not say."""
    try:
        found = json.loads(os.pread(file, _MOST, 0))
        host, pid, since = (quoted(found[key], 80).strip("'") for key in ("host", "pid", "since"))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""
    return f" (process {pid} on {host}, since {since})"


def _say_unlocked(path: str, why: object) -> None:
    _LOG.warning(
        "%s cannot be locked (%s): make sure that no second run writes there.",
        *(os.path.dirname(path), why),
    )
