"""Batches of examples that are read, or made, one by one while a model trains."""

import contextlib
import itertools
import pickle
from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
import tensorflow as tf

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data.augment.moving import call, guarded
from tfmaskrcnn.data.augment.user_function import Function
from tfmaskrcnn.data.batches.array_objects import given, mask_boxes, record_of
from tfmaskrcnn.data.batches.array_orders import refuse_other_orders
from tfmaskrcnn.data.batches.arrays import LeftOut, names_of
from tfmaskrcnn.data.batches.order import shuffled
from tfmaskrcnn.data.batches.pipeline import check_names, check_sizes, made_ahead
from tfmaskrcnn.data.batches.samples import sample_function
from tfmaskrcnn.data.coco.records import CocoData, Record
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support.given import takes

_NAME = "The set of examples"
_OBJECT_KEYS = ("boxes", "classes", "masks", "crowd")
_KEYS = ("image", *_OBJECT_KEYS)
_WANTED = f"wanted a dictionary of {', '.join(_KEYS)}"
Example = Mapping[str, Any]


@tf.autograph.experimental.do_not_convert  # see `ops.tensors.as_graph`
@takes(config=Config)
def from_generator(
    examples: Union[Sequence[Example], Callable[[], Iterator[Example]]],
    config: Config,
    training: bool,
    class_names: Optional[Sequence[str]] = None,
    start_epoch: int = 0,
    transform: Optional[Function] = None,
) -> tf.data.Dataset:
    """Batches as of `from_arrays`, of examples that need not be in memory together.

    An example is a dictionary of "image", "classes", "boxes" or "masks" or both, and perhaps
    "crowd": what `from_arrays` takes of one image.

    Args:
        examples: either something with a length and examples by their index (a list, or a class
            with `__len__` and `__getitem__`, which several threads call at once); in training they
            are shuffled. Or a function, called for every epoch, that gives the examples of an epoch
            one after the other, such as a generator function; their order is its own, and may go on
            without an end if `fit` is told `steps_per_epoch`.
        config: the whole configuration; without `data.repeat_threshold` and `augment.copy_paste`,
            which must know all images beforehand.
        training, class_names, start_epoch, transform: as of `from_arrays`.

    Returns:
        As `from_records`, of a function without a length. The image ids count from 1.

    Raises:
        InputError: `examples` or the configuration cannot be used; while it is read, it names the
            example and the object that are wrong.
    """
    names = names_of(class_names, config)
    data = CocoData(_PackedRecords(), names, tuple(range(1, len(names) + 1)), _NAME)
    check_names(data, config)
    if training:
        _check_settings(config)
        check_sizes(config)
    reader = _ExampleReader(config)
    by_index = hasattr(examples, "__len__") and hasattr(examples, "__getitem__")
    if by_index:
        found, count = _indexed(examples, reader, config, training, start_epoch)
    else:
        found, count = _streamed(_function(examples), reader, config, training, start_epoch), None
    sample = sample_function(data, config, training, transform)
    samples = found.map(sample, tf.data.AUTOTUNE, deterministic=True)
    batch_size = _batch_size(config, training)
    batches = samples.padded_batch(batch_size, drop_remainder=training)
    if count is not None:
        length = count // batch_size if training else -(-count // batch_size)
        batches = batches.apply(tf.data.experimental.assert_cardinality(length))
    return made_ahead(batches, {i + 1: f"example {i}" for i in range(count or 0)})


class _PackedRecords:
    """Records by their own bytes, in which they go from one step of the pipeline to the next.

    An example is so asked for once, whatever it is made of; only this process's own bytes are read.
    """

    def __getitem__(self, packed: bytes) -> Record:
        return pickle.loads(packed)


class _ExampleReader:
    """Makes records of examples, packed."""

    def __init__(self, config: Config):
        self._config = config

    def __call__(self, example: Any, number: int) -> bytes:
        """The packed record of the example `number`, counted from 0."""
        where = f"example {number}"
        if not isinstance(example, Mapping):
            raise InputError(f"{where} is {quoted(example)}; {_WANTED}.")
        unknown = sorted(str(key) for key in set(example) - set(_KEYS))
        missing = [key for key in ("image", "classes") if example.get(key) is None]
        if unknown or missing:
            fault = f"has no {quoted(missing[0])}" if missing else f"has {quoted(unknown[0])}"
            raise InputError(f"{where} {fault}; {_WANTED}.")
        objects = [example.get(key) for key in _OBJECT_KEYS]
        found = given(where, example["image"], objects, self._config)
        if found.boxes is not None:
            sizes = np.tile(found.size, (len(found.boxes), 1))
            try:
                refuse_other_orders(found.boxes, sizes, mask_boxes([found]), by_images=False)
            except InputError as error:
                raise InputError(f"{where}: {error}") from None
        left_out = LeftOut(self._config.data.skip_invalid)
        record = record_of(found, number + 1, self._config.model.num_classes, left_out)
        return pickle.dumps(record, protocol=5)


def _batch_size(config: Config, training: bool) -> int:
    return config.train.batch_size if training else config.evaluation.batch_size


def _indexed(
    examples: Sequence[Example], reader: Callable, config: Config, training: bool, start_epoch: int
) -> Tuple[tf.data.Dataset, int]:
    """(epoch, position, packed record) of each example, and how many an epoch has."""
    count = min(len(examples), config.data.limit or len(examples))
    least = _batch_size(config, True) if training else 1
    if count < least:
        raise InputError(f"{_NAME} has {count} of them; wanted at least {least}, one batch.")

    def read(index) -> bytes:
        with _told(f"Example {index}"):
            example = examples[int(index)]
        return reader(example, int(index))

    def packed(epoch, position, index):
        (found,) = call(read, [index], {"record": tf.string})
        return epoch, position, tf.ensure_shape(found, [])

    if training:
        positions = shuffled(count, config.train.seed, start_epoch, 0)
    else:
        positions = tf.data.Dataset.range(count).map(lambda p: (tf.constant(0), p, p))
    return positions.map(packed, tf.data.AUTOTUNE, deterministic=True), count


def _streamed(
    function: Callable, reader: Callable, config: Config, training: bool, start_epoch: int
) -> tf.data.Dataset:
    """(epoch, position, packed record) of what a function gives, which is called for each epoch."""
    epochs = itertools.count(start_epoch)
    least = _batch_size(config, True) if training else 1
    name = f"The function {getattr(function, '__name__', type(function).__name__)}"

    def epoch_of_examples():
        epoch, limit = next(epochs) if training else 0, config.data.limit

        @guarded
        def begun() -> Iterator[Example]:
            with _told(name):
                return iter(function())

        @guarded
        def following(iterator: Iterator[Example], position: int) -> Optional[bytes]:
            with _told(f"{name} at example {position}"):
                example = next(iterator, None) if limit is None or position < limit else None
            if example is None and position < least:
                few = f"gives {position} examples an epoch; wanted at least {least}, one batch"
                raise InputError(f"{name} {few}.")
            return None if example is None else reader(example, position)

        iterator = begun()
        for position in itertools.count():
            record = following(iterator, position)
            if record is None:
                return
            yield epoch, position, record

    signature = [tf.TensorSpec([], dtype) for dtype in (tf.int32, tf.int64, tf.string)]
    return tf.data.Dataset.from_generator(epoch_of_examples, output_signature=tuple(signature))


@contextlib.contextmanager
def _told(where: str):
    """A context in which an error of the user's own code becomes a sentence that says where."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{where} failed: {type(error).__name__}: {reason}.") from error


def _function(examples: Any) -> Callable:
    if callable(examples):
        return examples
    if hasattr(examples, "__next__"):
        raise InputError(
            f"examples is {quoted(examples)}, which can be gone through once; give the function "
            "that makes it, without calling it."
        )
    raise InputError(
        f"examples is {quoted(examples)}; wanted a function that gives the examples of an epoch, "
        "or something with a length and examples by their index."
    )


def _check_settings(config: Config) -> None:
    wrong: Dict[str, bool] = {
        "data.repeat_threshold": config.data.repeat_threshold is not None,
        "augment.copy_paste": config.data.augment.copy_paste > 0,
    }
    for name, is_set in wrong.items():
        if is_set:
            raise InputError(
                f"{name} must know all images beforehand, which from_generator does not; use "
                "from_arrays or from_coco."
            )
