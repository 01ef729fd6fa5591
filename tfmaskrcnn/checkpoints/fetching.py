"""Published files of weights in the cache: fetched at first use, checked, whole or absent."""

import hashlib
import logging
import os
from typing import BinaryIO, Optional, Tuple

from tfmaskrcnn.checkpoints.published import BACKBONES, DETECTORS, Published, published
from tfmaskrcnn.errors import InputError, one_line
from tfmaskrcnn.support.cache_folder import cache_folder
from tfmaskrcnn.support.files import remove_leftovers, replaced, writable_folder
from tfmaskrcnn.support.folder_lock import locked_folder
from tfmaskrcnn.support.given import A_TEXT, takes
from tfmaskrcnn.support.progress_bar import Progress, progress_bar

_LOG = logging.getLogger(__name__)
SILENCE = 30.0  # seconds that a server may say nothing
_PART = 1 << 16  # bytes
_MEGABYTE = 10**6
# Bytes that a file may differ from `Published.megabytes`, which is rounded.
_ROUNDED = _MEGABYTE // 10


def weights_folder(name: str) -> str:
    """Where the file of published weights, and the run that is made of it, lie or will lie."""
    return cache_folder("weights", name)


@takes(name=A_TEXT)
def fetched(name: str) -> str:
    """The path of a published file in the cache, where it is put if it is not there.

    A process that finds another one fetching it waits for that one.

    Raises:
        InputError: there is no such name, the file cannot be fetched, or it is another one than was
            published; the sentence has its address and says where to put it by hand.
    """
    published(name)
    folder = writable_folder(weights_folder(name))
    with locked_folder(folder, wait=True):
        return file_in(folder, name)


def file_in(folder: str, name: str) -> str:
    """As `fetched`, for a caller that has the lock of `folder`."""
    wanted = published(name)
    path = os.path.join(folder, wanted.file)
    if not os.path.exists(path):
        remove_leftovers(folder)
        _download(wanted, path)
    elif not holds(path, wanted):
        raise InputError(
            f"{path} is not the file that {wanted.source} published (by the {wanted.check}); "
            f"remove it, and it is fetched from {wanted.address}."
        )
    return path


def holds(path: str, wanted: Published) -> bool:
    """Whether a file has the digest of the published one."""
    kind, digits = wanted.digest.split(":")
    digest = hashlib.new(kind, usedforsecurity=False)
    with open(path, "rb") as file:
        for part in iter(lambda: file.read(1 << 20), b""):
            digest.update(part)
    return digest.hexdigest().startswith(digits)


def known_file(path: str) -> Optional[Tuple[str, Published]]:
    """The name and entry of the published file that `path` is a copy of; None if it is of none.

    It is looked at where its name or its size is that of a published one.
    """
    if not os.path.isfile(path):
        return None
    name, size = os.path.basename(path), os.path.getsize(path)
    for own, entry in {**DETECTORS, **BACKBONES}.items():
        near = abs(size - (entry.megabytes or 0) * _MEGABYTE) < _ROUNDED
        if (name == entry.file or near) and holds(path, entry):
            return own, entry
    return None


def _download(wanted: Published, path: str) -> None:
    """Fetch a file; it gets its name once it is whole and checked."""
    kind, digits = wanted.digest.split(":")
    size = f" ({wanted.megabytes:.0f} MB)" if wanted.megabytes else ""
    _LOG.info("Fetching %s%s; it will lie in %s.", wanted.address, size, os.path.dirname(path))
    with replaced(path, size=int((wanted.megabytes or 0) * _MEGABYTE) or None) as file:
        received = _Received(file, kind)
        reason = _sent(wanted.address, received)
        if not reason and not received.digest.hexdigest().startswith(digits):
            reason = (
                f"the {received.size} bytes that came are another file than was published, by the "
                f"{wanted.check}"
            )
        if reason:
            raise InputError(
                f"{wanted.address} cannot be fetched: {reason}. Try again, or put the file by hand "
                f"at {path}."
            )


def _sent(address: str, received: "_Received") -> str:
    """Why a file did not come; empty if it came. It goes into `received`."""
    import pooch
    import requests

    with progress_bar("fetching (MB)") as tick:
        fetch = pooch.HTTPDownloader(_Bar(tick), _PART, timeout=SILENCE)
        try:
            fetch(address, received, None)
        except requests.exceptions.RequestException as error:
            return _reason(error, received.size)
    return ""


def _reason(error: Exception, size: int) -> str:
    """What went wrong with a connection, in words."""
    import requests.exceptions as kinds

    if isinstance(error, kinds.HTTPError):
        answer = error.response
        return f"the server answers {answer.status_code} {one_line(answer.reason, 80)}".strip()
    if isinstance(error, kinds.Timeout) or "timed out" in str(error):
        return f"the server was silent for {SILENCE:g} seconds"
    if size or isinstance(error, kinds.ChunkedEncodingError):
        return f"the connection was cut after some {size / _MEGABYTE:.1f} MB"
    if isinstance(error, kinds.SSLError):
        return "the certificate of its server is not trusted here"
    if isinstance(error, kinds.ProxyError):
        return "the proxy of the environment does not connect"
    if isinstance(error, kinds.ConnectionError):
        return "there is no connection to its server (or to any network)"
    return one_line(error, 150).rstrip(".")


class _Received:
    """What has come of a file, as the file that the downloader writes to."""

    def __init__(self, file: BinaryIO, kind: str):
        self._file, self.size = file, 0
        self.digest = hashlib.new(kind, usedforsecurity=False)

    def write(self, part: bytes) -> None:
        """Append `part`."""
        self._file.write(part)
        self.digest.update(part)
        self.size += len(part)

    def flush(self) -> None:
        """Not after each part: the whole is flushed before it gets its name."""


class _Bar:
    """A `Progress` in megabytes, as the progress bar that pooch expects."""

    def __init__(self, tick: Progress):
        self._tick, self._done, self.total = tick, 0, 0

    def update(self, size: int) -> None:
        """So many more bytes."""
        self._done = min(self._done + size, self.total or self._done + size)
        self._tick(self._done // _MEGABYTE, self.total // _MEGABYTE)

    def reset(self) -> None:
        """Begin to count anew."""
        self._done = 0

    def close(self) -> None:
        """The bar goes with its `with` block."""
