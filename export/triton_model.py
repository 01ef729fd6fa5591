"""Triton's Python backend around an exported SavedModel; needs TensorFlow in the server's Python.

`python -m tfmaskrcnn.serving.triton` copies it as `1/model.py` beside `1/model.savedmodel`. Each
request is a call of the model of its own, so a bad image fails no other request.
"""

import json
import os
import re

import numpy as np
import tensorflow as tf
import triton_python_backend_utils as triton  # of the server


class TritonPythonModel:
    """The signature that `config.pbtxt` names in its parameter `TF_SIGNATURE_DEF`."""

    def initialize(self, args):
        """Load the model; `args` are of the server: strings by name."""
        config = json.loads(args["model_config"])
        name = config["parameters"]["TF_SIGNATURE_DEF"]["string_value"]
        version = os.path.join(args["model_repository"], args["model_version"])
        # It holds the variables, so it has to live as long as the signature.
        self._loaded = tf.saved_model.load(os.path.join(version, "model.savedmodel"))
        self._signature = self._loaded.signatures[name]
        self._specs = self._signature.structured_input_signature[1]
        self._outputs = [output["name"] for output in config["output"]]

    def execute(self, requests):
        """A response to each of the requests."""
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        try:
            inputs = {name: self._tensor(request, name) for name in self._specs}
            outputs = self._signature(**inputs)
        except (tf.errors.InvalidArgumentError, ValueError) as error:
            return triton.InferenceResponse(error=_refusal(str(error)))
        arrays = {name: outputs[name].numpy() for name in self._outputs}
        return triton.InferenceResponse(
            output_tensors=[triton.Tensor(name, array) for name, array in arrays.items()]
        )

    def _tensor(self, request, name):
        array = triton.get_input_tensor_by_name(request, name).as_numpy()
        if array.dtype == np.object_:
            array = array.reshape(-1)  # [B, 1] files, whether or not the server has reshaped them
        return tf.constant(array, self._specs[name].dtype)


def _refusal(text):
    """What the model says of bad images, without what TensorFlow writes around it."""
    found = re.search(r"assertion failed: \[(.*?)\]", text, re.DOTALL)
    return triton.TritonError(found.group(1) if found else text, triton.TritonError.INVALID_ARG)
