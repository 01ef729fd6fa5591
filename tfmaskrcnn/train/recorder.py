"""What a run leaves in its folder after each epoch."""

import csv
import os
import time
from typing import Any, Dict, List, Optional

import keras

from tfmaskrcnn.config import Config
from tfmaskrcnn.files import replaced
from tfmaskrcnn.train.state import save_state
from tfmaskrcnn.visualize import plot_curves
from tfmaskrcnn.weights import save_weights

MONITOR = "val_mask_ap"


class RunRecorder(keras.callbacks.Callback):
    """Writes history, curves, the best weights and the state; stops when AP no longer improves.

    Goes after a `CocoCallback`, whose AP decides which weights are the best. The state is written
    last, so that a run killed in between repeats its last epoch.
    """

    def __init__(self, run, config: Config, progress: Optional[Dict[str, Any]] = None):
        """Begin at `progress` (from `load_state`), or at the start of a run."""
        super().__init__()
        self.run, self.config = run, config
        progress = progress or {"best": None, "best_epoch": 0, "history": []}
        self.best, self.best_epoch = progress["best"], progress["best_epoch"]
        self.history: List[Dict[str, float]] = progress["history"]
        self._began = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self._began = time.time()

    def on_epoch_end(self, epoch, logs=None):
        """Record epoch `epoch` (0 is the first) with the numbers in `logs`."""
        numbers = {name: float(value) for name, value in (logs or {}).items()}
        rate = self.model.optimizer.learning_rate
        done = {"epoch": epoch + 1, "seconds": round(time.time() - self._began, 3)}
        self.history.append({**done, **numbers, "learning_rate": float(rate)})
        self._write_history()
        score = numbers.get(MONITOR)
        if score is None or self.best is None or score > self.best:
            self.best, self.best_epoch = score, epoch + 1
            save_weights(self.model, self.run.weights)
        save_state(self.run.state, self.model, self.config, self._progress())
        patience = self.config.train.early_stop
        if patience and score is not None and epoch + 1 - self.best_epoch >= patience:
            self.model.stop_training = True

    def _progress(self) -> Dict[str, Any]:
        return {
            "epoch": len(self.history),
            "best": self.best,
            "best_epoch": self.best_epoch,
            "history": self.history,
        }

    def _write_history(self) -> None:
        names = list(self.history[-1])
        with replaced(self.run.history, "w") as file:
            writer = csv.DictWriter(file, names, extrasaction="ignore", restval="")
            writer.writeheader()
            writer.writerows(self.history)
        columns = {name: [row.get(name) for row in self.history] for name in names}
        temporary = f"{self.run.curves}.{os.getpid()}.png"
        plot_curves(columns, temporary)
        os.replace(temporary, self.run.curves)
