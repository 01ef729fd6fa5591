"""Cases in processes of their own, with limits of memory and time; whoever dies is replaced.

The process that calls `run_cases` must have imported TensorFlow and used none of it: its children
are forks, which start in milliseconds.
"""

import multiprocessing
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Tuple

from helpers.mutations.life import Limits, cpu_seconds, live, prepare, stderr_of
from helpers.mutations.outcomes import ENDED, SLOW, Outcome

_FORK = multiprocessing.get_context("fork")
_START_SECONDS = 240  # a model is built or loaded meanwhile
_POLL_SECONDS = 0.2
_LIMITS = Limits()
_CASES_A_WORKER = 150  # TensorFlow keeps something of every graph


class Case(NamedTuple):
    """What is known of a case that has ended."""

    kind: str
    seed: int
    number: int
    outcome: Outcome
    seconds: float
    notes: str  # what was done to the input


class _Worker:
    """A process that runs cases of one kind."""

    def __init__(self, kind: str, base: Path, keep: Optional[Path], limits: Limits):
        self.kind, self.log, self.done = kind, base / f"{kind}.{time.monotonic_ns()}.log", 0
        self._limits = limits
        self._pipe, theirs = _FORK.Pipe()
        arguments = theirs, kind, base / kind, keep, self.log, limits
        self._process = _FORK.Process(target=live, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        if not self._pipe.poll(_START_SECONDS) or self._received() != "ready":
            self.end()
            raise RuntimeError(f"No worker of {kind} starts:\n{stderr_of(self.log)}")

    def run(self, seed: int, number: int) -> Case:
        start, cpu = time.monotonic(), cpu_seconds(self._process.pid)
        self.log.write_bytes(b"")  # the worker appends
        self._pipe.send((seed, number))
        outcome = None
        while outcome is None:
            if self._pipe.poll(_POLL_SECONDS):
                outcome = self._received() or self._death()
            elif self._too_long(start, cpu):
                outcome = Outcome(
                    SLOW, f"after {time.monotonic() - start:.0f} s in {self._where()}"
                )
        self.done += 1
        text = stderr_of(self.log)
        notes = "; ".join(line[2:] for line in text.splitlines() if line.startswith("~ "))
        return Case(self.kind, seed, number, outcome, time.monotonic() - start, notes)

    def _too_long(self, start: float, cpu: float) -> bool:
        # On a machine with other work 20 seconds on the wall say little by themselves.
        seconds, used = time.monotonic() - start, cpu_seconds(self._process.pid) - cpu
        limit = self._limits.seconds
        return seconds > limit and (used > 0.75 * limit or seconds > 3 * limit)

    def _received(self):
        try:
            return self._pipe.recv()
        except (EOFError, ConnectionError):
            return None

    def _death(self) -> Outcome:
        self._process.join(10)
        code = self._process.exitcode
        how = signal.Signals(-code).name if code and code < 0 else f"exit code {code}"
        return Outcome(ENDED, f"{how} in {self._frames()}")

    def _where(self) -> str:
        """The Python stack of the process, by the handler that it has for this signal."""
        os.kill(self._process.pid, signal.SIGUSR1)
        time.sleep(0.5)
        return self._frames()

    def _frames(self) -> str:
        """The innermost frames that `faulthandler` has written."""
        lines = [line for line in stderr_of(self.log).splitlines() if "  File " in line]
        places = [line.split("/")[-1].replace('"', "") for line in lines]
        return " < ".join(places[:8])

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()
        if self.log.exists():
            self.log.unlink()


def run_cases(
    kinds: List[Tuple[str, range]],
    seed: int,
    keep: Optional[Path] = None,
    limits: Limits = _LIMITS,
    jobs: int = 1,
) -> Iterator[Case]:
    """Run cases of each kind, one after the other, or as they end where there are several jobs.

    Args:
        kinds: (kind, numbers of its cases).
        seed: case n of a kind and a seed is always the same.
        keep: a folder in which failures' inputs stay.
        limits: of a case.
        jobs: processes that share the cases, each with a process for the case at hand.
    """
    if jobs == 1:
        yield from _one_after_the_other(kinds, seed, keep, limits)
        return
    ended = _FORK.SimpleQueue()
    for j in range(jobs):
        share = [(kind, numbers[j::jobs]) for kind, numbers in kinds]
        _FORK.Process(target=_job, args=(ended, share, seed, keep, limits)).start()
    while jobs:
        case = ended.get()
        if case is None:
            jobs -= 1
        else:
            yield case


def _job(ended, *arguments) -> None:
    try:
        for case in _one_after_the_other(*arguments):
            ended.put(case)
    finally:
        ended.put(None)


def _one_after_the_other(kinds, seed: int, keep, limits: Limits) -> Iterator[Case]:
    base = Path(tempfile.mkdtemp(prefix="fuzz"))
    try:
        for kind, numbers in kinds:
            if not numbers:
                continue
            try:
                yield from _of_kind(kind, numbers, seed, base, keep, limits)
            except RuntimeError as error:  # its inputs cannot be made, or no worker starts
                yield Case(kind, seed, numbers.start, Outcome(ENDED, str(error)), 0.0, "")
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _of_kind(kind, numbers, seed: int, base: Path, keep, limits: Limits) -> Iterator[Case]:
    (base / kind).mkdir()
    log = base / f"{kind}.prepare.log"
    process = _FORK.Process(target=prepare, args=(kind, base / kind, log))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"The inputs of {kind} cannot be made:\n{stderr_of(log)}")
    worker = None
    try:
        for number in numbers:
            worker = worker or _Worker(kind, base, keep, limits)
            case = worker.run(seed, number)
            yield case
            if case.outcome.kind in (ENDED, SLOW) or worker.done >= _CASES_A_WORKER:
                worker.end()
                worker = None
    finally:
        if worker:
            worker.end()
