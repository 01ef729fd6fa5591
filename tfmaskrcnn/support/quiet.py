"""Keeps the remarks of TensorFlow's native code off the terminal.

TensorFlow 2.15 writes a warning of a thousand characters for each CropAndResize that it cannot put
a cost on (tensorflow#56904), past every log level, straight to the process's stderr.
"""

import contextlib
import logging
import os
import re
import signal
import sys

# absl's prefix of a warning or remark: "W0000 00:00:1795364482.53 6100 file.cc:699] ...", and the
# harmless errors with which TensorFlow for GPUs greets from 2.17 on.
_REMARK = re.compile(
    rb"[WI]\d{4} [\d:.]+ +\d+ [\w./]+\.cc:\d+\]"
    rb"|E\d{4} .*Unable to register cu\w+ factory"
    rb"|WARNING: All log messages before absl::"
)


def hide_remarks() -> None:
    """Filter absl's remarks and warnings out of what native code writes to stderr.

    Python's own `sys.stderr` keeps its direct way; errors of native code pass. Does nothing where
    Python's stderr is redirected already, by this function or by a test, nor where processes cannot
    fork. To be called before TensorFlow is imported.
    """
    if sys.stderr is None or sys.stderr is not sys.__stderr__ or not hasattr(os, "fork"):
        return
    direct = os.dup(2)
    read_end, write_end = os.pipe()
    # A process, not a thread: the last words of a process that aborts must get through.
    if os.fork() == 0:
        _forward(read_end, write_end, direct)
    os.close(read_end)
    os.dup2(write_end, 2)
    os.close(write_end)
    sys.stderr = os.fdopen(direct, "w", buffering=1, encoding="utf-8", errors="backslashreplace")


@contextlib.contextmanager
def without_native_output():
    """Drop all that native code writes to stderr within the block, and TensorFlow's Python log.

    For the TFLite converter, which prints pages past every log level. Its errors are exceptions.
    """
    if logging.getLogger().isEnabledFor(logging.DEBUG):  # `--verbose`
        yield
        return
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    loggers = [logging.getLogger(name) for name in ("absl", "tensorflow")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextlib.contextmanager
def without_log_of_warnings():
    """Drop what Python's loggers say within the block, up to warnings, whatever their levels."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _forward(read_end: int, write_end: int, direct: int) -> None:
    """The life of the filtering process: copy lines until the writer is gone."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the writer
        for unused in (0, 1, 2, write_end):
            os.close(unused)
        with os.fdopen(read_end, "rb") as lines:
            for line in lines:
                if not _REMARK.match(line):
                    os.write(direct, line)
    finally:
        os._exit(0)
