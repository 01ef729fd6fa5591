"""Makes an ONNX or TFLite file say of itself what the SavedModel says that it was made of.

`inference.runtimes.file_about` reads it and tells what it is. Both formats take it as bytes beside
the rest, so the weights are neither read nor written anew by their libraries.
"""

import json
from typing import Any, Dict, Sequence

from tfmaskrcnn.export.tflite_head import tflite_head
from tfmaskrcnn.inference.exported import exported_config, exported_json
from tfmaskrcnn.inference.runtimes import onnx_metadata
from tfmaskrcnn.inference.runtimes.file_about import FORMAT, KEY, input_of_size
from tfmaskrcnn.support.files import replaced


def describe_file(path: str, folder: str, shape: Sequence[int], **more: str) -> None:
    """Write into the file at `path` what it is, for those who run it.

    Nothing is written of a SavedModel that does not know its own configuration.

    Args:
        path: an .onnx or .tflite file that says nothing yet.
        folder: of the SavedModel that it was made of.
        shape: (B, H, W, C) of its input `images`.
        more: `precision` and `nms`, where they are not "float32" and "graph".

    Raises:
        InputError: the file cannot be written.
    """
    model = exported_config(folder)
    if "input" not in model:
        return
    text = json.dumps(_about(folder, model, shape, more), ensure_ascii=False)
    with open(path, "rb") as file:
        content = file.read()
    with replaced(path) as file:
        if path.endswith(".onnx"):
            file.write(content)
            file.write(onnx_metadata.entry(KEY, text))
        else:
            file.write(tflite_head(content, KEY, text))
            file.write(content)


def _about(folder: str, model: Dict[str, Any], shape, more: Dict[str, str]) -> Dict[str, Any]:
    export = exported_json(folder, "export.json")
    options = export.get("options", {})
    return {
        "format": FORMAT,
        "model": {**model, "input": input_of_size(model["input"], shape[1:3])},
        "thresholds": exported_json(folder, "thresholds.json") or None,
        "trained_sizes": exported_json(folder, "trained_sizes.json") or None,
        "trained": export.get("trained", True),
        "options": options,
        "versions": export.get("versions", {}),
        "nms": "graph",
        "precision": options.get("precision", "float32"),
        **more,
    }
