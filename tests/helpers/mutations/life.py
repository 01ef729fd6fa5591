"""The life of a process that runs cases: its limits, and what it tells of each."""

import contextlib
import faulthandler
import os
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import NamedTuple, Optional

from helpers.mutations.outcomes import ENDED, GOOD, Outcome, outcome_of
from helpers.mutations.targets import find

MB = 2**20


class Limits(NamedTuple):
    """What a case may take."""

    seconds: float = 20.0
    memory: int = 4000 * MB  # of address space, beyond what the process has at its start
    peak: int = 1500  # MB in use at one time, beyond what the process had before the case


def prepare(kind: str, base: Path, log: Path) -> None:
    """Write the good inputs of a kind into `base`."""
    _redirect(log)
    find(kind)(base).prepare()
    _leave(0)


def live(pipe, kind: str, base: Path, keep: Optional[Path], log: Path, limits: Limits) -> None:
    """Answer each (seed, number) that comes through `pipe` with an `Outcome`."""
    _redirect(log)
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    try:
        target = find(kind)(base)
        target.open()
    except BaseException:
        traceback.print_exc()
        _leave(1)
    allowed = _status("VmSize") * 1024 + limits.memory
    resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
    pipe.send("ready")
    while True:
        try:
            seed, number = pipe.recv()
        except EOFError:
            _leave(0)
        pipe.send(_outcome(target, kind, seed, number, keep, limits))


def _outcome(target, kind: str, seed: int, number: int, keep: Optional[Path], limits) -> Outcome:
    folder, error = Path(tempfile.mkdtemp(prefix="case")), None
    before = _reset_peak()
    try:
        target.numbered(kind, seed, number, folder)
    except BaseException as caught:  # SystemExit too
        error = caught
        traceback.print_exc()
    peak = max(0, _status("VmHWM") - before) // 1024
    outcome = outcome_of(error, target.refusals)._replace(peak=peak)
    if peak > limits.peak:
        outcome = Outcome(ENDED, f"took {peak} MB: {outcome.kind}, {outcome.detail}", peak)
    if keep and outcome.kind not in GOOD:
        with contextlib.suppress(OSError):
            shutil.copytree(folder, keep / f"{kind}-{seed}-{number}", symlinks=True)
    shutil.rmtree(folder, ignore_errors=True)
    return outcome


def _redirect(log: Path) -> None:
    """Send all that the process prints, native code too, to the end of a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)
    sys.stdout = os.fdopen(1, "w", buffering=1, errors="backslashreplace", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    warnings.simplefilter("ignore")


def _leave(code: int) -> None:
    """End without what a forked copy of TensorFlow does at its end."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _status(key: str, pid="self") -> int:
    """Kilobytes of the kernel's account of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    return 0


def _reset_peak() -> int:
    """Kilobytes in use now, from which the peak is counted anew."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")
    return _status("VmHWM")


def cpu_seconds(pid: int) -> float:
    """Seconds of processors that a process has used."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def stderr_of(log: Path) -> str:
    """What a process printed."""
    return log.read_text(errors="replace") if log.exists() else ""
