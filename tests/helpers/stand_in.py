"""A small server that speaks TF Serving's protocols around `tf.saved_model.load`.

For tests and measurements where the stock server cannot run: REST (rows, `b64`, the state of a
model) and, with the messages of tensorflow-serving-api, gRPC. It merges requests as TF Serving does
(`helpers.merging`). Faults can be ordered for the next requests.
"""

import base64
import contextlib
import http.server
import json
import time
from concurrent import futures

import numpy as np
import tensorflow as tf

from helpers.faults import HTTP_STATUS, Fault
from helpers.local_server import served
from helpers.merging import Merged


class Model:
    """A SavedModel with a name and a version, and what shall go wrong with the next requests."""

    def __init__(self, folder, name="maskrcnn", version=1):
        self.loaded, self.name, self.version = tf.saved_model.load(folder), name, version
        self.faults = []  # exceptions to raise, or seconds to sleep, one a request
        self.requests = 0
        self.merging = None

    @contextlib.contextmanager
    def batching(self, parameters):
        """Requests are merged by these `Batching` parameters meanwhile; yields the `Merged`."""
        self.merging = Merged(self._run, parameters)
        try:
            yield self.merging
        finally:
            self.merging = None

    def predict(self, name, signature, inputs, version=None):
        """Outputs as arrays, of arrays or lists by input name."""
        self.requests += 1
        fault = self.faults.pop(0) if self.faults else 0
        if isinstance(fault, Exception):
            raise fault
        time.sleep(fault)
        if name != self.name or version not in (None, self.version):
            wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise Fault("NOT_FOUND", f"Servable not found for request: {wanted}")
        signature = signature or "serving_default"
        if signature not in self.loaded.signatures:
            raise Fault("INVALID_ARGUMENT", "Serving signature key not found.")
        specs = self.loaded.signatures[signature].structured_input_signature[1]
        inputs = {key: _array(value, specs[key].dtype) for key, value in inputs.items()}
        return (self.merging or self._run)(signature, inputs)

    def _run(self, signature, inputs):
        function = self.loaded.signatures[signature]
        specs = function.structured_input_signature[1]
        try:
            tensors = {k: tf.constant(v, specs[k].dtype) for k, v in inputs.items()}
            return {key: value.numpy() for key, value in function(**tensors).items()}
        except tf.errors.InvalidArgumentError as error:
            raise Fault("INVALID_ARGUMENT", error.message) from None


def _array(value, dtype):
    return np.asarray(value, object if dtype == tf.string else dtype.as_numpy_dtype)


def rest_body(outputs):
    """TF Serving's row format."""
    count = len(next(iter(outputs.values())))
    rows = [{key: _plain(value[i]) for key, value in outputs.items()} for i in range(count)]
    return json.dumps({"predictions": rows}).encode()


def _plain(value):
    value = np.asarray(value)
    if value.dtype.kind in "OS":  # strings
        return [v.decode() for v in value] if value.ndim else value.item().decode()
    if value.dtype == np.float32:
        return _shortest(value)
    return value.tolist()


def _shortest(value):
    """Python floats that print with float32's digits instead of float64's."""
    flat = [float(str(v)) for v in value.ravel()]
    return np.array(flat, np.float64).reshape(value.shape).tolist()


def _decoded(value):
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    return [_decoded(v) for v in value] if isinstance(value, list) else value


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        found = self.path == f"/v1/models/{self.server.model.name}"
        state = {"version": str(self.server.model.version), "state": "AVAILABLE"}
        body = {"model_version_status": [state]} if found else {"error": "no such model"}
        self._answer(200 if found else 404, json.dumps(body, indent=1).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            path, _, verb = self.path.removeprefix("/v1/models/").partition(":")
            name, _, version = path.partition("/versions/")
            request = json.loads(body)
            rows = request["instances"]
            inputs = {key: [_decoded(row[key]) for row in rows] for key in rows[0]}
            if verb != "predict":
                raise Fault("NOT_FOUND", f"Malformed request: POST {self.path}")
            version = int(version) if version else None
            outputs = self.server.model.predict(
                name, request.get("signature_name"), inputs, version
            )
            self._answer(200, rest_body(outputs))
        except Fault as fault:
            self._answer(HTTP_STATUS[fault.code], json.dumps({"error": fault.text}).encode())
        except (ValueError, KeyError, IndexError) as error:
            self._answer(400, json.dumps({"error": f"JSON Parse error: {error}"}).encode())

    def _answer(self, status, body):
        # A client that has given up is none of the server's business.
        with contextlib.suppress(ConnectionError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_):
        """Keep quiet."""


def rest_server(model):
    """Serve over HTTP on a free port; a context that gives the address."""
    return served(_Handler, model=model)


@contextlib.contextmanager
def grpc_server(model):
    """Serve TF Serving's `PredictionService` over gRPC on a free port; yields the address."""
    import grpc
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
            spec = request.model_spec
            version = spec.version.value if spec.HasField("version") else None
            try:
                outputs = model.predict(spec.name, spec.signature_name, inputs, version)
            except Fault as fault:
                context.abort(getattr(grpc.StatusCode, fault.code), fault.text)
            response = predict_pb2.PredictResponse()
            response.model_spec.CopyFrom(spec)
            for key, value in outputs.items():
                response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
            return response

    unlimited = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(4), options=unlimited)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None)
