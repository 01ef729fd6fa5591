import logging
import os
import subprocess
import sys

import pytest

from tfmaskrcnn.support import quiet

REMARK = "W0000 00:00:1795364482.538341    6100 op_level_cost_estimator.cc:699] Error in Predict"
FACTORY = (
    "E0000 00:00:1736953731.021 35 cuda_dnn.cc:8310] Unable to register cuDNN factory: Attempting"
)
HIDDEN = [
    REMARK,
    "I0000 00:00:1795368182.016444   30423 port.cc:153] oneDNN custom operations are on.",
    "W0000 00:00:1.5 7 external/local_xla/xla/a.cc:9] remark",
    FACTORY,
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
]
SHOWN = [
    "E0000 00:00:1795364482.5 6100 gpu.cc:699] out of memory",
    "F0000 00:00:1795364482.5 6100 check.cc:12] Check failed",
    "Words of mine W0000 00:00:1.5 7 file.cc:9] quoted",
    "WARNING: mine",
    "W0000",
    "",
]


def native(lines, end=""):
    """stderr and the exit code of a process whose native code writes these lines."""
    code = (
        "import os, sys\n"
        "from tfmaskrcnn.support.quiet import hide_remarks\n"
        "hide_remarks(); hide_remarks()\n"
        f"os.write(2, {''.join(line + chr(10) for line in lines).encode()!r})\n" + end
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    return done.stderr.decode(), done.returncode


def test_remarks_and_warnings_are_hidden_and_errors_are_not():
    mixed = [line for pair in zip(HIDDEN, SHOWN) for line in pair] + SHOWN[len(HIDDEN) :]
    assert native(mixed) == ("".join(f"{line}\n" for line in SHOWN), 0)


def test_the_last_words_of_a_process_that_aborts_get_through():
    shown, code = native([REMARK, "terminate called: std::bad_alloc"], "os.abort()")
    assert shown == "terminate called: std::bad_alloc\n" and code < 0


def test_a_line_without_an_end_gets_through():
    assert native([], "os.write(2, b'no newline')") == ("no newline", 0)


def test_python_writes_to_stderr_directly_and_at_once():
    shown, _ = native([], "print('one', file=sys.stderr); os._exit(0)")
    assert shown == "one\n"
    assert native([], "print('\\udcff ä', file=sys.stderr)")[0] == "\\udcff ä\n"


def test_the_filter_survives_ctrl_c_and_passes_what_follows():
    end = (
        "import signal, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "time.sleep(0.2)\n"
        "os.killpg(0, signal.SIGINT)\n"
        "os.write(2, b'after\\n')"
    )
    code = (
        "import os; os.setpgid(0, 0)\n"
        "from tfmaskrcnn.support.quiet import hide_remarks\nhide_remarks()\n"
    )
    done = subprocess.run([sys.executable, "-c", code + end], capture_output=True, timeout=60)
    assert done.stderr.decode() == "after\n"


@pytest.mark.parametrize("redirected", [None, sys.stdout])
def test_a_redirected_stderr_is_left_alone(monkeypatch, redirected):
    def fork():
        raise AssertionError("no process is wanted")

    monkeypatch.setattr(quiet.os, "fork", fork)
    monkeypatch.setattr(sys, "stderr", redirected)
    quiet.hide_remarks()
    assert sys.stderr is redirected


def test_native_output_is_dropped_within_the_block_alone(capfd):
    logger = logging.getLogger("absl")
    before = logger.level
    with pytest.raises(KeyError), quiet.without_native_output():
        os.write(2, b"within")
        logger.warning("hidden")
        assert not logger.isEnabledFor(logging.WARNING)
        raise KeyError
    os.write(2, b"after")
    assert capfd.readouterr().err == "after" and logger.level == before
