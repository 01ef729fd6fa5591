"""What a run leaves in its folder after each epoch, and what it says meanwhile."""

import csv
import logging
import math
import os
import time
from typing import Any, Dict, List, Optional

import keras

from tfmaskrcnn import compat
from tfmaskrcnn.config import Config
from tfmaskrcnn.evaluation import CocoCallback
from tfmaskrcnn.files import replaced
from tfmaskrcnn.losses import LOSS_NAMES
from tfmaskrcnn.train.saving import StateKeeper
from tfmaskrcnn.visualize import plot_curves
from tfmaskrcnn.weights import save_weights

_LOG = logging.getLogger(__name__)
_SECONDS_BETWEEN_LINES = 30.0


class RunRecorder(keras.callbacks.Callback):
    """Writes history, curves, the best weights and the state; stops when AP no longer improves.

    Goes after the `CocoCallback`, whose AP decides which weights are the best: that of keypoints,
    else of masks, else of boxes, by what the model has. The state is written last, so that a run
    killed in between evaluates its last epoch again.
    """

    def __init__(
        self,
        run,
        config: Config,
        evaluation: Optional[CocoCallback],
        keeper: StateKeeper,
        progress: Optional[Dict[str, Any]] = None,
    ):
        """Begin at `progress` (of the last state), or at the start of a run."""
        super().__init__()
        self.run, self.config, self.evaluation, self._keeper = run, config, evaluation, keeper
        self.kind = "mask" if config.model.mask_head.enabled else "box"  # of AP that decides
        self.kind = "keypoint" if config.model.keypoint_head.enabled else self.kind
        keeper.recorded = self._progress
        progress = progress or {"best": None, "best_epoch": 0, "stopped": False, "history": []}
        self.best, self.best_epoch = progress["best"], progress["best_epoch"]
        self.stopped: bool = progress["stopped"]  # early
        self.history: List[Dict[str, float]] = progress["history"]

    def on_epoch_end(self, epoch, logs=None):
        """Record epoch `epoch` (0 is the first) with the numbers in `logs`."""
        evaluated = self.evaluation is not None and epoch + 1 in self.evaluation.results
        numbers = {name: float(value) for name, value in (logs or {}).items()}
        if not evaluated:  # then the callback repeats its last ones
            numbers = {n: v for n, v in numbers.items() if not n.startswith("val_")}
        rate = compat.learning_rate(self.model.optimizer)
        self.history.append({"epoch": epoch + 1, **numbers, "learning_rate": rate})
        self._write_history()
        score = numbers.get(f"val_{self.kind}_ap")
        if self.evaluation is None or (evaluated and (self.best is None or score > self.best)):
            self.best, self.best_epoch = score, epoch + 1
            with self.model.averaged():
                save_weights(self.model, self.run.weights)
        patience = self.config.train.early_stop
        if patience and evaluated and epoch + 1 - self.best_epoch >= patience:
            text = "No better %s AP since epoch %d: stopping early."
            _LOG.info(text, self.kind, self.best_epoch)
            self.stopped = self.model.stop_training = True
        self._keeper.completed(epoch)

    def _progress(self) -> Dict[str, Any]:
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "stopped": self.stopped,
            "history": self.history,
        }

    def _write_history(self) -> None:
        names = list(dict.fromkeys(name for row in self.history for name in row))
        with replaced(self.run.history, "w") as file:
            writer = csv.DictWriter(file, names, restval="")
            writer.writeheader()
            writer.writerows(self.history)
        columns = {name: [row.get(name, math.nan) for row in self.history] for name in names}
        temporary = f"{self.run.curves}.{os.getpid()}.png"
        plot_curves(columns, temporary)
        os.replace(temporary, self.run.curves)


class ProgressLines(keras.callbacks.Callback):
    """Says in the log how the run goes: a line an epoch, and in long epochs one now and then.

    Goes last, when the other callbacks have put their numbers in place.
    """

    def __init__(self, recorder: RunRecorder, keeper: StateKeeper, batch_size: int):
        """Tell what `recorder` recorded and what step of `batch_size` images `keeper` is at."""
        super().__init__()
        self.recorder, self.keeper, self.batch_size = recorder, keeper, batch_size
        self._epoch = 0
        self._began = self._trained = self._last_line = time.monotonic()
        self._spent: List[float] = []

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self._epoch = epoch
        self._began = self._last_line = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        """A line every half a minute."""
        self._trained = now = time.monotonic()
        step, steps = self.keeper.step, self.keeper.steps
        if now - self._last_line > _SECONDS_BETWEEN_LINES and step < steps:
            self._last_line = now
            speed = (batch + 1) * self.batch_size / (now - self._began)
            loss = float((logs or {}).get("loss", math.nan))
            where = f"epoch {self._epoch + 1}, step {step} of {steps}"
            _LOG.info("%s   loss %.3f   %.1f images/s", where, loss, speed)

    def on_epoch_end(self, epoch, logs=None):
        """The epoch's losses, AP if it was evaluated, speed and the time left."""
        row, epochs = self.recorder.history[-1], self.params["epochs"]
        parts = " ".join(f"{n[:-5]} {row[n]:.3f}" for n in LOSS_NAMES if n in row)
        text = f"epoch {epoch + 1:>{len(str(epochs))}}/{epochs}   loss {row['loss']:.3f} ({parts})"
        if "val_box_ap" in row:
            kind = self.recorder.kind
            text += f"   {kind} AP {row[f'val_{kind}_ap']:.3f} AP50 {row[f'val_{kind}_ap50']:.3f}"
            text += f" box AP {row['val_box_ap']:.3f}" if kind != "box" else ""
            text += " (best)" if self.recorder.best_epoch == epoch + 1 else ""
        images = (self.keeper.step - self.keeper.begun_at) * self.batch_size
        speed = images / max(self._trained - self._began, 1e-9)
        self._spent.append(time.monotonic() - self._began)
        # The first epoch builds the graph and is no measure of the others.
        usual = self._spent[1:] or self._spent
        left = (epochs - epoch - 1) * sum(usual) / len(usual)
        text += f"   {speed:.1f} images/s"
        text += f"   {_clock(left)} left" if left else ""
        _LOG.info("%s", text)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
