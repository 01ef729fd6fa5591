"""What people hand to the public functions, looked at before it is used.

A `None` from a variable that was never set, or a list where a path is wanted, would end in an
AttributeError some calls further down; `takes` says it at the door, in a sentence.
"""

import functools
import inspect
import numbers
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Callable, List, NamedTuple, Union

from tfmaskrcnn.errors import InputError, quoted


class Kind(NamedTuple):
    """What an argument may be."""

    fits: Callable[[Any], bool]
    words: str  # for the message, after "wanted"


def _is_path(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike)) and isinstance(os.fspath(value), str)


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _are_texts(value: Any) -> bool:
    several = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
    return several and all(isinstance(text, str) for text in value)


def _are_paths(value: Any) -> bool:
    several = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
    return several and all(map(_is_path, value))


_IMAGES = Kind(lambda value: isinstance(value, Iterable), "a list of images")
A_PATH = Kind(lambda value: _is_path(value) and os.fspath(value) != "", "a path")
A_FOLDER = Kind(_is_path, "the path of a folder")  # "" is the current one
A_TEXT = Kind(lambda value: isinstance(value, str), "a text")
TEXTS = Kind(_are_texts, "a list of texts")
PATHS = Kind(_are_paths, "a list of paths")
A_COUNT = Kind(lambda value: _is_whole(value) and value > 0, "a whole number above 0")


def _kind(kind: Union[Kind, type]) -> Kind:
    if isinstance(kind, Kind):
        return kind
    article = "an" if kind.__name__[0] in "AEIO" else "a"
    return Kind(lambda value: isinstance(value, kind), f"{article} {kind.__name__}")


def one_of(*kinds: Union[Kind, type]) -> Kind:
    """An argument of any of several kinds."""
    known = [_kind(kind) for kind in kinds]
    words = " or ".join(kind.words for kind in known)
    return Kind(lambda value: any(kind.fits(value) for kind in known), words)


A_PATH_OR_ARRAYS = one_of(A_PATH, Kind(lambda v: isinstance(v, Mapping), "a mapping of arrays"))


def path_text(value: Any, what: str) -> str:
    """A path as text.

    Args:
        value: what somebody gave for one.
        what: it is, for the message: "json_path".

    Raises:
        InputError: it is no path, or empty.
    """
    check(value, what, A_PATH)
    return os.fspath(value)


def check(value: Any, what: str, kind: Union[Kind, type]) -> None:
    """Refuse a `value` of another kind; `what` names it in the message.

    Raises:
        InputError: it is of another kind.
    """
    kind = _kind(kind)
    if not kind.fits(value):
        raise InputError(f"{what} is {quoted(value)}; wanted {kind.words}.")


def check_image(image: Any, what: str, channels: int = 3) -> None:
    """Raise an `InputError` that names `what` unless `image` is a uint8 [H, W, channels] array."""
    shape, dtype = getattr(image, "shape", None), getattr(image, "dtype", type(image).__name__)
    if shape is None or len(shape) != 3 or shape[2] != channels or dtype != "uint8" or 0 in shape:
        raise InputError(
            f"{what} must be a uint8 array [height, width, {channels}], found {dtype} {shape}."
        )


def checked_images(images: Any, batch_size: Any, channels: int = 3) -> List[Any]:
    """What `predict_images` was given, as a list.

    Raises:
        InputError: it is one image, or none are; an image or the batch size is of another kind.
    """
    if getattr(images, "ndim", None) == 3:
        raise InputError("predict_images takes a list of images; put the one image in a list.")
    check(images, "predict_images: images", _IMAGES)
    check(batch_size, "predict_images: batch_size", A_COUNT)
    images = list(images)
    for i, image in enumerate(images):
        check_image(image, f"Image {i}", channels)
    return images


def takes(**kinds: Union[Kind, type]):
    """A decorator that checks arguments by name; one that has its default is not looked at."""

    def decorated(function):
        parameters = inspect.signature(function).parameters

        @functools.wraps(function)
        def checked(*args, **kwargs):
            given = {**dict(zip(parameters, args)), **kwargs}
            for name, kind in kinds.items():
                if name in given and given[name] is not parameters[name].default:
                    check(given[name], f"{function.__name__}: {name}", kind)
            return function(*args, **kwargs)

        return checked

    return decorated
