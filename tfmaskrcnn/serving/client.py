"""Clients of TF Serving for exported models: images in, `Instances` with NumPy masks out.

    python -m tfmaskrcnn.serving.client photo.jpg --url http://localhost:8501 --model maskrcnn
    python -m tfmaskrcnn.serving.client photo.jpg --grpc localhost:8500 --model maskrcnn

`RestClient` needs NumPy and this package's source (`pip install --no-deps`), not TensorFlow; RLE
masks also pycocotools. `GrpcClient` needs the extra `serving`, whose messages import TensorFlow.
Both try again while the server is not available, with growing pauses, within one deadline.
"""

import argparse
import base64
import http.client
import json
import random
import re
import sys
import time
import urllib.error
import urllib.request
from typing import Callable, Dict, List, Optional, Sequence, Union

import numpy as np

from tfmaskrcnn.inference.exported import image_errors, served_instances
from tfmaskrcnn.instances import Instances

Image = Union[bytes, np.ndarray]  # a file's content, or uint8 [H, W, 3] RGB

# What a server answers that is loading, overloaded or behind a proxy that finds none.
_HTTP_AGAIN = (429, 502, 503)
_GRPC_AGAIN = ("UNAVAILABLE", "RESOURCE_EXHAUSTED")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds
_UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


class ServingError(Exception):
    """The server's own sentence, with the HTTP status or the name of the gRPC code as `code`."""

    def __init__(self, message: str, code: Union[int, str, None] = None):
        super().__init__(message)
        self.code = code


class _TryAgain(ServingError):
    """The server may answer later; a prediction changes nothing, so asking twice is safe."""


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
        self.model, self.deadline, self.attempts = model, deadline, attempts
        self._labels = _labels(config) if config else {}

    def predict(self, images: Sequence[Image], deadline: Optional[float] = None) -> List[Instances]:
        """Detect objects in images.

        Args:
            images: all files (bytes; sizes and formats may differ) or all arrays of one size.
            deadline: seconds, instead of the client's.

        Returns:
            One `Instances` an image; `.masks` [D, H, W] bool are pasted on first use.

        Raises:
            ServingError: the server refuses an image, answers with another error, or does not
                answer in time.
        """
        images = list(images)
        files = [isinstance(image, (bytes, bytearray)) for image in images]
        if not images or any(files) != all(files):
            raise ValueError("predict takes a non-empty list of files (bytes) or of arrays.")
        name = "image_bytes" if files[0] else "images"
        signature = "image_bytes" if files[0] else "serving_default"
        outputs = retried(
            lambda seconds: self._call(signature, name, images, seconds),
            self.deadline if deadline is None else deadline,
            self.attempts,
        )
        errors = image_errors(outputs)
        if errors:
            raise ServingError(" ".join(errors))
        return [served_instances(outputs, i, **self._labels) for i in range(len(images))]

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
        self.url = f"{url.rstrip('/')}/v1/models/{model}:predict"

    def _call(self, signature, name, images, seconds):
        body = rest_request(signature, name, images)
        request = urllib.request.Request(
            self.url, body.encode(), {"Content-Type": "application/json"}
        )
        until = time.monotonic() + seconds
        try:
            with urllib.request.urlopen(request, timeout=seconds) as response:
                predictions = json.loads(_read(response, until))["predictions"]
        except urllib.error.HTTPError as error:
            kind = _TryAgain if error.code in _HTTP_AGAIN else ServingError
            raise kind(_rest_message(error.read(), error.code), error.code) from None
        except (TimeoutError, ConnectionError, http.client.HTTPException, OSError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise ServingError(f"no answer within {seconds:.1f} s") from None
            raise _TryAgain(f"{self.url}: {reason}") from None
        return {key: [row[key] for row in predictions] for key in predictions[0]}


class GrpcClient(_Client):
    """Over gRPC; see `_Client` for the other arguments.

    Args:
        target: such as "localhost:8500", or a `grpc.Channel` (TLS, interceptors).
        model: the server's name of the model.
    """

    def __init__(self, target, model: str, **options):
        super().__init__(model, **options)
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
            kind = _TryAgain if code in _GRPC_AGAIN else ServingError
            raise kind(sentence_of(error.details()), code) from None
        return {key: self._tf.make_ndarray(value) for key, value in response.outputs.items()}


def retried(call: Callable[[float], Dict], deadline: float, attempts: int) -> Dict:
    """`call(seconds left)`, again after growing pauses while the server is not available.

    Raises:
        ServingError: of the last attempt, with their number.
    """
    until, pause = time.monotonic() + deadline, _FIRST_PAUSE
    for attempt in range(1, attempts + 1):
        try:
            return call(max(until - time.monotonic(), 1e-3))
        except _TryAgain as error:
            wait = pause * random.uniform(0.5, 1)  # clients must not come back all at once
            if attempt == attempts or time.monotonic() + wait >= until:
                raise ServingError(f"{error} (after {attempt} attempts)", error.code) from None
        time.sleep(wait)
        pause = min(2 * pause, _LONGEST_PAUSE)
    raise ValueError(f"attempts is {attempts}, wanted at least 1")


def rest_request(signature: str, name: str, images: Sequence[Image]) -> str:
    """The JSON body of a request, one row an image."""
    if signature == "image_bytes":
        rows = [{name: {"b64": base64.b64encode(image).decode()}} for image in images]
    else:
        rows = [{name: np.asarray(image).tolist()} for image in images]
    return json.dumps({"signature_name": signature, "instances": rows})


def sentence_of(message: str) -> str:
    """What the model says of bad images, without what TensorFlow writes around it."""
    found = re.search(r"assertion failed: \[(.*?)\]", message or "", re.DOTALL)
    return found.group(1) if found else message


def _read(response, until: float) -> bytes:
    """The body; a server that sends it in drops must not outlast the deadline."""
    parts = []
    while True:
        part = response.read1(1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)
        if time.monotonic() > until:
            raise TimeoutError


def _rest_message(body: bytes, status: int) -> str:
    try:
        return sentence_of(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        text = body[:200].decode(errors="replace").strip()
        return f"HTTP status {status}{': ' if text else ''}{text}"


def _labels(path: str) -> Dict:
    with open(path, encoding="utf-8") as file:
        config = json.load(file)
    rule = config.get("mask_head", {}).get("paste_rule", "aligned")
    return {"class_names": tuple(config.get("class_names", ())), "paste_rule": rule}


def main(arguments: Optional[List[str]] = None) -> int:
    """Print what a server finds in files; 1 after a server's error, 2 after a wrong input."""
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
    options = parser.parse_args(arguments)
    common = {"config": options.config, "deadline": options.deadline}
    try:
        if options.grpc:
            client = GrpcClient(options.grpc, options.model, **common)
        else:
            client = RestClient(options.url, options.model, **common)
    except ImportError as error:
        print(f"client: gRPC needs the extra 'serving' ({error}).", file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:  # of --config
        print(f"client: {error}", file=sys.stderr)
        return 2
    for path in options.images:
        try:
            with open(path, "rb") as file:
                data = file.read()
            (found,) = client.predict([data])
        except ServingError as error:
            print(f"{path}: {error}", file=sys.stderr)
            return 1
        except (OSError, ValueError) as error:  # no such file, no such address
            print(f"client: {error}", file=sys.stderr)
            return 2
        found = found[found.scores >= options.threshold]
        print(f"{path}: {found.size[0]} x {found.size[1]}, {len(found)} objects")
        areas = found.masks.sum(axis=(1, 2)) if found.has_masks else [0] * len(found)
        for name, score, box, area in zip(found.names, found.scores, found.boxes, areas):
            y1, x1, y2, x2 = (f"{side:.0f}" for side in box)
            print(f"  {score:.2f}  {name}  y {y1} to {y2}, x {x1} to {x2}, {area} pixels")
    return 0


if __name__ == "__main__":
    sys.exit(main())
