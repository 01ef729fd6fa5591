"""When a run's state is saved: between steps, before evaluation, after an epoch, on a signal."""

import contextlib
import logging
import os
import signal
import threading
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import keras
import numpy as np

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.files import remove_leftovers
from tfmaskrcnn.train.distribution import Workers
from tfmaskrcnn.train.state import DamagedState, load_state, read_state, save_state

_LOG = logging.getLogger(__name__)
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StateKeeper(keras.callbacks.Callback):
    """Saves the state, keeps the last few files, and ends the run when a signal asks for it.

    Goes before the evaluation, so that a run killed while it evaluates trains nothing again.
    `RunRecorder` completes the epoch and saves through `save`.

    SIGTERM (a queue's or Kubernetes' notice) saves after the current step and exits with 0; SIGINT
    (Ctrl-C) saves as well and raises KeyboardInterrupt. A second signal ends at once.
    """

    def __init__(
        self,
        folder: str,
        config: Config,
        steps: int,
        workers: Optional[Workers] = None,
        content: Optional[Dict[str, str]] = None,
    ):
        """Keep states of a run of `steps` steps an epoch in `folder`, which the chief alone does.

        All `workers` take the chief's state, and end after the same step when one gets a signal.
        `content` are the fingerprints of the run's data.
        """
        super().__init__()
        self._workers = workers or Workers()
        self._folder, self._config, self.steps = folder, config, steps
        self._content = content
        self._start: Dict[str, Any] = {"epoch": 0, "step": 0, "means": {}}
        self._epoch = 0
        self.begun_at = self.step = 0  # of this epoch: steps done when it began here, and now
        self._signal: Optional[int] = None
        self.recorded: Callable[[], Dict[str, Any]] = dict  # the recorder's part of the progress
        self.first_saved: Optional[Callable[[], None]] = None  # called once, after the first state

    @property
    def start(self) -> Tuple[int, int]:
        """(epoch, steps done in it) of the state that the run began with."""
        return self._start["epoch"], self._start["step"]

    def restore(self, model) -> Optional[Dict[str, Any]]:
        """Set `model` and its optimizer to the last state that is whole and of this run.

        Later ones are renamed, so that they are not counted among the last few.

        Returns:
            Its progress; None if the folder holds no state.

        Raises:
            InputError: every state is damaged, or belongs to another run.
        """
        path = self._workers.agree(self._newest_whole)
        # Setting a norm's statistics on Keras 2 is a sum over the workers: all do it together.
        if self._workers.count > 1:
            path = self._chiefs_state(path)
        if path:
            self._start = load_state(path, model, self._config, self._content)
        return self._start if path else None

    def _newest_whole(self) -> Optional[str]:
        """The path of the last state that is whole, None if there is no state at all."""
        refused: Dict[str, InputError] = {}
        for path in reversed(states_in(self._folder)):
            try:
                read_state(path, self._config, self._content)
            except InputError as error:
                refused[path] = error
                continue
            for later, error in refused.items():
                _LOG.warning("%s The state before it is used.", error)
                storage.replace(later, f"{later}.refused")
            return path
        foreign = [e for e in refused.values() if not isinstance(e, DamagedState)]
        if foreign:
            raise foreign[0]
        if refused:
            raise InputError(f"No state of the run can be read. {next(iter(refused.values()))}")
        return None

    def _chiefs_state(self, path: Optional[str]) -> Optional[str]:
        """The path of the chief's state, or of its copy for those who may not see its folder."""
        content = b""
        if path:
            with storage.open_bytes(path) as file:
                content = file.read()
        content = self._workers.broadcast(content)
        if content and not self._workers.chief:
            os.makedirs(self._folder, exist_ok=True)
            path = os.path.join(self._folder, "chief.npz")
            with open(path, "wb") as file:
                file.write(content)
        return path

    def on_epoch_begin(self, epoch, logs=None):
        """Give the running means of the losses back what they had in a begun epoch."""
        begun = epoch == self._start["epoch"]
        self._epoch = epoch
        self.begun_at = self.step = self._start["step"] if begun else 0
        if begun:
            self.restore_means()

    def restore_means(self):
        """Set the running means to those of the loaded state."""
        for name, values in self._start["means"].items():
            for variable, value in zip(self.model.loss_means[name].variables, values):
                variable.assign(value * self._workers.replicas)

    def on_train_batch_end(self, batch, logs=None):
        """Save if it is time, or if a signal came."""
        self.step = step = self.begun_at + batch + 1
        if self._signaled():
            self.save(self._epoch, step)
            self._end(f"in epoch {self._epoch + 1} after step {step} of {self.steps}")
        every = self._config.train.save_every
        if every and step % every == 0 and step < self.steps:
            self.save(self._epoch, step)

    def on_epoch_end(self, epoch, logs=None):
        """Save before the evaluation begins, if there is one."""
        if self._config.data.val_json:
            self.save(epoch, self.steps)

    def save(self, epoch: int, step: int) -> None:
        """Write the state after `step` steps of epoch `epoch` (0 is the first)."""
        means = self.model.loss_means if step else {}
        means = {n: [float(v.numpy()) for v in m.variables] for n, m in means.items()}
        # Each replica adds to them; the next run may have more or fewer.
        means = {n: [v / self._workers.replicas for v in values] for n, values in means.items()}
        progress = {"epoch": epoch, "step": step, "means": means, **self.recorded()}
        storage.make_folder(self._folder)
        for folder in (self._folder, os.path.dirname(self._folder)):
            remove_leftovers(folder)
        path = _path(self._folder, epoch * (self.steps + 1) + step)
        path = path if self._workers.chief else None
        save_state(path, self.model, self._config, progress, self._content)
        if self.first_saved:
            self.first_saved()
            self.first_saved = None
        for path in states_in(self._folder)[: -self._config.train.keep_states]:
            storage.remove(path)

    def completed(self, epoch: int) -> None:
        """Save after an epoch was evaluated and recorded, and end if a signal came meanwhile."""
        self.save(epoch + 1, 0)
        if self._signaled():
            self._end(f"after epoch {epoch + 1}")

    def _signaled(self) -> bool:
        """Whether a signal came to this worker or to another."""
        if self._workers.count == 1:
            return self._signal is not None
        came = self._workers.sum(np.array([self._signal == number for number in _SIGNALS]))
        agreed = [number for number, count in zip(_SIGNALS, came) if count]
        self._signal = agreed[-1] if agreed else self._signal  # which may have come just now
        return bool(agreed)

    def _end(self, where: str) -> None:
        self._workers.wait()  # until the chief has written the state
        _LOG.info("Stopped %s; the state is saved, --resume goes on from there.", where)
        if self._signal == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(0)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take SIGTERM and SIGINT while the block runs; only the main thread of a program can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {number: signal.getsignal(number) for number in _SIGNALS}

        def note(number, frame):
            self._signal = number
            for each, handler in former.items():  # the second one is not waited for
                signal.signal(each, handler if handler is not None else signal.SIG_DFL)

        for number, handler in former.items():
            if handler is not signal.SIG_IGN:  # a shell's background jobs are deaf to Ctrl-C
                signal.signal(number, note)
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def states_in(folder: str) -> List[str]:
    """The state files of a run, oldest first."""
    return [os.path.join(folder, n) for n in storage.names_in(folder) if n.endswith(".npz")]


def _path(folder: str, number: int) -> str:
    return os.path.join(folder, f"{number:010d}.npz")
