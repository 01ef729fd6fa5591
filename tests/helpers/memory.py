"""How much memory a block takes, as Python and NumPy count it."""

import contextlib
import tracemalloc


@contextlib.contextmanager
def within(megabytes):
    """Fail if the block has ever held more than this, whether it was used or only reserved."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
    assert peak < megabytes, f"{peak:.0f} MB were taken, {megabytes} MB are allowed"
