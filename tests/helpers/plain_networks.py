"""Files of a network that finds two squares in any image, made without a model and at once."""

import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tfmaskrcnn.inference.runtimes import onnx_metadata

SIZE = (64, 96)
BOXES = np.float32([[0, 0, 0.5, 0.5], [0.25, 0.5, 0.75, 1]])
MASKS = np.stack([np.ones((28, 28), np.float32), np.tri(28, dtype=np.float32)])
# What `file_about.file_about` has of such a file.
ABOUT = {
    "format": 1,
    "model": {
        "num_classes": 2,
        "class_names": ["cell", "star"],
        "category_ids": [7, 9],
        "input": {
            "fixed_size": list(SIZE),
            "exif": "apply",
            "mean": [10.0] * 3,
            "std": [50.0] * 3,
        },
        "box_head": {"score_threshold": 0.05, "max_detections": 2},
        "mask_head": {"paste_rule": "aligned"},
    },
    "thresholds": {"scores": [0.2, 0.3], "overall": 0.2, "iou": 0.5, "kind": "mask", "images": 4},
    "trained_sizes": None,
    "trained": True,
    "options": {"precision": "float32"},
    "versions": {"tfmaskrcnn": "0.1.0"},
    "nms": "graph",
    "precision": "float32",
}


def outputs_of(batch=1):
    """The constant outputs by name; the scores are of the images, see `write_onnx`."""
    return {
        "detection_boxes": np.stack([BOXES] * batch),
        "detection_classes": np.float32([[1, 2]] * batch),
        "num_detections": np.float32([2] * batch),
        "detection_masks": np.stack([MASKS] * batch),
    }


def write_onnx(path, about=ABOUT, batch=1):
    """An ONNX file with these outputs, whose scores are 0.9 and sigmoid(mean of the image) / 2."""
    constants = {
        "half": np.float32([[0.0, 0.5]]),
        "first": np.float32([[0.9, 0.0]]),
        **{f"{name}_of": value for name, value in outputs_of(batch).items()},
    }
    nodes = [helper.make_node("Identity", [f"{name}_of"], [name]) for name in outputs_of()]
    nodes += [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("ReduceMean", ["sizes"], ["used"], axes=[1], keepdims=0),
        helper.make_node("Sub", ["used", "used"], ["nothing"]),
        helper.make_node("Add", ["mean", "nothing"], ["shown"]),
        helper.make_node("Sigmoid", ["shown"], ["share"]),
        helper.make_node("Reshape", ["share", "column"], ["scores"]),
        helper.make_node("Mul", ["scores", "half"], ["second"]),
        helper.make_node("Add", ["second", "first"], ["detection_scores"]),
    ]
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    tensors.append(numpy_helper.from_array(np.int64([batch, 1]), "column"))
    shapes = {"images": [batch, *SIZE, 3], "sizes": [batch, 2]}
    found = {name: list(value.shape) for name, value in outputs_of(batch).items()}
    found["detection_scores"] = [batch, 2]
    inputs, outputs = (
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in values.items()]
        for values in (shapes, found)
    )
    graph = helper.make_graph(nodes, "network", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    content = model.SerializeToString()
    if about is not None:
        content += onnx_metadata.entry("tfmaskrcnn", json.dumps(about))
    with open(path, "wb") as file:
        file.write(content)
    return str(path)
