"""Which image files hold the same bytes."""

import hashlib
from collections import defaultdict
from typing import Dict, Iterable, Tuple

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.files import open_regular

_BLOCK = 1 << 20  # bytes read at a time


def content_keys(paths: Iterable[str]) -> Dict[str, Tuple[int, bytes]]:
    """Path -> what is the same for all files of the same content, and for no other.

    Only files of equal length are read. Those that are missing, or as long as no other one, have
    no key; a path that is given twice has one.
    """
    groups = defaultdict(list)
    for path in paths:
        try:
            groups[storage.size(path)].append(path)
        except (OSError, ValueError):
            continue  # missing: found elsewhere
    shared = {size: dict.fromkeys(group) for size, group in groups.items() if len(group) > 1}
    return {path: (size, _digest(path)) for size, group in shared.items() for path in group}


def _digest(path: str) -> bytes:
    """A hash of a file's content; unique for a file that cannot be read."""
    digest = hashlib.blake2b()
    try:
        with open_regular(path) as file:
            while True:
                block = file.read(_BLOCK)
                if not block:
                    return digest.digest()
                digest.update(block)
    except (OSError, InputError):
        return path.encode(errors="surrogateescape")
