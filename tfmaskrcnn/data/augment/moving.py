"""Images of a data set, read and moved in a graph, and their records, found again outside it."""

import atexit
import functools
import threading
import time
from typing import Callable, Dict, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf

from tfmaskrcnn.config.model import InputConfig
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data.augment.geometry import (
    Geometry,
    apply_geometry,
    plain_geometry,
    random_geometry,
)
from tfmaskrcnn.data.augment.user_function import Function, called, packed, unpacked
from tfmaskrcnn.data.coco.image_files import read_image
from tfmaskrcnn.data.coco.records import CocoData, Record
from tfmaskrcnn.errors import InputError, marked
from tfmaskrcnn.ops import contrast

# Keeps the seed of a function of the user's apart from that of the geometry.
_FUNCTION_SEED = 1
_IMAGE_DTYPES = {"image": tf.uint8, "id": tf.int64, "boxes": tf.float32, "crowd": tf.bool}
_CHANGED_DTYPES = {"classes": tf.int32, "counts": tf.string}


class Moved(NamedTuple):
    """An image as it goes into a batch, but for colour, normalisation and padding."""

    image: tf.Tensor  # [h, w, C] float32 in 0..255
    geometry: Geometry
    image_id: tf.Tensor  # [] int64
    crowd: tf.Tensor  # [n] bool, of its objects
    objects: Tuple[tf.Tensor, ...]  # what `MovingReader.record` wants


class MovingReader:
    """Reads images by their index, and moves them at random if it is for training."""

    def __init__(
        self, data: CocoData, config: Config, training: bool, function: Optional[Function] = None
    ):
        """`function` is called for each image of the training first, see `user_function`."""
        self._data, self._training, self._function = data, training, function
        self._input, self._augment = config.model.input, config.data.augment
        self._masks = config.model.mask_head.enabled
        self._fill = fill_colour(self._input)

    def moved(self, index, seed) -> Moved:
        """The image `index`, a scalar that the records know, and where it went.

        A pure function of the two arguments.
        """
        input, function = self._input, self._function
        if function is None:
            found = call(self._read, [index], _IMAGE_DTYPES)
            objects = (index,)
        else:
            own_seed = tf.random.fold_in(seed, _FUNCTION_SEED)
            dtypes = {**_IMAGE_DTYPES, **_CHANGED_DTYPES}
            found = call(self._changed, [index, own_seed], dtypes)
            objects = (index, tf.shape(found[0])[:2], *found[2:])
        image, image_id, boxes, crowd = found[:4]
        image = tf.ensure_shape(image, [None, None, input.channels])
        boxes, crowd = tf.ensure_shape(boxes, [None, 4]), tf.ensure_shape(crowd, [None])
        height, width = tf.unstack(tf.shape(image)[:2], num=2)
        if self._training:
            wanted = tf.boolean_mask(boxes, ~crowd)
            geometry = random_geometry(seed, height, width, wanted, input, self._augment)
        else:
            geometry = plain_geometry(height, width, input)
        image = contrast.enhance(image, input)
        image = apply_geometry(image, geometry, input.resize, self._fill)
        return Moved(image, geometry, tf.ensure_shape(image_id, []), crowd, objects)

    def record(self, index, *changed) -> Record:
        """The record of an image, of its `Moved.objects` as arrays."""
        record = self._data.records[index]
        return unpacked(record, *changed) if changed else record

    def _read(self, index) -> Tuple[np.ndarray, ...]:
        record, reading = self._data.records[index], (self._input.channels, self._input.exif)
        image = read_image(record.path, (record.height, record.width), *reading)
        return image, np.int64(record.image_id), record.boxes, record.crowd

    def _changed(self, index, seed) -> Tuple[np.ndarray, ...]:
        image, image_id, _, _ = self._read(index)
        record, classes = self._data.records[index], len(self._data.class_names)
        image, record = called(self._function, image, record, int(seed[0]), classes, self._masks)
        return (image, image_id, *packed(record))


def fill_colour(input: InputConfig) -> np.ndarray:
    """[C] float32 in 0..255, in the order of the images: what padding looks like before it."""
    if input.padding == "centred":
        return np.zeros(input.channels, np.float32)
    mean = np.float32(input.mean)
    return mean[::-1] if input.order == "bgr" else mean


def call(
    function: Callable, inputs: Sequence, dtypes: Dict[str, tf.DType]
) -> Tuple[tf.Tensor, ...]:
    """`tf.numpy_function` of a `guarded` function."""
    return tuple(
        tf.numpy_function(guarded(function), inputs, list(dtypes.values()), stateful=False)
    )


def guarded(function: Callable) -> Callable:
    """`function` for a graph to call: its `InputError` can be found again by `errors.explained`."""

    @functools.wraps(function)
    def calling(*args):
        with _running:
            try:
                return function(*args)
            except InputError as error:
                raise marked(error) from None

    return calling


class _Running:
    """Counts the functions that are being called, and lets none begin once the program ends.

    A data set reads ahead in threads. One that asks for Python when the interpreter is being taken
    down never comes back, and whoever deletes the data set waits for it without an end.
    """

    def __init__(self):
        self._lock, self._count, self._ends, self._last = threading.Lock(), 0, False, 0.0

    def __enter__(self):
        with self._lock:
            self._last = time.monotonic()
            if self._ends:
                raise InputError("The program ends.")
            self._count += 1

    def __exit__(self, *error):
        with self._lock:
            self._count -= 1
            self._last = time.monotonic()

    def finish(self) -> None:
        """Let all that is under way end, for some seconds at most."""
        if not self._last:
            return  # there was none
        self._ends, begun = True, time.monotonic()
        self._last = max(self._last, begun - _QUIET_SECONDS / 2)  # at least half of it is waited
        while time.monotonic() - begun < _PATIENCE_SECONDS:
            if not self._count and time.monotonic() - self._last > _QUIET_SECONDS:
                return
            time.sleep(_QUIET_SECONDS / 10)


_QUIET_SECONDS, _PATIENCE_SECONDS = 0.2, 10.0
_running = _Running()
atexit.register(_running.finish)
