"""Ctrl-C that other people's code does not swallow."""

import contextlib
import signal
import threading
from typing import Iterator


@contextlib.contextmanager
def heard_at_last() -> Iterator[None]:
    """Raise the `KeyboardInterrupt` of a Ctrl-C within the block at its end at the latest.

    Converters catch all exceptions where they try things out, and go on.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    heard = []

    def hear(number, frame):
        heard.append(number)
        before(number, frame)

    signal.signal(signal.SIGINT, hear)
    try:
        yield
    except Exception:
        if heard:
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.signal(signal.SIGINT, before)
    if heard:
        raise KeyboardInterrupt
