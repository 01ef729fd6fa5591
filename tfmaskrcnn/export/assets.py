"""What travels inside a SavedModel beside the graph: configuration, labels, versions."""

import dataclasses
import json
import os
from typing import Dict, Optional

from tfmaskrcnn.config.model import ModelConfig
from tfmaskrcnn.export.options import ExportOptions
from tfmaskrcnn.inference.score_thresholds import ScoreThresholds
from tfmaskrcnn.support.run_folder import Run
from tfmaskrcnn.support.versions import versions

CONFIG, LABEL_MAP, EXPORT = "config.json", "label_map.pbtxt", "export.json"


def write_assets(
    config: ModelConfig,
    options: ExportOptions,
    folder: str,
    thresholds: Optional[ScoreThresholds] = None,
) -> Dict[str, str]:
    """Write the files into `folder`; file name -> path."""
    about = {"versions": versions(), "options": dataclasses.asdict(options)}
    texts = {
        CONFIG: json.dumps(config.model_dump(mode="json"), indent=2) + "\n",
        LABEL_MAP: label_map(config),
        EXPORT: json.dumps(about, indent=2) + "\n",
    }
    if thresholds is not None:
        texts[os.path.basename(Run(folder).thresholds)] = thresholds.to_json()
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
