"""The one exception a person is meant to read, and how it survives a TensorFlow graph."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Dict, Iterable

if TYPE_CHECKING:  # clients of a server read the messages without TensorFlow
    import tensorflow as tf


class InputError(ValueError):
    """Something given to the program is wrong: a file, a value, an annotation.

    Its message is one or two plain sentences that name the culprit (file, annotation id, config
    key), the value received and the value wanted. The command line prints it without a traceback.
    """


def quoted(value: object, limit: int = 60) -> str:
    """`repr(value)` for a message, cut at `limit` characters; whatever it is, it can be printed.

    Lone surrogates are escaped, and a number too long for Python to write is told by its size.
    """
    try:
        text = repr(value)
    except ValueError:  # Python writes no integer of more than some thousand digits
        text = f"a {type(value).__name__} too long to write"
    except RecursionError:
        text = f"a {type(value).__name__} nested too deep to write"
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= limit else text[: limit - 3] + "..."


def short_path(path: str, limit: int = 200) -> str:
    """A path for a message: its end if it is longer than any that a person would read.

    Characters that cannot be printed, such as the end of a line, are escaped.
    """
    path = path.encode("utf-8", "backslashreplace").decode("utf-8")
    path = "".join(c if c.isprintable() else repr(c)[1:-1] for c in path)
    return path if len(path) <= limit else "..." + path[3 - limit :]


def one_line(text: object, limit: int = 200) -> str:
    """What another program or file says, for a message: on one line, printable, and cut."""
    text = str(text).encode("utf-8", "backslashreplace").decode("utf-8")
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


class NotFinite(InputError):
    """A loss is infinite or not a number."""


# TensorFlow hands an exception from inside a graph on as text with a traceback around it; these
# marks let `explained` find the sentence again.
_OPEN, _CLOSE = "<<tfmaskrcnn ", " tfmaskrcnn>>"
# How TensorFlow says that a worker is gone, while the others wait for it in a sum.
_LOST = "Collective ops is aborted by"
_NOT_FINITE = "tfmaskrcnn loss is not finite; images"


def listed(names: Iterable[object], most: int = 10) -> str:
    """The first of `names` for a message, and dots if there are more than `most`."""
    texts = list(map(str, names))
    return ", ".join(texts[:most]) + (", ..." if len(texts) > most else "")


def marked(error: InputError) -> InputError:
    """`error` with marks around its message, to be raised inside `tf.data`."""
    return InputError(f"{_OPEN}{error}{_CLOSE}")


def assert_finite(loss: tf.Tensor, image_id: tf.Tensor) -> tf.Operation:
    """An op that fails, naming the images, unless `loss` (scalar) is finite; image_id [B] int64."""
    import tensorflow as tf

    return tf.debugging.Assert(
        tf.math.is_finite(loss), [_NOT_FINITE, image_id, "end"], summarize=1000
    )


def explained(error: Exception, image_names: Dict[int, str]) -> Exception:
    """The `InputError` hidden in a TensorFlow error, or `error` itself if there is none.

    Args:
        error: what a graph raised.
        image_names: image id -> file name, for the images of a non-finite loss; ids without a name
            are given as numbers.
    """
    text = str(error)
    found = re.search(re.escape(_OPEN) + "(.*?)" + re.escape(_CLOSE), text, re.DOTALL)
    if found:
        return InputError(found.group(1))
    # A graph says "[...images] [1 2] [end]", eager execution "b'...images'\n1, 2\nb'end'".
    found = re.search(re.escape(_NOT_FINITE) + r"(.*?)\bend\b", text, re.DOTALL)
    if found:
        ids = [int(i) for i in re.findall(r"-?\d+", found.group(1))]
        names = ", ".join(str(image_names.get(i, i)) for i in ids)
        return NotFinite(
            f"The loss is not finite in the batch of images {names}; look at their annotations, or "
            "lower train.learning_rate, lengthen the warm-up or set train.clip_norm."
        )
    if _LOST in text:
        # "/job:worker/replica:0/task:1", of the one that does not answer.
        task = re.search(r"/job:(\w+)(?:/replica:\d+)?/task:(\d+)", text.split(_LOST, 1)[1])
        who = " ".join(task.groups()).capitalize() if task else "Another worker"
        return InputError(
            f"{who} has stopped or cannot be reached, so this one stops too; its own log may say "
            "why. Start all workers again with --resume: they go on from the last state."
        )
    return error
