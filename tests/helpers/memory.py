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


def peak_beyond(call) -> int:
    """Bytes that the process had resident at most during `call()`, beyond those before; Linux."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak is counted anew
    before = _status("VmRSS")
    call()
    return _status("VmHWM") - before


def _status(key: str) -> int:
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith(f"{key}:"))
