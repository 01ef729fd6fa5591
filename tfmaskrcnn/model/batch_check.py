"""Whether batches that others made are what the model learns from; what is wrong is a sentence.

The keys, dtypes and shapes are known without a batch. The values of the first batch are looked at
while the data set gives it, outside of the graph that trains, so that no step takes longer.
"""

from typing import Any, Dict, Iterator, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf

from tfmaskrcnn.config.model import ModelConfig
from tfmaskrcnn.errors import InputError, marked
from tfmaskrcnn.model.batch_values import check_values
from tfmaskrcnn.ops.limits import GT_MASK_SIDE

_HINT = "`mr.data.from_arrays` and `from_generator` make batches of plain arrays."
_STRIDE = 32  # of the deepest features that are merged with finer ones, pixels
# What values are looked at in; the image is the largest of them.
_LOOKED_AT = ("image", "size", "gt_boxes", "gt_classes", "gt_valid", "gt_masks")
_ROWS = 32  # of arrays that hold a whole set


class _Part(NamedTuple):
    """What one key of a batch holds."""

    dtypes: Tuple[str, ...]  # any of them; the first is told
    shape: Tuple[Optional[int], ...]  # None for any number
    told: str  # the shape in letters


class BatchCheck:
    """Looks at what `fit`, `evaluate`, `train_on_batch` and `test_on_batch` are given."""

    def __init__(self, config: ModelConfig):
        self._config = config
        self._parts = _parts_of(config)
        self._looked_at = [key for key in _LOOKED_AT if key in self._parts]
        self._values_seen = False

    def of_data(self, x: Any) -> Any:
        """`x` as `fit` takes it, whose first batch will be looked at when it is there.

        Args:
            x: a data set, a dictionary of arrays, a Python generator, or something with a length
                and batches by their index; anything else is given back as it is.

        Raises:
            InputError: what is known of its batches now is wrong.
        """
        if isinstance(x, tf.data.Dataset):
            return self._of_dataset(x)
        if isinstance(x, Mapping):
            self._check({key: v[:_ROWS] if _side(v, 0) else v for key, v in x.items()})
        elif isinstance(x, Iterator):
            return self._of_iterator(x)
        elif hasattr(x, "__getitem__") and hasattr(x, "__len__") and not hasattr(x, "shape"):
            self._check(x[0] if len(x) else None)
        return x

    def of_batch(self, batch: Any) -> None:
        """Look at a batch itself; at the values of the first one alone."""
        batch = _dict_of(batch)
        if not isinstance(batch, Mapping):
            return
        self.check_form(batch)
        if not self._values_seen:
            self._check_values(batch)
            self._values_seen = True

    def check_form(self, batch: Mapping) -> None:
        """Raise an `InputError` unless a batch, or what is known of it, has the right form."""
        missing = [key for key in self._parts if key not in batch]
        if missing:
            has = ", ".join(map(str, batch)) or "nothing"
            raise InputError(f"The batch has no {', '.join(missing)}, but {has}. {_HINT}")
        for key, part in self._parts.items():
            _check_part(key, batch[key], part)
        for what, axis, keys in (
            ("parts of different lengths", 0, self._parts),
            ("different numbers of objects", 1, [k for k in self._parts if k.startswith("gt_")]),
        ):
            counts = {key: _side(batch[key], axis) for key in keys}
            if len(set(counts.values()) - {None}) > 1:
                told = ", ".join(f"{key} {n}" for key, n in counts.items() if n is not None)
                raise InputError(f"The batch has {what}: {told}. {_HINT}")
        for axis in (1, 2):
            _check_side(_side(batch["image"], axis))

    def _check(self, batch: Any) -> None:
        batch = _dict_of(batch)
        if isinstance(batch, Mapping):
            self.check_form(batch)
            self._check_values(batch)

    def _check_values(self, batch: Mapping) -> None:
        values = {key: np.asarray(batch[key]) for key in self._looked_at}
        for side in values["image"].shape[1:3]:
            _check_side(side)
        try:
            check_values(values, self._config)
        except InputError as error:
            raise InputError(f"The first batch: {error} {_HINT}") from None

    def _of_dataset(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        spec = _dict_of(dataset.element_spec)
        if not isinstance(spec, Mapping) or not all(hasattr(s, "shape") for s in spec.values()):
            return dataset
        self.check_form(spec)
        if getattr(dataset, "made_right", False):
            return dataset
        looked_at = dataset.enumerate().map(self._looking())
        names = getattr(dataset, "image_names", None)
        if names is not None:
            looked_at.image_names = names
        return looked_at

    def _looking(self):
        keys = self._looked_at

        def look(*values) -> np.ndarray:
            try:
                self._check_values(dict(zip(keys, values)))
            except InputError as error:
                raise marked(error) from None
            return np.bool_(True)

        @tf.autograph.experimental.do_not_convert
        def looking(number, element):
            batch = _dict_of(element)
            seen = tf.cond(
                number == 0,
                lambda: tf.numpy_function(look, [batch[key] for key in keys], tf.bool),
                lambda: tf.constant(True),
            )
            with tf.control_dependencies([seen]):
                return tf.nest.map_structure(tf.identity, element)

        return looking

    def _of_iterator(self, x: Iterator) -> Iterator:
        first = next(x, None)
        if first is None:
            return x
        self._check(first)

        def all_of_them():
            yield first
            yield from x

        return all_of_them()


def _parts_of(config: ModelConfig) -> Dict[str, _Part]:
    """What a batch must have."""
    channels, keypoints = config.input.channels, config.keypoint_head
    parts = {
        "image": _Part(("float32",), (None, None, None, channels), f"[B, H, W, {channels}]"),
        "size": _Part(("float32",), (None, 2), "[B, 2]"),
        "image_id": _Part(("int64", "int32"), (None,), "[B]"),
        "gt_boxes": _Part(("float32",), (None, None, 4), "[B, G, 4]"),
        "gt_classes": _Part(("int32",), (None, None), "[B, G]"),
        "gt_valid": _Part(("bool",), (None, None), "[B, G]"),
        "gt_crowd": _Part(("bool",), (None, None), "[B, G]"),
    }
    if config.mask_head.enabled:
        m = GT_MASK_SIDE
        parts["gt_masks"] = _Part(("uint8",), (None, None, m, m), f"[B, G, {m}, {m}]")
    if keypoints.enabled:
        j = keypoints.num_keypoints
        parts["gt_keypoints"] = _Part(("float32",), (None, None, j, 3), f"[B, G, {j}, 3]")
    return parts


def _check_part(key: str, value: Any, part: _Part) -> None:
    shape, dtype = _shape(value), type(value).__name__
    if hasattr(value, "dtype"):
        ragged = isinstance(value, (tf.RaggedTensor, tf.RaggedTensorSpec))
        dtype = "ragged " * ragged + tf.as_dtype(value.dtype).name
    pairs = () if shape is None else zip(shape, part.shape)
    fits = shape is None or len(shape) == len(part.shape)
    fits = fits and all(None in pair or pair[0] == pair[1] for pair in pairs)
    if dtype in part.dtypes and fits:
        return
    sides = ", ".join("?" if n is None else str(n) for n in shape or ())
    hint = ""
    if key == "gt_masks" and not fits:
        hint = ": of each object what its box shows, resampled, and not the whole image"
    if key == "image" and dtype != "float32":
        hint = ", normalised by input.mean and input.std"
    wanted = f"{part.dtypes[0]} {part.told}{hint}"
    raise InputError(f"The batch's {key} is {dtype} [{sides}]; wanted {wanted}. {_HINT}")


def _check_side(side: Optional[int]) -> None:
    if side is not None and side % _STRIDE:
        raise InputError(
            f"The batch's image has a side of {side} pixels; wanted multiples of {_STRIDE}: pad it "
            f"with zeros below and to the right. {_HINT}"
        )


def _shape(value: Any) -> Optional[Sequence[Optional[int]]]:
    """Sides of an array, a tensor or a spec, None where one is not known; None without a rank."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tf.TensorShape):
        return None if shape.rank is None else shape.as_list()
    return np.shape(value) if shape is None else shape


def _side(value: Any, axis: int) -> Optional[int]:
    shape = _shape(value)
    return shape[axis] if shape is not None and len(shape) > axis else None


def _dict_of(element: Any) -> Any:
    """The dictionary of a batch that is alone in a tuple, as Keras takes it."""
    return element[0] if isinstance(element, (tuple, list)) and len(element) else element
