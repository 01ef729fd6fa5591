"""Messages of Triton's protocol, byte by byte."""

import json

import numpy as np
import pytest

from tfmaskrcnn.serving import kserve
from tfmaskrcnn.serving.answers import ServingError

URL = "http://localhost:8000/v2/models/leaves/infer"


def objects(*texts):
    array = np.empty(len(texts), object)
    array[:] = texts
    return array


def test_a_request_is_json_with_the_tensors_behind_it():
    files = objects(b"ab", b"")[:, None]
    body, headers = kserve.request({"image_bytes": files, "n": np.array([258], np.uint32)})
    place = int(headers["Inference-Header-Content-Length"])
    assert body[place:] == b"\x02\0\0\0ab\0\0\0\0\x02\x01\0\0"
    text = json.loads(body[:place])
    assert text["parameters"] == {"binary_data_output": True}
    first, second = text["inputs"]
    assert first == {
        "name": "image_bytes",
        "shape": [2, 1],
        "datatype": "BYTES",
        "parameters": {"binary_data_size": 10},
    }
    assert (second["datatype"], second["parameters"]) == ("UINT32", {"binary_data_size": 4})


def answer(*tensors, data=b""):
    head = json.dumps({"outputs": tensors}).encode()
    return head + data, {"Inference-Header-Content-Length": str(len(head))}


def test_an_answer_has_its_tensors_in_their_order():
    sizes = {"name": "image_size", "datatype": "INT32", "shape": [1, 2]}
    texts = {"name": "image_errors", "datatype": "BYTES", "shape": [1]}
    body, headers = answer(
        {**sizes, "parameters": {"binary_data_size": 8}},
        {**texts, "parameters": {"binary_data_size": 6}},
        data=b"\x03\0\0\0\x01\x01\0\0\x02\0\0\0ok",
    )
    found = kserve.outputs_of(body, headers, URL)
    assert found["image_size"].tolist() == [[3, 257]] and found["image_errors"].tolist() == [b"ok"]
    body, _ = answer({**sizes, "data": [3, 257]})  # as JSON alone
    assert kserve.outputs_of(body, {}, URL)["image_size"].tolist() == [[3, 257]]


@pytest.mark.parametrize(
    "tensor, data",
    [
        ({"datatype": "INT32", "shape": [2]}, b"\0" * 4),
        ({"datatype": "INT32", "shape": [1]}, b"\0" * 8),
        ({"datatype": "COMPLEX", "shape": [1]}, b"\0" * 8),
        ({"datatype": "INT32", "shape": ["a"]}, b"\0" * 4),
        ({"datatype": "INT32", "shape": [float("inf")]}, b"\0" * 4),
        ({"datatype": "BYTES", "shape": [1]}, b"\x09\0\0\0ab"),
        ({"datatype": "BYTES", "shape": [1]}, b"\x09\0"),
        ({"datatype": "BYTES", "shape": [2]}, b"\x01\0\0\0a"),
    ],
)
def test_tensors_that_are_damaged_are_a_sentence(tensor, data):
    described = {"name": "a", **tensor, "parameters": {"binary_data_size": len(data)}}
    with pytest.raises(ServingError, match="answers with no outputs of Triton"):
        kserve.outputs_of(*answer(described, data=data), URL)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"<html>", b'{"outputs": 7}', b'{"outputs": [7]}', b"[" * 99_999]
)
def test_another_answer_is_quoted(body):
    with pytest.raises(ServingError, match="no outputs of Triton but") as error:
        kserve.outputs_of(body, {"Inference-Header-Content-Length": "5"}, URL)
    assert len(str(error.value)) < 300
