"""Outputs of a command that are refused before its work begins."""

import contextlib
import os
from typing import Optional, Sequence

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.files import writable_file
from tfmaskrcnn.support.storage import is_file, is_remote, real


def check_outputs(
    outputs: Sequence[Optional[str]], folder: Optional[str], read: Sequence[str]
) -> None:
    """Refuse, without making anything, what could not be written or would be lost.

    Args:
        outputs: paths that are to be written, None where none was asked for.
        folder: the one of them that is a folder.
        read: paths of files that the command reads.
    """
    read = {real(path) for path in read}
    outputs = [path for path in outputs if path]
    for i, path in enumerate(outputs):
        if real(path) in read:
            raise InputError(f"{path} is read here and would be replaced; choose another name.")
        below = [os.path.join(real(other), "") for other in outputs[:i]]
        if os.path.join(real(path), "").startswith(tuple(below)):
            raise InputError(f"{path} is named for two outputs; give each a place of its own.")
        if path is folder:
            if is_file(path):
                raise InputError(f"{path} is a file; --csv wants a folder.")
            path = os.path.join(path, "ap.csv")
        _check_place(path)


def _check_place(path: str) -> None:
    """Make sure that the file `path` can be written once its folder has been made."""
    if is_remote(path):
        writable_file(path)
        return
    folder, names = real(path), []
    while not names or not os.path.lexists(folder):
        folder, name = os.path.split(folder)
        names.append(name)
    try:
        for name in names:  # it may be too long
            with contextlib.suppress(FileNotFoundError):
                os.stat(os.path.join(folder, f"{name}.{os.getpid()}.tmp"))
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror}.") from None
    writable_file(path if len(names) == 1 else os.path.join(folder, names[-1]))
