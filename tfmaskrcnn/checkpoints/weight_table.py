"""Tables from other frameworks' weight names to ours, and what their arrays need on the way."""

import re
from typing import Callable, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Tuple, Union

import numpy as np

from tfmaskrcnn.errors import InputError, quoted

_GROUP_NORM_VECTORS = (("gamma", "weight"), ("beta", "bias"))
_BATCH_NORM_VECTORS = (
    *_GROUP_NORM_VECTORS,
    ("moving_mean", "running_mean"),
    ("moving_variance", "running_var"),
)
# PyTorch's count beside each batch normalisation, no weight, ends in this.
COUNTER = ".num_batches_tracked"
_DY_DX_DH_DW = (1, 0, 3, 2)  # of (dx, dy, dw, dh)
_SHOWN = 5  # names of each kind in an error message


class Weight(NamedTuple):
    """One row of a table."""

    ours: str  # attribute path
    theirs: Union[str, Tuple[str, ...]]  # the arrays that it is made of
    convert: Callable[..., np.ndarray]

    @property
    def names(self) -> Tuple[str, ...]:
        """`theirs` as a tuple."""
        return (self.theirs,) if isinstance(self.theirs, str) else self.theirs


def converted(
    tensors: Mapping[str, np.ndarray], table: Iterable[Weight], what: str
) -> Dict[str, np.ndarray]:
    """Weights by our attribute paths, in TensorFlow's axis order.

    Args:
        tensors: the checkpoint's arrays by name.
        table: a row for each weight of the model.
        what: the file, and what it should be, for messages.

    Raises:
        InputError: weights are missing or there are others; they are listed.
    """
    table = list(table)
    used = dict.fromkeys(name for row in table for name in row.names)
    missing = [name for name in used if name not in tensors]
    unused = [name for name in tensors if name not in used]
    if missing or unused:
        raise InputError(f"{what}: {_listed('missing', missing)}; {_listed('not used', unused)}.")
    return {row.ours: row.convert(*(np.asarray(tensors[n]) for n in row.names)) for row in table}


def count(tensors: Mapping[str, np.ndarray], pattern: str) -> int:
    """How many different numbers `pattern`'s group finds at the start of the names."""
    return len({m.group(1) for m in (re.match(pattern, name) for name in tensors) if m})


def norm_of(tensors: Mapping[str, np.ndarray], norm: str) -> str:
    """The kind of the norm whose names begin with `norm`: "none", "bn" or "gn"."""
    if f"{norm}weight" not in tensors:
        return "none"
    return "bn" if f"{norm}running_mean" in tensors else "gn"


def conv_rows(ours: str, conv: str, norm: str, kind: str) -> Iterator[Weight]:
    """A convolution with its norm, or with a bias where `kind` is "none"; see `norm_of`.

    Args:
        ours: attribute path of the layer.
        conv: what their names of kernel and bias begin with, its dot included.
        norm: what their names of the norm's vectors begin with.
        kind: of the norm.
    """
    if kind == "none":
        yield from biased(ours, conv[:-1], kernel_of_conv)
        return
    yield Weight(f"{ours}/kernel", f"{conv}weight", kernel_of_conv)
    for vector, name in _GROUP_NORM_VECTORS if kind == "gn" else _BATCH_NORM_VECTORS:
        yield Weight(f"{ours}/norm/{vector}", f"{norm}{name}", np.asarray)


def biased(ours: str, theirs: str, kernel, rows=np.asarray) -> Iterator[Weight]:
    """Kernel and bias of a layer; `rows` selects among the outputs, PyTorch's first axis."""
    yield Weight(f"{ours}/kernel", f"{theirs}.weight", lambda array: kernel(rows(array)))
    yield Weight(f"{ours}/bias", f"{theirs}.bias", rows)


def kernel_of_conv(array: np.ndarray) -> np.ndarray:
    """OIHW -> HWIO; a transposed convolution's IOHW -> HWOI, which is Keras's order for one."""
    return np.transpose(array, (2, 3, 1, 0))


def kernel_after_flatten(array: np.ndarray) -> np.ndarray:
    """[out, C * S * S] -> [S * S * C, out], S = 7: we flatten with the channels last."""
    out, size = array.shape
    array = np.reshape(array, (out, size // 49, 7, 7))
    return np.reshape(kernel_of_conv(array), (size, out))


def yxhw_rows(array: np.ndarray) -> np.ndarray:
    """[n * 4, ...] (dx, dy, dw, dh) of each anchor or class -> (dy, dx, dh, dw)."""
    by_box = np.reshape(array, (-1, 4, *array.shape[1:]))[:, _DY_DX_DH_DW]
    return np.reshape(by_box, array.shape)


def with_channels(kernel: np.ndarray, channels: int) -> np.ndarray:
    """A first convolution [h, w, C, out] for images of another number of channels.

    One channel gets the sum over the old ones, so that a grey image gives what it gave in all
    channels. More than one repeat the old ones in turn, scaled to keep the sum.
    """
    old = kernel.shape[2]
    if channels == old:
        return kernel
    if channels == 1:
        return kernel.sum(axis=2, keepdims=True)
    return kernel[:, :, np.arange(channels) % old] * np.float32(old / channels)


def _listed(kind: str, names: List[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    shown = (quoted(name, 60).strip("'\"") for name in names[:_SHOWN])
    return f"{len(names)} {kind}" + (f" ({', '.join(shown)}{more})" if names else "")
