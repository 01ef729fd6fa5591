import os
import signal
import threading

import pytest

from tfmaskrcnn.support.interrupts import heard_at_last


@pytest.fixture(autouse=True)
def _hearing():
    # A shell's background jobs are born deaf to SIGINT, and would wait for ever here.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def swallowed(*exceptions):
    """As converters do; then the next step."""
    try:
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
    except BaseException:
        for each in exceptions:
            raise each from None


def test_a_ctrl_c_that_was_swallowed_is_raised_at_the_end_of_the_block():
    after = []
    with pytest.raises(KeyboardInterrupt), heard_at_last():
        swallowed()
        after.append(1)
    assert after == [1]


def test_an_exception_that_a_ctrl_c_was_turned_into_is_it_again():
    with pytest.raises(KeyboardInterrupt), heard_at_last():
        swallowed(RuntimeError("a conversion failed"))


def test_without_ctrl_c_nothing_changes_and_the_handler_is_put_back():
    before = signal.getsignal(signal.SIGINT)
    with heard_at_last():
        pass
    with pytest.raises(KeyError), heard_at_last():
        raise KeyError
    with pytest.raises(KeyboardInterrupt), heard_at_last():
        raise KeyboardInterrupt
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_hear_nothing():
    done = []

    def run():
        with heard_at_last():
            done.append(1)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert done == [1]
