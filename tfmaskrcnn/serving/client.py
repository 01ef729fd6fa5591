"""Clients of TF Serving for exported models: images in, `Instances` with NumPy masks out.

    python -m tfmaskrcnn.serving.client photo.jpg --url http://localhost:8501 --model maskrcnn
    python -m tfmaskrcnn.serving.client photo.jpg --grpc localhost:8500 --model maskrcnn

`RestClient` needs NumPy and this package's source (`pip install --no-deps`), not TensorFlow; RLE
masks also pycocotools. `GrpcClient` needs the extra `serving`, whose messages import TensorFlow.
Both try again while the server is not available, with growing pauses, within one deadline.
"""

import argparse
import http.client
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Dict, List, Optional, Sequence

import numpy as np

from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.serving.answers import (
    MAX_ANSWER,
    REFUSED,
    ServingError,
    instances_of,
    labels_of,
    rest_message,
    rest_outputs,
    sentence_of,
)
from tfmaskrcnn.serving.retrying import TryAgain, retried, seconds_of
from tfmaskrcnn.serving.sending import Image, address_of, checked_images, rest_request

# What a server answers that is loading, overloaded or behind a proxy that finds none.
_HTTP_AGAIN = (429, 502, 503)
_GRPC_AGAIN = ("UNAVAILABLE", "RESOURCE_EXHAUSTED")
_UNLIMITED = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", MAX_ANSWER),
]


class _Client:
    """What both protocols share.

    Args:
        model: the server's name of the model.
        config: the `assets/config.json` of the exported model, for the class names and the rule
            by which masks are pasted; without it there are numbers, and Detectron2's rule.
        deadline: seconds that a call of `predict` may take, all attempts together.
        attempts: at most so many.
    """

    def __init__(
        self, model: str, config: Optional[str] = None, deadline: float = 30.0, attempts: int = 6
    ):
        if not isinstance(attempts, int) or attempts < 1:
            raise InputError(f"attempts is {quoted(attempts)}, wanted at least 1.")
        if not isinstance(model, str) or not model:
            raise InputError(f"model is {quoted(model)}, wanted the server's name of it.")
        self.model, self.deadline, self.attempts = model, seconds_of(deadline), attempts
        self._labels, self._channels = labels_of(config) if config else ({}, None)

    def predict(self, images: Sequence[Image], deadline: Optional[float] = None) -> List[Instances]:
        """Detect objects in images.

        Args:
            images: all files (bytes; sizes and formats may differ) or all arrays of one size.
            deadline: seconds, instead of the client's.

        Returns:
            One `Instances` an image; `.masks` [D, H, W] bool are pasted on first use.

        Raises:
            InputError: `images` is no such list.
            ServingError: the server refuses an image, answers with another error, or does not
                answer in time.
        """
        images = checked_images(images, self._channels)
        files = isinstance(images[0], bytes)
        name = "image_bytes" if files else "images"
        signature = "image_bytes" if files else "serving_default"
        seconds = self.deadline if deadline is None else seconds_of(deadline)
        try:
            outputs = retried(
                lambda left: self._call(signature, name, images, left), seconds, self.attempts
            )
        except ServingError as error:
            if files or error.code not in REFUSED or images[0].shape[2] == 3:
                raise
            shape = f"the arrays have {images[0].shape[2]} channels, most models take 3 (RGB)"
            raise ServingError(f"{error} ({shape})", error.code) from None
        return instances_of(outputs, len(images), self.model, self._labels)

    def _call(self, signature: str, name: str, images, seconds: float) -> Dict[str, np.ndarray]:
        raise NotImplementedError


class RestClient(_Client):
    """Over HTTP and JSON; see `_Client` for the other arguments.

    Args:
        url: such as "http://localhost:8501".
        model: the server's name of the model, "maskrcnn/versions/3" for a certain version.
    """

    def __init__(self, url: str, model: str, **options):
        super().__init__(model, **options)
        self.url = f"{address_of(url)}/v1/models/{urllib.parse.quote(model)}:predict"

    def _call(self, signature, name, images, seconds):
        body = rest_request(signature, name, images)
        request = urllib.request.Request(
            self.url, body.encode(), {"Content-Type": "application/json"}
        )
        until = time.monotonic() + seconds
        try:
            with urllib.request.urlopen(request, timeout=seconds) as response:
                return rest_outputs(_read(response, until), self.url)
        except urllib.error.HTTPError as error:
            kind = TryAgain if error.code in _HTTP_AGAIN else ServingError
            message = rest_message(_beginning(error), error.code)
            if error.code == 404:
                message = f"{self.url} has no model {self.model!r}: {message}"
            raise kind(message, error.code) from None
        except (OSError, http.client.HTTPException) as error:  # of the connection
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise ServingError(f"no answer within {seconds:.1f} s") from None
            text = getattr(reason, "strerror", None) or reason or type(reason).__name__
            raise TryAgain(f"no answer from {self.url}: {text}") from None


class GrpcClient(_Client):
    """Over gRPC; see `_Client` for the other arguments.

    Args:
        target: such as "localhost:8500", or a `grpc.Channel` (TLS, interceptors).
        model: the server's name of the model.
    """

    def __init__(self, target, model: str, **options):
        super().__init__(model, **options)
        if isinstance(target, str) and (not target or "//" in target):
            raise InputError(f"{quoted(target)} is no HOST:PORT, such as localhost:8500.")
        import grpc
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

        self._grpc, self._tf, self._messages = grpc, tf, predict_pb2
        if isinstance(target, str):
            target = grpc.insecure_channel(target, _UNLIMITED)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(target)

    def _call(self, signature, name, images, seconds):
        request = self._messages.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = self.model, signature
        values = images if signature == "image_bytes" else np.stack(images)
        request.inputs[name].CopyFrom(self._tf.make_tensor_proto(values))
        try:
            response = self._stub.Predict(request, timeout=seconds)
        except self._grpc.RpcError as error:
            code = error.code().name
            if code == "DEADLINE_EXCEEDED":
                raise ServingError(f"no answer within {seconds:.1f} s", code) from None
            kind = TryAgain if code in _GRPC_AGAIN else ServingError
            message = sentence_of(error.details())
            if code == "NOT_FOUND":
                message = f"the server has no model {self.model!r}: {message}"
            raise kind(message, code) from None
        return {key: self._tf.make_ndarray(value) for key, value in response.outputs.items()}


def _read(response, until: float) -> bytes:
    """The body; a server that sends it in drops must not outlast the deadline, nor fill memory."""
    parts, size = [], 0
    while True:
        part = response.read1(1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)
        size += len(part)
        if size > MAX_ANSWER:
            raise ServingError(
                f"the answer has more than {MAX_ANSWER} bytes; send fewer images, or export the "
                "model with --masks rle"
            )
        if time.monotonic() > until:
            raise TimeoutError


def _beginning(error: urllib.error.HTTPError) -> bytes:
    try:
        return error.read(1 << 16)
    except (OSError, http.client.HTTPException):  # it has hung up
        return b""


def main(arguments: Optional[List[str]] = None) -> int:
    """Print what a server finds in files.

    Returns:
        0; 1 if the server refuses an image, which is named, or does not answer; 2 after a wrong
        input, such as a path without a file; 130 after Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    if hasattr(sys.stdout, "reconfigure"):  # names of files may be in no encoding
        sys.stdout.reconfigure(errors="replace")
    try:
        contents = [_content(path) for path in options.images]
        return _ask(_client(options), options, contents)
    except InputError as error:
        print(f"client: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("client: stopped.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tfmaskrcnn.serving.client", description=__doc__.splitlines()[0]
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="JPEG, PNG, ... files")
    parser.add_argument("--url", default="http://localhost:8501", help="REST address (%(default)s)")
    parser.add_argument("--grpc", metavar="HOST:PORT", help="ask by gRPC instead")
    parser.add_argument("--model", default="maskrcnn", help="(%(default)s)")
    parser.add_argument("--config", help="assets/config.json of the model, for the class names")
    parser.add_argument("--threshold", type=float, default=0.5, help="lowest score (%(default)s)")
    parser.add_argument("--deadline", type=float, default=30, help="seconds (%(default)s)")
    return parser


def _client(options) -> _Client:
    common = {"config": options.config, "deadline": options.deadline}
    if not options.grpc:
        return RestClient(options.url, options.model, **common)
    try:
        return GrpcClient(options.grpc, options.model, **common)
    except ImportError as error:
        raise InputError(f"gRPC needs the extra 'serving' ({error}).") from None


def _content(path: str) -> bytes:
    """Of an image file."""
    if "://" in path and not os.path.exists(path):
        raise InputError(
            f"{quoted(path, 100)} is an address; download the image and give the file."
        )
    if os.path.isdir(path):
        raise InputError(f"{quoted(path, 100)} is a folder; give its images, such as folder/*.jpg.")
    try:
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:  # a name with a null byte
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"Cannot read {quoted(path, 100)}: {reason}.") from None


def _ask(client: _Client, options, contents: Sequence[bytes]) -> int:
    """Print what is found in each image; the exit code."""
    code = 0
    for path, content in zip(options.images, contents):
        try:
            (found,) = client.predict([content])
        except ServingError as error:
            shown = path.encode(errors="backslashreplace").decode()
            print(f"{shown}: {error}", file=sys.stderr)
            if error.code not in REFUSED:  # the next one would fail as well
                return 1
            code = 1
            continue
        try:
            _show(path, found[found.scores >= options.threshold])
        except ValueError as error:  # of masks
            print(f"{path}: the server's answer is damaged: {error}", file=sys.stderr)
            return 1
    return code


def _show(path: str, found: Instances) -> None:
    print(f"{path}: {found.size[0]} x {found.size[1]}, {len(found)} objects")
    areas = found.masks.sum(axis=(1, 2)) if found.has_masks else [0] * len(found)
    for name, score, box, area in zip(found.names, found.scores, found.boxes, areas):
        y1, x1, y2, x2 = (f"{side:.0f}" for side in box)
        print(f"  {score:.2f}  {name}  y {y1} to {y2}, x {x1} to {x2}, {area} pixels")


if __name__ == "__main__":
    sys.exit(main())
