"""From images to `Instances` around a file's network, by NumPy alone.

It repeats what a SavedModel's signature `serving_default` does before and after its `network`.
"""

import dataclasses
from typing import Any, Callable, Dict, List, Sequence

import numpy as np

from tfmaskrcnn.config.model import InputConfig
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.exported import served_instances
from tfmaskrcnn.inference.runtimes.file_about import input_of_size
from tfmaskrcnn.inference.runtimes.file_network import FileNetwork
from tfmaskrcnn.inference.runtimes.numpy_images import pad_to, preprocess
from tfmaskrcnn.instances import Instances

# From the index of the last pixel to the box's end, as in `ops.placement`.
_LAST = np.float32([0.0, 0.0, 1.0, 1.0])


def file_predictor(
    network: FileNetwork, model: Dict[str, Any]
) -> Callable[[List[np.ndarray]], List[Instances]]:
    """A predictor of uint8 [H, W, C] images of any sizes.

    Args:
        network: takes a fixed number of images of one size; the last one fills the batch up.
        model: the configuration of the model, as JSON has it.

    Raises:
        InputError: the configuration is of another version.
    """
    batch, height, width, _ = network.shape
    input = _input_of(network, model)
    rule = model.get("mask_head", {}).get("paste_rule", "aligned")
    offset = model.get("keypoint_head", {}).get("pixel_offset", 0.5)

    def ready(images: Sequence[np.ndarray]):
        parts = [preprocess(image, input) for image in images]
        sizes = np.float32([part.shape[:2] for part in parts])
        return np.stack([pad_to(part, height, width, input) for part in parts]), sizes

    def predict(images: List[np.ndarray]) -> List[Instances]:
        found = []
        for start in range(0, len(images), batch):
            part = images[start : start + batch]
            inputs, sizes = ready(part)
            rows = np.minimum(np.arange(batch), len(part) - 1)
            outputs = dict(network(inputs[rows], sizes[rows]))
            boxes = outputs["detection_boxes"]
            shapes = [image.shape[:2] for image in part]
            outputs["detection_boxes"] = [
                _shares(*each, model) for each in zip(boxes, sizes, shapes)
            ]
            for i, shape in enumerate(shapes):
                instances = served_instances(outputs, i, shape, (), rule)
                found.append(dataclasses.replace(instances, keypoint_offset=offset))
        return found

    return predict


def in_original(boxes: np.ndarray, size, original, model: Dict[str, Any]) -> np.ndarray:
    """`ops.placement.in_original` of [D, 4] float32 boxes, for a configuration of JSON's types."""
    size, original = np.float32(size), np.float32(original)
    inclusive = model.get("inclusive_boxes", False)
    if inclusive:
        boxes = boxes - _LAST
        size, original = (np.maximum(each - 1, np.float32(1)) for each in (size, original))
    boxes = boxes / np.tile(size / original, 2)
    boxes = boxes + _LAST if inclusive else boxes
    return np.round(boxes) if model.get("box_head", {}).get("whole_pixels") else boxes


def _shares(boxes, size, original, model: Dict[str, Any]) -> np.ndarray:
    """[D, 4] boxes as shares of the `original` image, given as shares of the resized `size`."""
    resized = np.asarray(boxes, np.float32) * np.tile(size, 2)
    return in_original(resized, size, original, model) / np.tile(np.float32(original), 2)


def _input_of(network: FileNetwork, model: Dict[str, Any]) -> InputConfig:
    section = input_of_size(model["input"], network.shape[1:3])
    try:
        return InputConfig(**section)
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"How images are prepared for {network.path} is told by another version: {reason}"
        ) from None
