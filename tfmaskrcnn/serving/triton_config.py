"""Triton's `config.pbtxt`: what goes into and comes out of a SavedModel or an ONNX file, as text.

The text is protobuf's, of Triton's message `ModelConfig`.
"""

import json
import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from tfmaskrcnn.errors import InputError, one_line

# Triton's name of a type: by TensorFlow's DataType, by ONNX's TensorProto.DataType.
_OF_TENSORFLOW = {1: "FP32", 3: "INT32", 4: "UINT8", 7: "STRING", 9: "INT64", 19: "FP16"}
_OF_ONNX = {1: "FP32", 2: "UINT8", 6: "INT32", 7: "INT64", 8: "STRING", 10: "FP16"}


class Tensor(NamedTuple):
    """An input or output; a side of any length is None, and the first side is the batch."""

    name: str
    kind: str  # Triton's, without TYPE_
    shape: Tuple[Optional[int], ...]


class Word(str):
    """A value that is written without quotes: an enum's."""


def saved_model_tensors(folder: str, signature: str) -> Tuple[List[Tensor], List[Tensor]]:
    """(inputs, outputs) of a signature, without loading the model.

    Raises:
        InputError: it is no SavedModel, or has no such signature.
    """
    signatures = saved_model_signatures(folder)
    if signature not in signatures:
        raise InputError(f"{folder} has no signature {signature!r}; export it again.")
    found = signatures[signature]
    return _of_infos(found.inputs), _of_infos(found.outputs)


def saved_model_signatures(folder: str) -> Mapping[str, Any]:
    """TensorFlow's SignatureDef of each signature.

    Raises:
        InputError: it is no SavedModel.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    path, proto = os.path.join(folder, "saved_model.pb"), saved_model_pb2.SavedModel()
    try:
        with open(path, "rb") as file:
            proto.ParseFromString(file.read())
        return proto.meta_graphs[0].signature_def
    except OSError:
        raise InputError(f"{folder} is no SavedModel (no saved_model.pb).") from None
    except (DecodeError, IndexError):
        raise InputError(f"{path} is damaged: it holds no SavedModel.") from None


def onnx_tensors(path: str) -> Tuple[List[Tensor], List[Tensor]]:
    """(inputs, outputs) of an ONNX file.

    Raises:
        InputError: onnx is missing, or the file is no ONNX model.
    """
    try:
        import onnx
    except ImportError as error:
        raise InputError(f'Cannot import onnx ({error}); install the extra "onnx".') from None
    if not os.path.isfile(path):
        raise InputError(f"There is no file {path}.")
    try:
        graph = onnx.load(path, load_external_data=False).graph
    except Exception as error:  # protobuf's, whose class depends on its version
        raise InputError(f"{path} is no ONNX model: {one_line(error)}") from None
    return _of_values(graph.input), _of_values(graph.output)


def config_text(fields: Mapping[str, Any], indent: str = "") -> str:
    """Protobuf's text of nested mappings; a list is a field that is repeated."""
    lines = []
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, Mapping):
                inner = config_text(one, indent + "  ")
                lines.append(f"{indent}{name} {{\n{inner}{indent}}}\n")
            else:
                lines.append(f"{indent}{name}: {_scalar(one)}\n")
    return "".join(lines)


def described(tensors: Sequence[Tensor], batched: bool) -> List[Dict[str, Any]]:
    """The entries of `input` or `output`.

    Args:
        tensors: by name.
        batched: Triton counts the first side itself; one that has no other is [1] in requests.
    """
    return [_described(tensor, batched) for tensor in tensors]


def _described(tensor: Tensor, batched: bool) -> Dict[str, Any]:
    sides = [-1 if side is None else side for side in tensor.shape[1 if batched else 0 :]]
    entry = {"name": tensor.name, "data_type": Word(f"TYPE_{tensor.kind}"), "dims": sides or [1]}
    return entry if sides else {**entry, "reshape": {"shape": []}}


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, Word)) else json.dumps(value)


def _of_infos(infos) -> List[Tensor]:
    """Of TensorFlow's TensorInfos by name."""
    found = []
    for name in sorted(infos):
        info = infos[name]
        if info.tensor_shape.unknown_rank or info.dtype not in _OF_TENSORFLOW:
            raise InputError(f"{name} has no shape or type that Triton knows; export it again.")
        shape = tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim)
        found.append(Tensor(name, _OF_TENSORFLOW[info.dtype], shape))
    return found


def _of_values(values) -> List[Tensor]:
    """Of ONNX's ValueInfos."""
    found = []
    for value in values:
        kind = value.type.tensor_type
        if kind.elem_type not in _OF_ONNX:
            raise InputError(f"{value.name} has a type that Triton does not know.")
        sides = (dim.dim_value for dim in kind.shape.dim)
        found.append(Tensor(value.name, _OF_ONNX[kind.elem_type], tuple(s or None for s in sides)))
    return found
