"""A model's weights as one flat file, keyed by attribute path, the same on Keras 2 and Keras 3.

Keras' own formats are not: `.weights.h5` and `.keras` fail or lose names across the two, and
`tf.train.Checkpoint` silently leaves out the layers that Keras 3 holds in lists.
"""

import os
import re
from typing import Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import keras
import numpy as np
import tensorflow as tf

from tfmaskrcnn import compat
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support.array_files import ArrayHeader, read_arrays
from tfmaskrcnn.support.files import save_arrays
from tfmaskrcnn.support.given import A_PATH, A_PATH_OR_ARRAYS, takes

# Layers whose last axis counts classes, and the classes that a length of it can stand for.
_CLASSES_OF_LENGTH = {
    "box_head/class_logits": (lambda length: length - 1,),  # one is background
    "box_head/box_deltas": (lambda length: length / 4,),
    "mask_head/logits": (lambda length: length, lambda length: length - 1),  # or with background
}
# For `skip`: everything that depends on the number of classes.
CLASS_LAYERS = tuple(_CLASSES_OF_LENGTH)
_SHOWN = 3  # names of each kind in an error message


@takes(model=keras.layers.Layer)
def named_weights(model: keras.layers.Layer) -> Dict[str, object]:
    """The variables of a built layer or model by attribute path, in alphabetical order.

    Attributes and list positions down to the layer that owns the variable, then the variable's
    short name: "backbone/res2/0/conv1/kernel". Metrics and the optimizer are left out. A layer
    that several attributes hold goes by the first.

    Raises:
        ValueError: two variables have the same name. Layers in private attributes are not walked
            into: their variables count as their owner's, under the short names.
    """
    named: Dict[str, object] = {}
    _collect(model, "", named, set())
    # The two versions of Keras disagree on the order of attributes that are set twice.
    return dict(sorted(named.items()))


def _collect(layer, prefix: str, named: Dict[str, object], seen: set) -> None:
    if id(layer) in seen:
        return
    seen.add(id(layer))
    children = list(_children(layer))
    below = {id(variable) for _, child in children for variable in child.weights}
    for variable in _weights_without_metrics(layer):
        if id(variable) in below:
            continue
        # Keras 2 says "a/b/kernel:0", or "kernel:0" where build was called by hand.
        name = prefix + variable.name.split("/")[-1].split(":")[0]
        if name in named:
            raise ValueError(f"two variables are named {name}")
        named[name] = variable
    for attribute, child in children:
        _collect(child, f"{prefix}{attribute}/", named, seen)


def named_layers(model: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """A layer and all below it that `named_weights` walks through, each before those within it."""
    seen, waiting = set(), [model]
    while waiting:
        layer = waiting.pop()
        if id(layer) not in seen:
            seen.add(id(layer))
            yield layer
            waiting += [child for _, child in _children(layer)]


def _children(layer) -> Iterator[Tuple[str, keras.layers.Layer]]:
    if compat.is_functional(layer):
        yield from _graph_children(layer)
        return
    for attribute, value in vars(layer).items():
        if attribute.startswith("_"):
            continue
        if isinstance(value, (list, tuple)):
            items = [(f"{attribute}/{i}", item) for i, item in enumerate(value)]
        elif isinstance(value, dict):  # Keras 2 wraps it so that it is no typing.Mapping
            items = [(f"{attribute}/{key}", item) for key, item in value.items()]
        else:
            items = [(attribute, value)]
        for path, item in items:
            # In Keras 2 a metric is a layer.
            if isinstance(item, keras.layers.Layer) and not isinstance(item, keras.metrics.Metric):
                yield path, item


def _graph_children(model: keras.Model) -> Iterator[Tuple[str, keras.layers.Layer]]:
    """The layers of a graph by name; those that Keras named are counted anew within the model.

    Keras names a layer without a name by its class and by how many of the class the process has
    made, so "conv2d_7" is the model's first, "conv2d_0", if seven were made before.
    """
    made: Dict[str, List[Tuple[int, object]]] = {}
    for layer in model.layers:
        kind = compat.automatic_name(type(layer).__name__)
        match = re.fullmatch(rf"{kind}(?:_(\d+))?", layer.name)
        if match:
            made.setdefault(kind, []).append((int(match.group(1) or 0), layer))
        else:
            yield layer.name.replace("/", "_"), layer  # Keras 3 has no "/" in names
    for kind, layers in made.items():
        for i, (_, layer) in enumerate(sorted(layers, key=lambda pair: pair[0])):
            yield f"{kind}_{i}", layer


def _weights_without_metrics(layer) -> List[object]:
    """Keras 2 counts the metrics among a model's weights."""
    metrics = layer.metrics if isinstance(layer, keras.Model) else ()
    excluded = {id(variable) for metric in metrics for variable in metric.variables}
    return [variable for variable in layer.weights if id(variable) not in excluded]


@takes(model=keras.layers.Layer, path=A_PATH)
def save_weights(model: keras.layers.Layer, path: str) -> None:
    """Write all weights to `path` as float32 arrays of an `.npz`.

    The file appears whole or not at all: whoever reads `path` meanwhile, or after a crash, finds
    the former one.
    """
    arrays = {name: np.asarray(v.numpy(), np.float32) for name, v in named_weights(model).items()}
    save_arrays(path, arrays)


@takes(path=A_PATH)
def read_weights(
    path: str, check: Optional[Callable[[Mapping[str, ArrayHeader]], None]] = None
) -> Dict[str, np.ndarray]:
    """The arrays of a file that `save_weights` wrote, by name.

    Args:
        path: of the file.
        check: see `array_files.read_arrays`; may raise `InputError` before arrays are read.

    Raises:
        InputError: the file is missing, damaged, or would unpack into far more than it has.
    """
    path = os.fspath(path)
    try:
        return read_arrays(path, check)
    except FileNotFoundError:
        raise InputError(f"There is no weights file {path}.") from None
    except InputError:
        raise
    except ValueError as error:
        raise InputError(
            f"{path} is damaged or is no weights file of tfmaskrcnn (.npz): {error}."
        ) from None


@takes(model=keras.layers.Layer, source=A_PATH_OR_ARRAYS)
def load_weights(
    model: keras.layers.Layer,
    source: Union[str, Mapping[str, np.ndarray]],
    skip: Sequence[str] = (),
) -> None:
    """Set all weights of a built model; either all of them are set or, on an error, none.

    Args:
        model: a built layer or model.
        source: a file that `save_weights` wrote, or its arrays by name.
        skip: layers to leave as they are, whether the file has them or not: names or their
            beginnings at a "/", such as `CLASS_LAYERS` for another set of classes.

    Raises:
        InputError: the file cannot be read, or it lacks weights, has others, of other shapes, or
            such as are not finite.
    """
    variables = named_weights(model)
    if not variables:
        raise InputError(f"{model.name} has no weights; build it before loading any.")
    from_file = isinstance(source, (str, os.PathLike))
    what = os.fspath(source) if from_file else "The given dictionary"
    skipped = tuple(f"{name.rstrip('/')}/" for name in skip)
    variables = {name: v for name, v in variables.items() if not f"{name}/".startswith(skipped)}

    def check(arrays: Mapping[str, Union[ArrayHeader, np.ndarray]]) -> None:
        kept = {name: a for name, a in arrays.items() if not f"{name}/".startswith(skipped)}
        _check(what, kept, variables)

    if from_file:
        arrays = read_weights(source, check)
    else:
        arrays = {name: np.asarray(array) for name, array in source.items()}
        check(arrays)
    spoilt = [name for name in variables if not np.isfinite(arrays[name]).all()]
    if spoilt:
        raise InputError(f"{what}: {spoilt[0]} holds numbers that are infinite or NaN.")
    for name, variable in variables.items():
        # Not by `variable.numpy()`: of many workers it would wait for the others.
        variable.assign(arrays[name].astype(tf.as_dtype(variable.dtype).as_numpy_dtype))


def _check(
    what: str,
    arrays: Mapping[str, Union[ArrayHeader, np.ndarray]],
    variables: Mapping[str, object],
) -> None:
    shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
    missing = [name for name in shapes if name not in arrays]
    unexpected = [name for name in arrays if name not in shapes]
    common = [name for name in shapes if name in arrays]
    not_float = [name for name in common if arrays[name].dtype.kind != "f"]
    if not_float:
        dtype = arrays[not_float[0]].dtype
        raise InputError(f"{what}: {not_float[0]} is of type {dtype}, weights must be float32.")
    wrong = {n: (arrays[n].shape, shapes[n]) for n in common if arrays[n].shape != shapes[n]}
    if wrong and not missing and not unexpected:
        counts = _class_counts(wrong)
        if counts:
            raise InputError(
                f"{what} holds {counts[0]} classes, the model has {counts[1]}; set num_classes to "
                f"{counts[0]}, or load all but the layers that depend on it: {CLASS_LAYERS}."
            )
    explained = [f"{n} is {quoted(found)}, wanted {wanted}" for n, (found, wanted) in wrong.items()]
    parts = [("missing", missing), ("unexpected", unexpected), ("of another shape", explained)]
    if any(names for _, names in parts):
        text = "; ".join(_listed(kind, names) for kind, names in parts if names)
        raise InputError(f"{what} does not fit the model: {text}.")


def _class_counts(wrong: Mapping[str, Tuple[tuple, tuple]]) -> Optional[Tuple[int, int]]:
    """The file's and the model's number of classes, if nothing else explains the wrong shapes."""
    counts = None
    for name, (found, wanted) in wrong.items():
        of_length = [c for layer, c in _CLASSES_OF_LENGTH.items() if f"{layer}/" in name]
        if not of_length or not found or found[:-1] != wanted[:-1]:
            return None
        possible = {(count(found[-1]), count(wanted[-1])) for count in of_length[0]}
        counts = possible if counts is None else counts & possible
    if len(counts) != 1 or any(number != int(number) for pair in counts for number in pair):
        return None
    found, wanted = counts.pop()
    return int(found), int(wanted)


def _listed(kind: str, names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    shown = (quoted(name, 200).strip("'\"") for name in names[:_SHOWN])
    return f"{len(names)} {kind} ({', '.join(shown)}{more})"
