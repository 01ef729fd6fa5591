"""Tables from other frameworks' weight names to ours, and what their arrays need on the way."""

import re
from typing import Callable, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Tuple, Union

import numpy as np

from tfmaskrcnn.errors import InputError

# Blocks of the four stages and whether they are bottlenecks -> the layers of the ResNet.
DEPTHS = {
    ((2, 2, 2, 2), False): 18,
    ((3, 4, 6, 3), False): 34,
    ((3, 4, 6, 3), True): 50,
    ((3, 4, 23, 3), True): 101,
    ((3, 8, 36, 3), True): 152,
}
_NORM_VECTORS = (
    ("gamma", "weight"),
    ("beta", "bias"),
    ("moving_mean", "running_mean"),
    ("moving_variance", "running_var"),
)
_DY_DX_DH_DW = (1, 0, 3, 2)  # of (dx, dy, dw, dh)
_SHOWN = 5  # names of each kind in an error message


class Architecture(NamedTuple):
    """What a checkpoint tells about its model."""

    depth: int  # layers of the ResNet
    num_classes: int  # K, foreground only
    num_mask_convs: int  # 0 without a mask head
    num_keypoint_convs: int = 0  # 0 without a keypoint head
    num_keypoints: int = 0  # J
    settings: Tuple[str, ...] = ()  # further "key=value" of the configuration


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


def normed(ours: str, conv: str, norm: str) -> Iterator[Weight]:
    """A convolution without bias and its norm."""
    yield Weight(f"{ours}/kernel", f"{conv}.weight", kernel_of_conv)
    for vector, name in _NORM_VECTORS:
        yield Weight(f"{ours}/norm/{vector}", f"{norm}.{name}", np.asarray)


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
    return f"{len(names)} {kind}" + (f" ({', '.join(names[:_SHOWN])}{more})" if names else "")
