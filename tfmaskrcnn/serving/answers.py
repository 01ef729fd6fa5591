"""What a server answers: `Instances`, or a sentence."""

import json
import re
from typing import Any, Dict, List, Mapping, Tuple, Union

import numpy as np

from tfmaskrcnn.errors import InputError, one_line, quoted
from tfmaskrcnn.inference.exported import OUTPUTS, image_errors, served_instances
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.support.files import read_json

# Of JSON; full-size bitmaps of a photograph take a tenth of it.
MAX_ANSWER = 2**30
MAX_SIDE = 2**16  # of an image that a server tells
_WANTED = (*OUTPUTS, "image_size")
REFUSED = (400, "INVALID_ARGUMENT")  # codes of a request that is wrong itself


class ServingError(Exception):
    """The server's own sentence, with the HTTP status or the name of the gRPC code as `code`."""

    def __init__(self, message: str, code: Union[int, str, None] = None):
        super().__init__(message)
        self.code = code


def instances_of(
    outputs: Mapping[str, Any], count: int, model: str, labels: Mapping[str, Any]
) -> List[Instances]:
    """The instances of `count` images.

    Args:
        outputs: of the server, by name.
        count: of the images that were sent.
        model: its name on the server.
        labels: of `served_instances`.

    Raises:
        ServingError: the model has reported an error, or is no exported model of this package.
    """
    missing = [name for name in _WANTED if name not in outputs]
    if missing:
        raise ServingError(
            f"the model {model!r} gives no {missing[0]} but {quoted(sorted(outputs), 120)}; wanted "
            "one that `tfmaskrcnn export` has made"
        )
    errors = image_errors(outputs)
    if errors:
        raise ServingError(one_line(" ".join(errors), 900), REFUSED[1])
    try:
        if len(outputs["num_detections"]) != count:
            raise ValueError(f"{len(outputs['num_detections'])} images, {count} were sent")
        return [_instances(outputs, i, labels) for i in range(count)]
    except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        reason = quoted(str(error), 150)
        raise ServingError(
            f"the model {model!r} gives outputs of other shapes than an exported model: {reason}"
        ) from None


def rest_outputs(body: bytes, url: str) -> Dict[str, List]:
    """Outputs by name, of the rows of TF Serving's JSON.

    Raises:
        ServingError: it is something else.
    """
    try:
        rows = json.loads(body)["predictions"]
        return {key: [row[key] for row in rows] for key in rows[0]}
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        raise ServingError(
            f"{url} answers with no predictions of TF Serving but {_start(body)}"
        ) from None


def rest_message(body: bytes, status: int) -> str:
    """The sentence of an HTTP error."""
    try:
        text = json.loads(body)["error"]
        text = one_line(sentence_of(text) if isinstance(text, str) else quoted(text), 900)
    except (ValueError, KeyError, TypeError, RecursionError):
        text = ""
    if text:
        return text
    text = one_line(body[:200].decode(errors="replace"))
    return f"HTTP status {status}{': ' if text else ''}{text}"


def sentence_of(message: str) -> str:
    """What the model says of bad images, without what TensorFlow writes around it."""
    found = re.search(r"assertion failed: \[(.*?)\]", message or "", re.DOTALL)
    return found.group(1) if found else message


def labels_of(path: str) -> Tuple[Dict[str, Any], int]:
    """What `served_instances` wants to know of a `config.json`, and the model's channels."""
    config = read_json(path)
    try:
        names, rule = config.get("class_names", ()), config.get("mask_head", {}).get("paste_rule")
        channels = config.get("input", {}).get("channels", 3)
        good = all(isinstance(name, str) for name in names) and isinstance(channels, int)
    except (AttributeError, TypeError):
        good = False
    if not good:
        raise InputError(f"{path} is no assets/config.json of an exported model.")
    return {"class_names": tuple(names), "paste_rule": rule or "aligned"}, channels


def _instances(outputs, i: int, labels) -> Instances:
    size = [int(side) for side in outputs["image_size"][i]]
    if len(size) != 2 or not all(0 < side <= MAX_SIDE for side in size):
        raise ValueError(f"an image of the size {size}")
    found = served_instances(outputs, i, **labels)
    if len(found) != int(outputs["num_detections"][i]) or len(found) < 0:
        raise ValueError(f"{outputs['num_detections'][i]} detections, {len(found)} boxes")
    if not (np.isfinite(found.boxes).all() and np.isfinite(found.scores).all()):
        raise ValueError("boxes or scores that are no numbers")
    return found


def _start(body: bytes) -> str:
    text = body[:100].decode(errors="replace").strip()
    return quoted(text, 120) if text else "nothing"
