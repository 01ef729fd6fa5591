"""Scalars and pictures of a run for TensorBoard, which need not be installed to write them.

An event file is a TFRecord of `Event` messages. `tf.summary` would write it too, but it cannot take
back what a killed run wrote after the state that it resumes from.
"""

import contextlib
import io
import logging
import os
import time
from typing import Any, Dict, Iterator, List

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from tfmaskrcnn import compat
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data.coco.image_files import read_image
from tfmaskrcnn.data.coco.records import Record
from tfmaskrcnn.drawing.drawing_style import DrawingStyle, enlarged_side
from tfmaskrcnn.drawing.overlays import draw, draw_ground_truth, first_channels, side_by_side
from tfmaskrcnn.evaluation import CocoCallback
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.files import not_vital, writable_folder
from tfmaskrcnn.train.progress import Speed
from tfmaskrcnn.train.saving import StateKeeper

_LOG = logging.getLogger(__name__)
_STEPS_BETWEEN_POINTS = 20  # of the curves of losses; an epoch's last step is always one
_PICTURES = 4  # images of the val split that are drawn after each evaluation
_PICTURE_WIDTH = 1400  # of ground truth and prediction together, pixels
_EVALUATED = ("AP/", "val/", "val_loss/")  # tags of what is written after an epoch's last step


class EventLog:
    """The event files of one run; whatever is wrong with the disk, the run goes on."""

    def __init__(self, folder: str):
        """Write into `folder`, which is made with the first event."""
        self._folder, self._writer, self._broken = folder, None, False

    def begin(self, step: int, evaluated: int) -> None:
        """Go on after `step` updates; what was written of later ones is taken back.

        Args:
            step: updates that the run has made, those of all epochs.
            evaluated: updates until the end of the last epoch that is complete with its evaluation.
        """
        try:
            paths = _event_files(self._folder)
            for path in paths:
                _take_back(path, step, evaluated)
            name = f"events.out.tfevents.{step:010d}.{len(paths):03d}"
            self._writer = tf.io.TFRecordWriter(os.path.join(writable_folder(self._folder), name))
            self._write(file_version="brain.Event:2")
        except (OSError, ValueError, tf.errors.OpError) as error:
            self._give_up(error)

    def scalars(self, step: int, values: Dict[str, float]) -> None:
        """Points of curves, by tag."""
        self._values(step, [{"tag": n, "simple_value": float(v)} for n, v in values.items()])

    def picture(self, step: int, tag: str, picture: np.ndarray) -> None:
        """[H, W, 3] uint8."""
        image, buffer = Image.fromarray(picture), io.BytesIO()
        image.thumbnail((_PICTURE_WIDTH, 10 * _PICTURE_WIDTH), Image.Resampling.LANCZOS)
        image.save(buffer, "JPEG", quality=90)
        encoded = tf.compat.v1.Summary.Image(
            height=image.height,
            width=image.width,
            colorspace=3,
            encoded_image_string=buffer.getvalue(),
        )
        self._values(step, [{"tag": tag, "image": encoded}])

    def flush(self) -> None:
        """Make what was written so far visible."""
        try:
            if self._writer is not None:
                self._writer.flush()
        except tf.errors.OpError as error:
            self._give_up(error)

    def _values(self, step: int, values: List[Dict[str, Any]]) -> None:
        try:
            made = [tf.compat.v1.Summary.Value(**value) for value in values]
            self._write(step=step, summary=tf.compat.v1.Summary(value=made))
        except tf.errors.OpError as error:
            self._give_up(error)

    def _write(self, **fields) -> None:
        if self._writer is not None:
            event = tf.compat.v1.Event(wall_time=time.time(), **fields)
            self._writer.write(event.SerializeToString())

    def _give_up(self, error: Exception) -> None:
        self._writer = None
        text = "%s cannot be written (%s); the run goes on without TensorBoard's files."
        _LOG.warning(text, self._folder, str(error).split("\n")[0])


class BoardWriter(keras.callbacks.Callback):
    """Writes losses, learning rate, speed, AP and pictures of a run of `train`.

    The x axis counts updates. Goes after the evaluation and before the `RunRecorder`, whose
    state must not know of an epoch that is not written.
    """

    def __init__(
        self,
        folder: str,
        config: Config,
        evaluation: CocoCallback,
        keeper: StateKeeper,
        speed: Speed,
    ):
        """Write into `folder`; `evaluation` may be None."""
        super().__init__()
        self._log, self._config, self._evaluation = EventLog(folder), config, evaluation
        self._keeper, self._speed, self._begun = keeper, speed, False
        self._epoch, self._sums, self._point = 0, {}, 0
        records = [] if evaluation is None else evaluation.records
        self._records = _spread([r for r in records if len(r.classes)] or records)

    def on_epoch_begin(self, epoch, logs=None):
        """Find the place to go on from."""
        keeper, self._epoch = self._keeper, epoch
        if not self._begun:
            steps, (begun, step) = keeper.steps, keeper.start
            self._log.begin(begun * steps + step, begun * steps)
            self._begun = True
        self._point = keeper.step
        means = {name: float(mean.result()) for name, mean in self.model.loss_means.items()}
        self._sums = {name: value * keeper.step for name, value in means.items()}

    def on_train_batch_end(self, batch, logs=None):
        """A point every so many steps: losses are means since the last one, or since resuming."""
        step, steps = self._keeper.step, self._keeper.steps
        if (step % _STEPS_BETWEEN_POINTS and step < steps) or not logs:
            return
        sums = {n: float(logs[n]) * step for n in self.model.loss_means if n in logs}
        count, before = step - self._point, self._sums
        losses = {n: (total - before.get(n, 0.0)) / count for n, total in sums.items()}
        self._sums, self._point = sums, step
        values = {f"loss/{_term(name)}": value for name, value in losses.items()}
        values["learning_rate"] = compat.learning_rate(self.model.optimizer)
        values["images_per_second"] = self._speed.rate
        self._log.scalars(self._epoch * steps + step, values)
        self._log.flush()

    def on_epoch_end(self, epoch, logs=None):
        """AP, val losses if there are any, and pictures, if the epoch was evaluated."""
        step = (epoch + 1) * self._keeper.steps
        if self._evaluation is not None and epoch + 1 in self._evaluation.results:
            prefix = self._evaluation.prefix
            found = {n[len(prefix) :]: v for n, v in (logs or {}).items() if n.startswith(prefix)}
            losses = {n: found.pop(n) for n in self.model.loss_means if n in found}
            values = {f"AP/{name}": value for name, value in found.items()}
            values.update({f"val_loss/{_term(name)}": value for name, value in losses.items()})
            self._log.scalars(step, values)
            for record in self._records:
                with not_vital():  # an image or annotation that evaluation left to pycocotools
                    self._log.picture(step, f"val/{record.file_name}", self._picture(record))
            self._log.flush()

    def _picture(self, record: Record) -> np.ndarray:
        """Ground truth beside prediction."""
        model = self._config.model
        reading = model.input.channels, model.input.exif
        image = read_image(record.path, (record.height, record.width), *reading)
        with getattr(self.model, "averaged", contextlib.nullcontext)():  # as it is evaluated
            found, shown = self.model.predict_images([image])[0], first_channels(image)
        style = DrawingStyle(side=enlarged_side(shown.shape[:2]))
        skeleton = model.keypoint_head.skeleton
        truth = draw_ground_truth(shown, record, model.class_names, skeleton=skeleton, style=style)
        captions = "ground truth", "prediction, scores from 0.5"
        return side_by_side([truth, draw(shown, found, style=style)], captions)


def _term(name: str) -> str:
    """What a loss is called here: "loss" -> "total", "mask_loss" -> "mask"."""
    return "total" if name == "loss" else name[: -len("_loss")]


def _spread(records: List[Record]) -> List[Record]:
    """A few records, evenly spread over all."""
    places = np.linspace(0, len(records) - 1, min(_PICTURES, len(records)))
    return [records[round(i)] for i in places]


def events_in(path: str) -> Iterator[Any]:
    """The `tf.compat.v1.Event`s of a file, up to where it is cut off."""
    try:
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
            yield tf.compat.v1.Event.FromString(record)
    except tf.errors.DataLossError:  # a killed run wrote half an event
        return


def _event_files(folder: str) -> List[str]:
    names = storage.names_in(folder)
    return [os.path.join(folder, n) for n in names if n.startswith("events.out.tfevents.")]


def _take_back(path: str, step: int, evaluated: int) -> None:
    """Leave out of an event file what came after `step` or was evaluated after `evaluated`."""
    kept = []
    for event in events_in(path):
        late = any(v.tag.startswith(_EVALUATED) for v in event.summary.value)
        if event.step <= (evaluated if late else step):
            kept.append(event.SerializeToString())
    if len(kept) < 2:  # what every file begins with
        storage.remove(path)
        return
    temporary = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.tmp")
    with tf.io.TFRecordWriter(temporary) as writer:
        for record in kept:
            writer.write(record)
    storage.replace(temporary, path)
