"""Reads the weights of a Keras 2 model from HDF5 (`save_weights("x.h5")`, `save("x.h5")`)."""

import math
import os
from typing import Any, Dict, List

import numpy as np

from tfmaskrcnn.errors import InputError, quoted

# Where `Model.save` puts the weights, beside the optimizer's.
_WHOLE_MODEL = "model_weights"
# Bytes that the arrays may have beyond the file's: weights hardly compress, so a file that
# announces much more than it holds is damaged, or made to fill the memory.
_ROOM, _SMALL = 4, 1 << 20
# HDF5's own ways to pack: deflate, shuffle, checksums, szip. Others are programs that it would
# look for and load.
_FILTERS = (1, 2, 3, 4)


def read_keras_h5(path: str) -> Dict[str, np.ndarray]:
    """The weights by "<layer>/<variable>:0", whichever models the layers are nested in.

    Raises:
        InputError: the file is missing, damaged, something else, or refers to other files.
    """
    import h5py  # slow to load, and only this needs it

    path = os.fspath(path)
    if not os.path.exists(path):
        raise InputError(f"There is no checkpoint file {path}.")
    if not os.path.isfile(path) and not os.path.isdir(path):
        raise InputError(f"{path} is no regular file.")
    try:
        with h5py.File(path, "r") as file:
            # A link may lead to another file, which nobody named.
            inside = isinstance(file.get(_WHOLE_MODEL, getlink=True), h5py.HardLink)
            group = file[_WHOLE_MODEL] if inside else file
            if not isinstance(group, h5py.Group):
                raise ValueError(f"{_WHOLE_MODEL} in it is no group")
            datasets = _datasets(group, os.path.getsize(path))
            arrays = {name: dataset[()] for name, dataset in datasets.items()}
    except Exception as error:  # of a broken file, h5py raises half a dozen kinds
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        reason = reason.encode("utf-8", "backslashreplace").decode()
        raise InputError(
            f"{path} is damaged or is no Keras weights file (.h5): {reason.rstrip('.')}."
        ) from None
    if not arrays:
        raise InputError(f"{path} holds no weights; a file of Keras's save_weights is wanted.")
    return arrays


def _datasets(group, file_size: int) -> Dict[str, Any]:
    """The `h5py.Dataset` of each weight, after a check that reading them is safe."""
    import h5py

    by_path: Dict[str, h5py.Dataset] = {}

    def visit(path, item):  # called for what is in this file; links to others are left out
        if isinstance(item, h5py.Dataset):
            by_path[path] = item

    group.visititems(visit)
    for path, item in by_path.items():
        if item.is_virtual or item.external:
            raise ValueError(f"{quoted(path)[1:-1]} lies in another file")
        if item.dtype.kind != "f":
            raise ValueError(f"{quoted(path)[1:-1]} is of type {item.dtype}, weights are floats")
        if any(number not in _FILTERS for number in _filters(item)):
            raise ValueError(f"{quoted(path)} is packed by a program that is not HDF5's own")
    total = sum(item.size * item.dtype.itemsize for item in by_path.values())
    # A chunk is unpacked as a whole, also for a single number.
    chunks = max((_chunk_bytes(item) for item in by_path.values()), default=0)
    if max(total, chunks) > _ROOM * file_size + _SMALL:
        raise ValueError(f"it announces {max(total, chunks)} bytes of weights and has {file_size}")
    return _by_layer(by_path)


def _filters(dataset) -> List[int]:
    properties = dataset.id.get_create_plist()
    return [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]


def _chunk_bytes(dataset) -> int:
    return math.prod(dataset.chunks or ()) * dataset.dtype.itemsize


def _by_layer(by_path: Dict[str, Any]) -> Dict[str, Any]:
    """Values under "<layer>/<variable>:0" instead of their paths in the file.

    The outermost group is a layer, "conv1/conv1_1/kernel:0", whose inner name may carry a number of
    Keras's own, or a model of several layers, "rpn_model/rpn_class_raw/kernel:0".
    """
    parts = {path: path.split("/") for path in by_path}
    layers_in: Dict[str, set] = {}
    for names in parts.values():
        layers_in.setdefault(names[0], set()).add(tuple(names[:-1]))
    named: Dict[str, Any] = {}
    for path, names in parts.items():
        is_layer = len(layers_in[names[0]]) == 1
        name = "/".join([names[0] if is_layer else names[-2], names[-1]])
        if name in named:
            raise ValueError(f"it holds {name} twice")
        named[name] = by_path[path]
    return named
