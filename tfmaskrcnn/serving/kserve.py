"""Messages of the KServe v2 protocol over HTTP, with tensors as bytes behind the JSON.

Triton calls that its binary tensor data extension: little endian, row by row; of strings each has
its length before it, as 4 bytes.
"""

import json
import struct
from typing import Dict, List, Mapping, Tuple

import numpy as np

from tfmaskrcnn.errors import quoted
from tfmaskrcnn.serving.answers import ServingError

HEADER = "Inference-Header-Content-Length"  # bytes of the JSON
BYTES = "BYTES"
DTYPES = {
    "BOOL": np.dtype(bool),
    **{
        f"{kind}INT{n}": np.dtype(f"{kind.lower()}int{n}")
        for kind in ("", "U")
        for n in (8, 16, 32, 64)
    },
    **{f"FP{n}": np.dtype(f"float{n}") for n in (16, 32, 64)},
}
# What reading a damaged answer raises.
DAMAGE = (LookupError, ValueError, TypeError, AttributeError, OverflowError, RecursionError)
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def packed(array: np.ndarray) -> Tuple[str, bytes]:
    """(datatype, data) of an array; one of objects holds bytes."""
    if array.dtype != object:
        return _NAMES[array.dtype], np.ascontiguousarray(array).tobytes()
    return BYTES, b"".join(struct.pack("<I", len(text)) + text for text in array.ravel())


def unpacked(datatype: str, data: bytes, shape: List[int]) -> np.ndarray:
    """The array of a tensor's data.

    Raises:
        ValueError: there is more or less data than the shape has room for.
        KeyError: there is no such datatype.
    """
    if datatype != BYTES:
        return np.frombuffer(data, DTYPES[datatype]).reshape(shape)
    texts, place = [], 0
    while place < len(data):
        (length,) = struct.unpack_from("<I", data, place)
        texts.append(data[place + 4 : place + 4 + length])
        place += 4 + length
    if place != len(data):
        raise ValueError("a string that is cut off")
    array = np.empty(len(texts), object)
    array[:] = texts
    return array.reshape(shape)


def request(inputs: Mapping[str, np.ndarray]) -> Tuple[bytes, Dict[str, str]]:
    """(body, headers) of a request for all outputs as bytes."""
    described, parts = [], []
    for name, array in inputs.items():
        datatype, data = packed(array)
        size = {"binary_data_size": len(data)}
        tensor = {"name": name, "shape": list(array.shape), "datatype": datatype}
        described.append({**tensor, "parameters": size})
        parts.append(data)
    text = {"inputs": described, "parameters": {"binary_data_output": True}}
    header = json.dumps(text).encode()
    headers = {"Content-Type": "application/octet-stream", HEADER: str(len(header))}
    return header + b"".join(parts), headers


def outputs_of(body: bytes, headers: Mapping[str, str], url: str) -> Dict[str, np.ndarray]:
    """Outputs by name; strings are bytes in an array of objects.

    Raises:
        ServingError: it is no answer of the protocol.
    """
    try:
        place = int(headers.get(HEADER) or len(body))
        outputs = {}
        for tensor in json.loads(body[:place])["outputs"]:
            size = tensor.get("parameters", {}).get("binary_data_size")
            shape, kind = [int(side) for side in tensor["shape"]], tensor["datatype"]
            if size is None:  # some servers know JSON alone
                outputs[tensor["name"]] = np.array(tensor["data"], DTYPES.get(kind, object))
            else:
                outputs[tensor["name"]] = unpacked(kind, body[place : place + size], shape)
                place += size
            outputs[tensor["name"]] = outputs[tensor["name"]].reshape(shape)
        return outputs
    except (*DAMAGE, struct.error):
        start = quoted(body[:100].decode(errors="replace").strip(), 120) if body else "nothing"
        raise ServingError(f"{url} answers with no outputs of Triton but {start}") from None
