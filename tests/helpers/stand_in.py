"""A small server that speaks TF Serving's protocols around `tf.saved_model.load`.

For tests and measurements where the stock server cannot run: REST (rows and columns, `b64`) and,
with the messages of tensorflow-serving-api, gRPC. Faults can be ordered for the next requests.
"""

import base64
import contextlib
import http.server
import json
import threading
import time
from concurrent import futures

import numpy as np
import tensorflow as tf

# HTTP status of the codes that predictions end with, as in TF Serving.
HTTP_STATUS = {"INVALID_ARGUMENT": 400, "NOT_FOUND": 404, "UNAVAILABLE": 503, "INTERNAL": 500}


class Fault(Exception):
    """An error that a request ends with: the name of a gRPC code, and a text."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code, self.text = code, text


class Model:
    """A SavedModel with a name, and what shall go wrong with the next requests."""

    def __init__(self, folder, name="maskrcnn"):
        self.loaded, self.name = tf.saved_model.load(folder), name
        self.faults = []  # exceptions to raise, or seconds to sleep, one a request
        self.requests = 0

    def predict(self, name, signature, inputs):
        """Outputs as arrays, of arrays or lists by input name."""
        self.requests += 1
        fault = self.faults.pop(0) if self.faults else 0
        if isinstance(fault, Exception):
            raise fault
        time.sleep(fault)
        if name != self.name:
            raise Fault("NOT_FOUND", f"Servable not found for request: Latest({name})")
        signature = self.loaded.signatures.get(signature or "serving_default")
        if signature is None:
            raise Fault("INVALID_ARGUMENT", "Serving signature key not found.")
        specs = signature.structured_input_signature[1]
        try:
            tensors = {k: tf.constant(v, specs[k].dtype) for k, v in inputs.items()}
            return {key: value.numpy() for key, value in signature(**tensors).items()}
        except tf.errors.InvalidArgumentError as error:
            raise Fault("INVALID_ARGUMENT", error.message) from None


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

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            name, _, verb = self.path.rsplit("/", 1)[-1].partition(":")
            request = json.loads(body)
            rows = request["instances"]
            inputs = {key: [_decoded(row[key]) for row in rows] for key in rows[0]}
            if verb != "predict":
                raise Fault("NOT_FOUND", f"Malformed request: POST {self.path}")
            outputs = self.server.model.predict(name, request.get("signature_name"), inputs)
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


@contextlib.contextmanager
def rest_server(model):
    """Serve over HTTP on a free port; yields the address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.model, server.daemon_threads = model, True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def grpc_server(model):
    """Serve TF Serving's `PredictionService` over gRPC on a free port; yields the address."""
    import grpc
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
            spec = request.model_spec
            try:
                outputs = model.predict(spec.name, spec.signature_name, inputs)
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
