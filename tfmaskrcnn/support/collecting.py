"""Making millions of objects that stay."""

import contextlib
import gc
from typing import Iterator


@contextlib.contextmanager
def no_collecting() -> Iterator[None]:
    """Without Python's search for cycles, which goes through all that was made again and again."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
