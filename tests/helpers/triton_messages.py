"""Triton's own protobuf messages, without the client that they come with.

`tritonclient` has the code that protoc made of them, for one version of protobuf and with the extra
`grpc`; the description in it is of use with any.
"""

import ast
import importlib.util
import os

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format


def model_config(text):
    """The `ModelConfig` of a `config.pbtxt`; an unknown field or value is a `ParseError`."""
    return text_format.Parse(text, _message_class("inference.ModelConfig")())


def _message_class(name):
    found = importlib.util.find_spec("tritonclient")
    if found is None:
        pytest.skip("tritonclient is not installed")
    path = os.path.join(os.path.dirname(found.origin), "grpc", "model_config_pb2.py")
    with open(path, encoding="utf-8") as file:
        constants = [
            n.value for n in ast.walk(ast.parse(file.read())) if isinstance(n, ast.Constant)
        ]
    described = max((value for value in constants if isinstance(value, bytes)), key=len)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(descriptor_pb2.FileDescriptorProto.FromString(described))
    descriptor = pool.FindMessageTypeByName(name)
    if hasattr(message_factory, "GetMessageClass"):  # protobuf 4.22 and newer
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)
