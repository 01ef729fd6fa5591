"""Files that appear whole or not at all."""

import contextlib
import os

from tfmaskrcnn.errors import InputError


@contextlib.contextmanager
def replaced(path: str, mode: str = "wb"):
    """Open a temporary file that becomes `path` when the block ends without an error.

    Whoever reads `path` meanwhile, or after a crash, finds the former file.

    Raises:
        InputError: the place cannot be written, or the disk is full.
    """
    path = os.fspath(path)
    temporary = f"{path}.{os.getpid()}.tmp"
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    try:
        with open(temporary, mode, **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror or error}.") from None
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


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
