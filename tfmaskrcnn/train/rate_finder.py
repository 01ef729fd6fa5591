"""A learning rate for a model and its data, from a short run in which it rises exponentially.

After Smith, "Cyclical Learning Rates for Training Neural Networks" (arXiv 1506.01186), section 3.3.
"""

import csv
import os
from typing import BinaryIO, List, NamedTuple, Optional

import keras
import numpy as np

from tfmaskrcnn.config.run import Config, ScheduleConfig
from tfmaskrcnn.data import from_records
from tfmaskrcnn.data.labels import with_classes_of
from tfmaskrcnn.errors import InputError, NotFinite
from tfmaskrcnn.support.files import replaced, writable_folder
from tfmaskrcnn.support.progress_bar import Progress
from tfmaskrcnn.train.auto.auto_config import settled
from tfmaskrcnn.train.distribution import Workers
from tfmaskrcnn.train.first_weights import start_weights
from tfmaskrcnn.train.loop import compiled_model
from tfmaskrcnn.train.run_memory import with_parts
from tfmaskrcnn.train.run_phases import begin_phase
from tfmaskrcnn.train.splits import training_data

# The ramp begins at this share of `train.learning_rate` and ends at that multiple of it.
LEAST, MOST = 1e-3, 1e2
_DIVERGED = 3.0  # times the lowest loss: the ramp need not go on
_FALL = 0.95  # share of the highest loss that a later one must be below
_SMOOTHING = 0.04  # standard deviation of the smoothing, as a share of the ramp


class RateCurve(NamedTuple):
    """What a ramp has shown; n steps, fewer than asked for if the loss diverged."""

    rates: np.ndarray  # [n] float64, ascending, of `train.learning_rate`
    losses: np.ndarray  # [n] float64, the total loss of each step's batch
    smooth: np.ndarray  # [n] float64, `losses` smoothed
    suggested: Optional[float]  # None if the loss did not fall


def find_rate(config: Config, steps: int = 100, progress: Optional[Progress] = None) -> RateCurve:
    """Train for `steps` steps at rising rates, from the weights that a run would start from.

    The rates are spread evenly, in powers, from a thousandth of `train.learning_rate` to a hundred
    times of it; batch size, optimizer and augmentation are the configuration's, and what its first
    phase trains. The model is thrown away.

    Args:
        config: the whole configuration.
        steps: of the ramp; with more of them the curve is smoother.
        progress: called with (steps done, steps in all).

    Raises:
        InputError: data or configuration are wrong.
    """
    config = settled(config)
    data = training_data(config)
    config = with_classes_of(data, config)
    config = with_parts(config, None, data.records, Workers())
    keras.utils.set_random_seed(config.train.seed)
    ramp = ScheduleConfig(kind="ramp", warmup_factor=LEAST / MOST)
    changes = {"learning_rate": config.train.learning_rate * MOST, "schedule": ramp, "epochs": 1}
    ramped = config.model_copy(update={"train": config.train.model_copy(update=changes)})
    model = compiled_model(ramped, steps)
    start_weights(model, config)
    begin_phase(model, config.train.phases[:1], 0, 1, steps)
    dataset = from_records(data, config, training=True)
    watch = _Watch(steps, progress)
    try:
        epochs = -(-steps // len(dataset))
        model.fit(dataset, epochs=epochs, callbacks=[watch], shuffle=False, verbose=0)
    except (_Done, NotFinite):
        pass
    low, high = (config.train.learning_rate * share for share in (LEAST, MOST))
    return rate_curve(np.geomspace(low, high, steps)[: len(watch.losses)], watch.losses)


def rate_curve(rates: np.ndarray, losses: List[float]) -> RateCurve:
    """The curve of a ramp and what it suggests: a tenth of the rate at which it undoes itself.

    That is where the smoothed loss, after its lowest, is back at its highest before it. The lowest
    point or the steepest slope, which others take, hang on the noise of a few batches, and a
    detector's box loss rises for a while as its proposals improve.

    Args:
        rates: [n], ascending.
        losses: n finite numbers.
    """
    losses = np.asarray(losses, np.float64)
    if len(losses) < 5:
        return RateCurve(rates, losses, losses, None)
    smooth = _smoothed(losses)
    lowest = int(np.argmin(smooth))
    highest = smooth[: lowest + 1].max()
    if smooth[lowest] > _FALL * highest:
        return RateCurve(rates, losses, smooth, None)
    back = np.flatnonzero(smooth[lowest:] >= highest)
    end = lowest + int(back[0]) if len(back) else len(rates) - 1
    return RateCurve(rates, losses, smooth, float(rates[end] / 10.0))


def write_curve(curve: RateCurve, folder: str, current: float) -> str:
    """Write `rate.csv` and `rate.png` into `folder`, with a mark at the rate `current`.

    Returns:
        Path of the picture.
    """
    folder = writable_folder(folder)
    with replaced(os.path.join(folder, "rate.csv"), "w") as file:
        writer = csv.writer(file)
        writer.writerow(["learning_rate", "loss", "smooth_loss"])
        writer.writerows(zip(curve.rates, curve.losses, curve.smooth))
    path = os.path.join(folder, "rate.png")
    with replaced(path) as file:
        _plot(curve, current, file)
    return path


class _Done(Exception):
    """The ramp is at its end; Keras itself would go on to the end of the epoch."""


class _Watch(keras.callbacks.Callback):
    """The loss of each step, until there are enough or it diverges."""

    def __init__(self, steps: int, progress: Optional[Progress]):
        super().__init__()
        self.losses: List[float] = []
        self._steps, self._progress, self._sum = steps, progress, 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._sum = 0.0

    def on_train_batch_end(self, batch, logs=None):
        total = float(logs["loss"]) * (batch + 1)  # the logs have the epoch's mean so far
        self.losses.append(total - self._sum)
        self._sum = total
        if self._progress:
            self._progress(len(self.losses), self._steps)
        means = [np.mean(self.losses[i : i + 5]) for i in range(len(self.losses) - 4)]
        diverged = means and np.mean(self.losses[-3:]) > _DIVERGED * min(means)
        if len(self.losses) == self._steps or diverged:
            raise _Done


def _smoothed(losses: np.ndarray) -> np.ndarray:
    """[n] running means by a Gaussian; at the ends of what lies inside."""
    place = np.arange(len(losses))
    width = max(_SMOOTHING * len(losses), 1.0)
    weights = np.exp(-0.5 * ((place[:, None] - place) / width) ** 2)
    # One diverged batch must not lift the curve many steps before it.
    clipped = np.minimum(losses, 2.0 * np.median(losses))
    return weights @ clipped / weights.sum(axis=1)


def _plot(curve: RateCurve, current: float, file: BinaryIO) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.4), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot(curve.rates, curve.losses, color="#9db8d9", linewidth=0.9, label="loss of a batch")
    axes.plot(curve.rates, curve.smooth, color="#1f4e9e", linewidth=2.2, label="smoothed")
    axes.axvline(current, color="#777777", linestyle=":", label=f"configured, {current:.2g}")
    if curve.suggested is not None:
        label = f"suggested, {curve.suggested:.2g}"
        axes.axvline(curve.suggested, color="#e8710a", linestyle="--", label=label)
    axes.set_xscale("log")
    axes.set_xlabel("train.learning_rate")
    axes.set_ylabel("loss")
    if len(curve.smooth):
        axes.set_ylim(0, 1.5 * max(curve.smooth[: len(curve.smooth) // 2 + 1]))
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8.5)
    figure.savefig(file)


def suggestion(curve: RateCurve) -> float:
    """The suggested rate in two digits.

    Raises:
        InputError: there is none.
    """
    if curve.suggested is None:
        raise InputError(
            f"The loss falls at no rate from {curve.rates[0]:.2g} to {curve.rates[-1]:.2g} within "
            f"{len(curve.rates)} steps; take more steps, or another train.learning_rate to search "
            "around."
        )
    return float(f"{curve.suggested:.1e}")
