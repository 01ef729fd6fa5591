"""What a run leaves in its folder at its start and after each epoch."""

import csv
import logging
import math
from typing import Any, Dict, List, Optional

import keras
import tensorflow as tf
from PIL import Image

from tfmaskrcnn import compat
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.drawing.batch import contact_sheet, draw_batch
from tfmaskrcnn.drawing.overlays import plot_curves
from tfmaskrcnn.errors import explained
from tfmaskrcnn.evaluation import CocoCallback
from tfmaskrcnn.model.weights import save_weights
from tfmaskrcnn.support.files import not_vital, replaced
from tfmaskrcnn.train.saving import StateKeeper

_LOG = logging.getLogger(__name__)
_MOST_PICTURES = 9  # of a batch


class RunRecorder(keras.callbacks.Callback):
    """Writes history, curves, the best weights and the state; stops when nothing better comes.

    Goes after the `CocoCallback`, whose AP decides which weights are the best: that of keypoints,
    else of masks, else of boxes, by what the model has; or, if `train.early_stop_on` says so, after
    `ValidationLoss`, whose loss decides. The state is written last, so that a run killed in between
    evaluates its last epoch again.
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
        self.kind = "mask" if config.model.mask_head.enabled else "box"  # of AP that is shown first
        self.kind = "keypoint" if config.model.keypoint_head.enabled else self.kind
        self._lowest = config.train.early_stop_on == "loss"  # is the best
        self.measure = "val loss" if self._lowest else f"{self.kind} AP"  # that decides
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
        score = numbers.get("val_loss" if self._lowest else f"val_{self.kind}_ap")
        if self.evaluation is None or (evaluated and self._is_best(score)):
            self.best, self.best_epoch = score, epoch + 1
            with self.model.averaged():
                save_weights(self.model, self.run.weights)
        patience = self.config.train.early_stop
        if patience and evaluated and epoch + 1 - self.best_epoch >= patience:
            text = "No better %s since epoch %d: stopping early."
            _LOG.info(text, self.measure, self.best_epoch)
            self.stopped = self.model.stop_training = True
        self._keeper.completed(epoch)

    def _is_best(self, score: float) -> bool:
        """Whether `score` is better than all before; anything is better than a loss of NaN."""
        if self.best is None or math.isnan(self.best):
            return True
        return score < self.best if self._lowest else score > self.best

    def _progress(self) -> Dict[str, Any]:
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "stopped": self.stopped,
            "history": self.history,
        }

    def _write_history(self) -> None:
        names = list(dict.fromkeys(name for row in self.history for name in row))
        with not_vital(), replaced(self.run.history, "w") as file:
            writer = csv.DictWriter(file, names, restval="")
            writer.writeheader()
            writer.writerows(self.history)
        columns = {name: [row.get(name, math.nan) for row in self.history] for name in names}
        with not_vital(), replaced(self.run.curves) as file:
            plot_curves(columns, file)


def draw_first_batch(dataset: tf.data.Dataset, config: Config, path: str) -> None:
    """Write what the network is fed first, with its ground truth, as a picture.

    Raises:
        InputError: the data are wrong.
    """
    try:
        batch = next(iter(dataset.take(1)))
    except tf.errors.OpError as error:
        raise explained(error, dataset.image_names) from None
    shown = {name: value[:_MOST_PICTURES] for name, value in batch.items()}
    names = [dataset.image_names[int(i)] for i in shown["image_id"]]
    with not_vital(), replaced(path) as file:
        sheet = contact_sheet(draw_batch(shown, config), names)
        Image.fromarray(sheet).save(file, "PNG")
