"""What travels inside a SavedModel beside the graph: configuration, labels, versions."""

import dataclasses
import json
import os
from typing import Dict, Optional

from tfmaskrcnn.config.model import ModelConfig
from tfmaskrcnn.export.options import ExportOptions
from tfmaskrcnn.inference.score_thresholds import ScoreThresholds
from tfmaskrcnn.inference.trained_sizes import TrainedSizes
from tfmaskrcnn.ops.decoding import CHANNELS
from tfmaskrcnn.support.run_folder import Run
from tfmaskrcnn.support.versions import versions

CONFIG, LABEL_MAP, EXPORT = "config.json", "label_map.pbtxt", "export.json"


def write_assets(
    config: ModelConfig,
    options: ExportOptions,
    folder: str,
    thresholds: Optional[ScoreThresholds] = None,
    sizes: Optional[TrainedSizes] = None,
) -> Dict[str, str]:
    """Write the files into `folder`; file name -> path."""
    # Exports of before do not tell whether anything is known of the training.
    about = {"versions": versions(), "options": dataclasses.asdict(options)}
    if config.input.channels in CHANNELS:
        # Exports of before turned no files, whatever their configuration says.
        about["image_bytes"] = {"exif": config.input.exif}
    about["trained"] = sizes is not None
    texts = {
        CONFIG: json.dumps(config.model_dump(mode="json"), indent=2) + "\n",
        LABEL_MAP: label_map(config),
        EXPORT: json.dumps(about, indent=2) + "\n",
    }
    if thresholds is not None:
        texts[os.path.basename(Run(folder).thresholds)] = thresholds.to_json()
    if sizes is not None:
        texts[os.path.basename(Run(folder).trained_sizes)] = sizes.to_json()
    paths = {name: os.path.join(folder, name) for name in texts}
    for name, text in texts.items():
        with open(paths[name], "w", encoding="utf-8", newline="") as file:
            file.write(text)
    return paths


def label_map(config: ModelConfig) -> str:
    """A label map as the TF Object Detection API reads it; ids are `detection_classes`."""
    names = config.class_names or [f"class {k}" for k in range(1, config.num_classes + 1)]
    # JSON's quoting is protobuf's text format's, for printable text.
    items = [
        f"item {{\n  id: {k}\n  name: {json.dumps(name, ensure_ascii=False)}\n}}\n"
        for k, name in enumerate(names, start=1)
    ]
    return "".join(items)
