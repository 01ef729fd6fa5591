"""A small server that speaks Triton's KServe v2 over HTTP around a model repository on the disk.

Where Triton itself cannot run: it reads `config.pbtxt` with Triton's own message, refuses what
Triton refuses in it and in a request (shapes, types, batches), reshapes, and runs TensorFlow's and
Python's backends, ONNX Runtime's, and ensembles. It merges nothing.
"""

import contextlib
import http.server
import importlib.util
import json
import os
import sys
import types
from unittest import mock

import numpy as np
from google.protobuf import json_format

from helpers.local_server import served
from helpers.triton_messages import model_config
from tfmaskrcnn.serving import kserve

STATUS = {"INVALID_ARG": 400, "NOT_FOUND": 404, "INTERNAL": 500, "UNAVAILABLE": 503}


class Failed(Exception):
    """An error of Triton: the name of its code, and a text."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code, self.text = code, text


def _need(good, code, text):
    if not good:
        raise Failed(code, text)


class Repository:
    """The newest version of each model in `folder`; `load` is `tf.saved_model.load`, or alike."""

    def __init__(self, folder, load):
        self.models, self._load, self.requests = {}, load, 0
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name, "config.pbtxt"), encoding="utf-8") as file:
                self.models[name] = _Model(os.path.join(folder, name), model_config(file.read()))
        for model in self.models.values():
            model.run = self._runner(model)

    def infer(self, name, version, inputs):
        """Outputs of a model for inputs by name, as a request has them."""
        self.requests += 1
        model = self.model(name, version)
        return model.outputs(model.run(model.inputs(inputs)))

    def model(self, name, version):
        _need(
            name in self.models, "INVALID_ARG", f"Request for unknown model: '{name}' is not found"
        )
        model = self.models[name]
        found = version in (None, str(model.version))
        text = f"Request for unknown model: '{name}' version {version} is not found"
        _need(found, "NOT_FOUND", text)
        return model

    def _runner(self, model):
        config = model.config
        if config.platform == "ensemble":
            self._check_ensemble(config)
            return lambda inputs: self._ensemble(config, inputs)
        if config.platform == "onnxruntime_onnx":
            return _onnx_runner(os.path.join(model.path, "model.onnx"))
        if config.platform == "tensorflow_savedmodel":
            return _signature_runner(
                self._load(os.path.join(model.path, "model.savedmodel")), config
            )
        assert config.backend == "python" and not config.platform, config
        return _python_runner(model, self._load)

    def _check_ensemble(self, config):
        """Every tensor of a step is the model's, and of one type and shape wherever it goes."""
        tensors = {tensor.name: _form(tensor) for tensor in config.input}
        for step in config.ensemble_scheduling.step:
            part = self.models[step.model_name].config
            assert set(step.input_map) == {tensor.name for tensor in part.input}
            known = {t.name: _form(t) for t in [*part.input, *part.output]}
            for inside, outside in [*step.input_map.items(), *step.output_map.items()]:
                assert tensors.setdefault(outside, known[inside]) == known[inside], outside
        for tensor in config.output:
            assert tensors[tensor.name] == _form(tensor), tensor.name

    def _ensemble(self, config, inputs):
        values = dict(inputs)
        for step in config.ensemble_scheduling.step:
            given = {inside: values[outside] for inside, outside in step.input_map.items()}
            got = self.infer(step.model_name, None, given)
            values.update({outside: got[inside] for inside, outside in step.output_map.items()})
        return {tensor.name: values[tensor.name] for tensor in config.output}


class _Model:
    def __init__(self, folder, config):
        name, most = os.path.basename(folder), config.max_batch_size
        assert config.name == name and most >= 0, config
        versions = [int(v) for v in os.listdir(folder) if v.isdecimal()]
        assert versions, f"{name} has no available versions"
        for tensor in [*config.input, *config.output]:
            assert tensor.dims and 0 not in tensor.dims, f"{tensor.name} has no shape"
            assert most or not tensor.HasField("reshape")
        self.config, self.version = config, max(versions)
        self.path = os.path.join(folder, str(self.version))

    def inputs(self, given):
        """What the backend gets, of a request's inputs."""
        config, most, name = self.config, self.config.max_batch_size, self.config.name
        text = f"expected {len(config.input)} inputs but got {len(given)} inputs for model '{name}'"
        _need(len(given) == len(config.input), "INVALID_ARG", text)
        found = {}
        for tensor in config.input:
            text = f"unexpected inference input for model '{name}'"
            _need(tensor.name in given, "INVALID_ARG", text)
            array = given[tensor.name]
            if most:
                text = f"inference request batch-size must be <= {most} for '{name}'"
                _need(array.shape[0] <= most, "INVALID_ARG", text)
            text = f"unexpected shape for input '{tensor.name}' for model '{name}'"
            _need(_fits(array, tensor, bool(most)), "INVALID_ARG", text)
            found[tensor.name] = array[:, 0] if tensor.HasField("reshape") else array
        return found

    def outputs(self, given):
        """A response's outputs, of what the backend gives."""
        found = {}
        for tensor in self.config.output:
            array = np.asarray(given[tensor.name])
            array = array[:, None] if tensor.HasField("reshape") else array
            text = f"unexpected shape for output '{tensor.name}': {array.shape}, {array.dtype}"
            _need(_fits(array, tensor, bool(self.config.max_batch_size)), "INTERNAL", text)
            found[tensor.name] = array
        return found


def _form(tensor):
    return tensor.data_type, tuple(tensor.dims)


def _fits(array, tensor, batched):
    shape = array.shape[1:] if batched else array.shape
    kind = type(tensor).DESCRIPTOR.fields_by_name["data_type"].enum_type
    kind = kind.values_by_number[tensor.data_type].name[len("TYPE_") :]
    dtype = np.dtype(object) if kind == "STRING" else kserve.DTYPES[kind]
    same = all(wanted in (-1, side) for wanted, side in zip(tensor.dims, shape))
    return len(shape) == len(tensor.dims) and same and array.dtype == dtype


def _signature_runner(loaded, config):
    import tensorflow as tf

    function = loaded.signatures[config.parameters["TF_SIGNATURE_DEF"].string_value]

    def run(inputs):
        try:
            outputs = function(**{name: tf.constant(value) for name, value in inputs.items()})
        except tf.errors.InvalidArgumentError as error:
            raise Failed("INTERNAL", str(error)) from None
        return {name: value.numpy() for name, value in outputs.items()}

    run.loaded = loaded  # it holds the variables
    return run


def _onnx_runner(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, inputs)))


def _python_runner(model, load):
    """By the `model.py` of the repository, with the module that Triton gives to it."""
    spec = importlib.util.spec_from_file_location("model", os.path.join(model.path, "model.py"))
    module = importlib.util.module_from_spec(spec)
    with mock.patch.dict(sys.modules, triton_python_backend_utils=_backend_utils()):
        spec.loader.exec_module(module)
    instance = module.TritonPythonModel()
    text = json_format.MessageToJson(model.config, preserving_proto_field_name=True)
    folder = os.path.dirname(model.path)
    arguments = {"model_config": text, "model_repository": folder}
    arguments["model_version"] = str(model.version)
    with mock.patch("tensorflow.saved_model.load", load):
        instance.initialize(arguments)

    def run(inputs):
        (response,) = instance.execute([inputs])
        if response.error:
            raise response.error
        return {tensor.name: tensor.as_numpy() for tensor in response.output_tensors}

    return run


def _backend_utils():
    """The part of `triton_python_backend_utils` that is used, around plain dicts as requests."""
    utils = types.ModuleType("triton_python_backend_utils")

    def error(text, code="INTERNAL"):
        return Failed(code, text)

    error.INVALID_ARG = "INVALID_ARG"
    utils.TritonError = error
    utils.Tensor = lambda name, array: types.SimpleNamespace(name=name, as_numpy=lambda: array)
    utils.get_input_tensor_by_name = lambda inputs, name: utils.Tensor(name, inputs[name])
    utils.InferenceResponse = lambda output_tensors=(), error=None: types.SimpleNamespace(
        output_tensors=output_tensors, error=error
    )
    return utils


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._answered(self._get)

    def do_POST(self):
        self._answered(self._post)

    def _answered(self, answer):
        headers = {"Content-Type": "application/json"}
        try:
            status, body = 200, answer(headers)
        except Failed as failed:
            status, body = STATUS[failed.code], json.dumps({"error": failed.text}).encode()
        with contextlib.suppress(ConnectionError):
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    def _place(self):
        """(name, version, verb) of a path below /v2/models."""
        parts = self.path.removeprefix("/v2/models/").split("/")
        version = parts[2] if parts[1:2] == ["versions"] else None
        return parts[0], version, parts[-1]

    def _get(self, headers):
        if self.path == "/v2/health/ready":
            return b""
        name, version, verb = self._place()
        config = self.server.repository.model(name, version).config
        if verb == "ready":
            return b""
        names = {"preserving_proto_field_name": True}
        return json_format.MessageToJson(config, **names).encode()

    def _post(self, headers):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        name, version, _ = self._place()
        place = int(self.headers.get(kserve.HEADER, len(body)))
        inputs = {}
        for tensor in json.loads(body[:place])["inputs"]:
            size = tensor["parameters"]["binary_data_size"]
            data, place = body[place : place + size], place + size
            inputs[tensor["name"]] = kserve.unpacked(tensor["datatype"], data, tensor["shape"])
        assert place == len(body)
        outputs = self.server.repository.infer(name, version, inputs)
        described, parts = [], []
        for key, value in outputs.items():
            kind, data = kserve.packed(value)
            size = {"binary_data_size": len(data)}
            tensor = {"name": key, "datatype": kind, "shape": list(value.shape)}
            described.append({**tensor, "parameters": size})
            parts.append(data)
        head = json.dumps({"model_name": name, "outputs": described}).encode()
        headers.update({"Content-Type": "application/octet-stream", kserve.HEADER: str(len(head))})
        return head + b"".join(parts)

    def log_message(self, *_):
        """Keep quiet."""


def serving(repository):
    """Serve it on a free port; a context that gives the address."""
    return served(_Handler, repository=repository)
