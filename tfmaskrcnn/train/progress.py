"""What a run says while it goes: images a second, lines in the log, a live bar on a terminal."""

import contextlib
import logging
import math
import sys
import time
from typing import Dict, Iterator, List

import keras
from rich import progress as parts
from rich.console import Console
from rich.text import Text

from tfmaskrcnn.model.losses import LOSS_NAMES
from tfmaskrcnn.support.terminal import moves
from tfmaskrcnn.train.recorder import RunRecorder
from tfmaskrcnn.train.saving import StateKeeper

_LOG = logging.getLogger(__name__)
_SECONDS_BETWEEN_LINES = 30.0
_REFRESHES_A_SECOND = 4  # of the bar; more would cost training its time


class Speed(keras.callbacks.Callback):
    """Puts `images_per_second` of this epoch so far into the logs, so that Keras's bar shows it.

    The first step of a run or a phase, which builds the graph, is no measure of the others and is
    left out.
    For callbacks after this one: `model.fit(train, callbacks=[mr.train.Speed(4), CSVLogger(...)])`.
    """

    def __init__(self, batch_size: int):
        """Count `batch_size` images a step, those of all replicas together."""
        super().__init__()
        self.batch_size = batch_size
        self.rate = 0.0  # images a second
        self._first, self._since, self._skipped = True, 0.0, 0

    def on_train_begin(self, logs=None):
        """A step comes that is no measure."""
        self._first = True

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self._since, self._skipped = time.monotonic(), 0

    def on_train_batch_end(self, batch, logs=None):
        """Take the time of `batch` (0 is the first one of the epoch)."""
        now = time.monotonic()
        images = (batch + 1 - self._skipped) * self.batch_size
        self.rate = images / max(now - self._since, 1e-9)
        if self._first:
            self._first, self._since, self._skipped = False, now, batch + 1
        if logs is not None:
            logs["images_per_second"] = self.rate

    def on_epoch_end(self, epoch, logs=None):
        """Log the speed of the epoch's training, without its evaluation."""
        if logs is not None:
            logs["images_per_second"] = self.rate


class ProgressLines(keras.callbacks.Callback):
    """Says in the log how the run goes: a line an epoch, and in long epochs one now and then.

    Goes last, when the other callbacks have put their numbers in place.
    """

    def __init__(self, recorder: RunRecorder, keeper: StateKeeper, speed: Speed):
        """Tell what `recorder` recorded, what step `keeper` is at, and the `speed`."""
        super().__init__()
        self.recorder, self.keeper, self.speed = recorder, keeper, speed
        self._epoch = 0
        self._began = self._last_line = time.monotonic()
        self._spent: List[float] = []

    def shown(self) -> contextlib.AbstractContextManager:
        """The context in which training is watched."""
        return contextlib.nullcontext()

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self._epoch = epoch
        self._began = self._last_line = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        """A line every half a minute."""
        step, steps, now = self.keeper.step, self.keeper.steps, time.monotonic()
        if now - self._last_line > _SECONDS_BETWEEN_LINES and step < steps:
            self._last_line = now
            loss = float((logs or {}).get("loss", math.nan))
            where = f"epoch {self._epoch + 1}, step {step} of {steps}"
            text = "%s   loss %.3f   %.1f images/s   %s left"
            _LOG.info(text, where, loss, self.speed.rate, clock(self.seconds_left()))

    def on_epoch_end(self, epoch, logs=None):
        """The epoch's losses, val loss and AP if it was evaluated, speed and the time left."""
        row, epochs = self.recorder.history[-1], self.params["epochs"]
        text = f"epoch {epoch + 1:>{len(str(epochs))}}/{epochs}   {_losses(row)}"
        text += f"   val loss {row['val_loss']:.3f}" if "val_loss" in row else ""
        if "val_box_ap" in row:
            kind = self.recorder.kind
            text += f"   {kind} AP {row[f'val_{kind}_ap']:.3f} AP50 {row[f'val_{kind}_ap50']:.3f}"
            text += f" box AP {row['val_box_ap']:.3f}" if kind != "box" else ""
            text += " (best)" if self.recorder.best_epoch == epoch + 1 else ""
        if not self.keeper.begun_at:  # else it was not trained as a whole since the run resumed
            self._spent.append(time.monotonic() - self._began)
        text += f"   {self.speed.rate:.1f} images/s" if self.speed.rate else ""
        left = self.seconds_left() if self.speed.rate else 0.0
        text += f"   {clock(left)} left" if left else ""
        _LOG.info("%s", text)

    def seconds_left(self) -> float:
        """Expected seconds from this step to the end of the run."""
        steps, epochs_left = self.keeper.steps, self.params["epochs"] - self._epoch - 1
        a_step = self.speed.batch_size / max(self.speed.rate, 1e-9)
        usual = self._usual() if self._spent else steps * a_step
        return (steps - self.keeper.step) * a_step + epochs_left * usual

    def _usual(self) -> float:
        """Seconds of an epoch with its evaluation; the first one builds graphs besides."""
        usual = self._spent[1:] or self._spent
        return sum(usual) / len(usual)


class ProgressBar(ProgressLines):
    """A live bar on the terminal, with all losses, below the lines of the epochs."""

    def __init__(self, recorder: RunRecorder, keeper: StateKeeper, speed: Speed, console: Console):
        """As `ProgressLines`, drawn on `console`."""
        super().__init__(recorder, keeper, speed)
        self._bar = _Bar(console)
        if recorder.evaluation is not None:
            recorder.evaluation.progress = self._bar.evaluated

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Draw the bar while the block runs, and let log lines appear above it."""
        handlers = [
            h
            for h in logging.getLogger().handlers
            if isinstance(h, logging.StreamHandler) and h.stream is sys.stderr
        ]
        with self._bar:  # has put something that knows of the bar in the place of sys.stderr
            before = [handler.setStream(sys.stderr) for handler in handlers]
            try:
                yield
            finally:
                for handler, stream in zip(handlers, before):
                    handler.setStream(stream)

    def on_epoch_begin(self, epoch, logs=None):
        """An empty bar."""
        super().on_epoch_begin(epoch, logs)
        self._bar.trained(f"epoch {epoch + 1}/{self.params['epochs']}", 0, self.keeper.steps)

    def on_train_batch_end(self, batch, logs=None):
        """Move the bar."""
        name, numbers = f"epoch {self._epoch + 1}/{self.params['epochs']}", ""
        if batch or self._spent:  # the first step of all built the graph
            left = clock(self.seconds_left())
            numbers = f"{self.speed.rate:.1f} images/s  {left} left"
        self._bar.trained(name, self.keeper.step, self.keeper.steps, numbers)
        recorder = self.recorder
        self._bar.below = [_losses(logs or {})]
        if recorder.best is not None:
            best = f"best {recorder.measure} {recorder.best:.3f} of epoch {recorder.best_epoch}"
            self._bar.below.append(best)


class _Bar(parts.Progress):
    """One bar with a line of losses and one of AP below it; it vanishes at the end."""

    def __init__(self, console: Console):
        self.below: List[str] = []
        text = parts.TextColumn
        super().__init__(
            *(text("{task.description}"), parts.BarColumn(), parts.MofNCompleteColumn()),
            text("{task.fields[numbers]}"),
            console=console,
            transient=True,
            refresh_per_second=_REFRESHES_A_SECOND,
        )
        self._task = self.add_task("", total=None, numbers="building the graph ...")

    def trained(self, name: str, step: int, steps: int, numbers: str = "") -> None:
        numbers = {"numbers": numbers} if numbers else {}
        self.update(self._task, description=name, completed=step, total=steps, **numbers)

    def evaluated(self, done: int, total: int) -> None:
        """The `progress` of an evaluation."""
        self.update(self._task, description="evaluating", completed=done, total=total, numbers="")

    def get_renderables(self):
        yield from super().get_renderables()
        yield from (Text(line, no_wrap=True, overflow="ellipsis") for line in self.below)


def progress_display(
    recorder: RunRecorder, keeper: StateKeeper, speed: Speed, bar: bool
) -> ProgressLines:
    """A live bar if `bar` and somebody looks on at a terminal, else lines alone."""
    console = Console(stderr=True)  # stdout is for results
    if bar and moves(console) and _LOG.isEnabledFor(logging.INFO):
        return ProgressBar(recorder, keeper, speed, console)
    return ProgressLines(recorder, keeper, speed)


def clock(seconds: float) -> str:
    """1:02:03 or 2:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _losses(logs: Dict[str, float]) -> str:
    each = " ".join(f"{n[:-5]} {float(logs[n]):.3f}" for n in LOSS_NAMES if n in logs)
    return f"loss {float(logs.get('loss', math.nan)):.3f} ({each})"
