"""The network that a file holds, as a function of arrays, whatever runs it."""

import os
from typing import Callable, Dict, NamedTuple, Sequence, Tuple

import numpy as np

from tfmaskrcnn.errors import InputError

# From arrays by name to arrays by name.
Run = Callable[[Dict[str, np.ndarray]], Dict[str, np.ndarray]]
Shape = Tuple[int, ...]
_LONGEST = 200  # characters of another library's reason


class Loaded(NamedTuple):
    """What a runtime has made of a file, whatever it holds."""

    inputs: Dict[str, Shape]  # name -> shape
    outputs: Sequence[str]
    run: Run  # takes of the arrays that it is given those that are inputs


class FileNetwork(NamedTuple):
    """A file's signature `network`: called with images and sizes it gives the served outputs."""

    path: str
    shape: Shape  # (B, H, W, C) of `images`
    run: Run

    def __call__(self, images: np.ndarray, sizes: np.ndarray) -> Dict[str, np.ndarray]:
        """The outputs by name.

        Args:
            images: [B, H, W, C] float32, preprocessed.
            sizes: [B, 2] float32, (height, width) of each without the padding.

        Raises:
            InputError: they are of another shape than the file takes.
        """
        return self.run(ready_inputs(images, sizes, self.shape, self.path))


def ready_inputs(images, sizes, shape: Shape, path: str) -> Dict[str, np.ndarray]:
    """Both inputs as float32 arrays, after a check against the `shape` that the file takes."""
    images, sizes = np.asarray(images, np.float32), np.asarray(sizes, np.float32)
    if images.shape != tuple(shape) or sizes.shape != (shape[0], 2):
        raise InputError(
            f"{path} takes images {list(shape)} and sizes [{shape[0]}, 2], found "
            f"{list(images.shape)} and {list(sizes.shape)}."
        )
    return {"images": images, "sizes": sizes}


def existing(path: str) -> str:
    """`path` as text.

    Raises:
        InputError: there is no such file.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise InputError(f"There is no file {path}.")
    return path


def unloadable(path: str, runtime: str, error: Exception) -> InputError:
    """The sentence about a file that a runtime does not take."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:_LONGEST]
    return InputError(f"{path} is no model that {runtime} can load: {reason}")
