"""Clients of servers of exported models: images in, `Instances` with NumPy masks out.

    python -m tfmaskrcnn.serving.client photo.jpg --url http://localhost:8501 --model maskrcnn
    python -m tfmaskrcnn.serving.client photo.jpg --grpc localhost:8500 --model maskrcnn
    python -m tfmaskrcnn.serving.client photo.jpg --triton http://localhost:8000 --model maskrcnn

`RestClient` and `TritonClient` need NumPy and this package's source (`pip install --no-deps`), not
TensorFlow; RLE masks also pycocotools. `GrpcClient` needs the extra `serving`, whose messages
import TensorFlow. All try again while the server is not available, with growing pauses, within one
deadline.
"""

import argparse
import os
import sys
import urllib.parse
from typing import List, Optional, Sequence

import numpy as np

from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.serving.answers import (
    MAX_ANSWER,
    REFUSED,
    ServingError,
    rest_outputs,
    sentence_of,
)
from tfmaskrcnn.serving.asking import Client
from tfmaskrcnn.serving.posting import asked
from tfmaskrcnn.serving.retrying import TryAgain, may_pass
from tfmaskrcnn.serving.sending import address_of, rest_request
from tfmaskrcnn.serving.triton_client import TritonClient

__all__ = ["GrpcClient", "RestClient", "ServingError", "TritonClient", "main"]

# What a server answers that is loading or overloaded.
_GRPC_AGAIN = ("UNAVAILABLE", "RESOURCE_EXHAUSTED")
_UNLIMITED = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", MAX_ANSWER),
]


class RestClient(Client):
    """TF Serving over HTTP and JSON; see `Client` for the other arguments.

    Args:
        url: such as "http://localhost:8501".
        model: the server's name of the model, "maskrcnn/versions/3" for a certain version.
    """

    def __init__(self, url: str, model: str, **options):
        super().__init__(model, **options)
        self.url = f"{address_of(url)}/v1/models/{urllib.parse.quote(model)}:predict"

    def _call(self, signature, name, images, seconds):
        body = rest_request(signature, name, images).encode()
        missing = f"{self.url} has no model {self.model!r}"
        headers = {"Content-Type": "application/json"}
        return rest_outputs(asked(self.url, body, headers, seconds, missing)[0], self.url)


class GrpcClient(Client):
    """TF Serving over gRPC; see `Client` for the other arguments.

    Args:
        target: such as "localhost:8500", or a `grpc.Channel` (TLS, interceptors).
        model: the server's name of the model, "maskrcnn/versions/3" for a certain version.
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
        request.model_spec.name, request.model_spec.signature_name = self.name, signature
        if self.version is not None:
            request.model_spec.version.value = self.version
        values = images if signature == "image_bytes" else np.stack(images)
        request.inputs[name].CopyFrom(self._tf.make_tensor_proto(values))
        try:
            response = self._stub.Predict(request, timeout=seconds)
        except self._grpc.RpcError as error:
            code = error.code().name
            if code == "DEADLINE_EXCEEDED":
                raise ServingError(f"no answer within {seconds:.1f} s", code) from None
            message = sentence_of(error.details())
            kind = TryAgain if code in _GRPC_AGAIN or may_pass(message) else ServingError
            if code == "NOT_FOUND":
                message = f"the server has no model {self.model!r}: {message}"
            raise kind(message, code) from None
        return {key: self._tf.make_ndarray(value) for key, value in response.outputs.items()}


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
    server = parser.add_mutually_exclusive_group()
    server.add_argument(
        "--url", default="http://localhost:8501", help="REST address of TF Serving (%(default)s)"
    )
    server.add_argument("--grpc", metavar="HOST:PORT", help="ask TF Serving by gRPC instead")
    server.add_argument("--triton", metavar="URL", help="ask Triton, at http://localhost:8000")
    parser.add_argument(
        "--model", default="maskrcnn", help="its name; NAME/versions/3 for a version (%(default)s)"
    )
    parser.add_argument("--config", help="assets/config.json of the model, for the class names")
    parser.add_argument("--threshold", type=float, default=0.5, help="lowest score (%(default)s)")
    parser.add_argument("--deadline", type=float, default=30, help="seconds (%(default)s)")
    return parser


def _client(options) -> Client:
    common = {"config": options.config, "deadline": options.deadline}
    if options.triton:
        return TritonClient(options.triton, options.model, **common)
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


def _ask(client: Client, options, contents: Sequence[bytes]) -> int:
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
