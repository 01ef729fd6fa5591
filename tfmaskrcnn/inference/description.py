"""What `info` tells of a run or an exported model."""

from typing import Any, Dict, Optional

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.inference.exported import exported_config, exported_json, load_saved_model
from tfmaskrcnn.inference.opening import a_kind_of, is_exported, is_saved_model, run_config
from tfmaskrcnn.inference.runtimes.file_about import check_described, file_about, is_model_file
from tfmaskrcnn.inference.score_thresholds import (
    ScoreThresholds,
    exported_thresholds,
    run_thresholds,
)
from tfmaskrcnn.support.given import A_PATH, takes
from tfmaskrcnn.support.run_folder import Run
from tfmaskrcnn.support.single_file import about as about_file
from tfmaskrcnn.support.single_file import is_single_file


@takes(folder=A_PATH)
def describe(folder: str) -> Dict[str, Any]:
    """What a run folder, single-file or exported model holds, of JSON's types."""
    if is_exported(folder):
        about = {"kind": a_kind_of(folder).split(" ", 1)[1]}
        model, export = exported_config(folder), exported_json(folder, "export.json")
        if model.get("class_names"):
            about["classes"] = dict(enumerate(model["class_names"], start=1))
        if export:  # of this program
            about["exported_by"] = export.get("versions")
            about["options"] = export.get("options")
            channels = model.get("input", {}).get("channels", 3)
            if is_saved_model(folder) and channels in (1, 3, 4):  # those of image files
                about["image_bytes"] = export.get("image_bytes", {"exif": "ignore"})
        about.update(_thresholds(exported_thresholds(folder, model.get("num_classes"))))
        if is_model_file(folder):
            check_described(folder)
            told = file_about(folder)
            return {**about, "precision": told["precision"], "nms": told["nms"], "model": model}
        return {**about, "signatures": _signatures(folder), "model": model}
    config = run_config(folder)
    from tfmaskrcnn.model.memory_advice import memory_about
    from tfmaskrcnn.model.weights import read_weights

    weights = read_weights(Run(folder).weights)
    count = sum(array.size for array in weights.values())
    kind = {"kind": "run"}
    if is_single_file(folder):
        told = about_file(folder)
        kind = {"kind": "single-file model", "format": told["format"]}
        kind["saved_by"] = told.get("versions")
    return {
        **kind,
        "weights": {"arrays": len(weights), "parameters": count},
        **_thresholds(run_thresholds(folder, config.model.num_classes)),
        **memory_about(config),
        "config": config.model_dump(mode="json"),
    }


def describe_config(config: Config) -> Dict[str, Any]:
    """What a run of this configuration would be, of JSON's types."""
    from tfmaskrcnn.model.memory_advice import memory_about

    settings = config.model_dump(mode="json")
    return {"kind": "configuration", **memory_about(config), "config": settings}


def _thresholds(found: Optional[ScoreThresholds]) -> Dict[str, Any]:
    return {} if found is None else {"score_thresholds": found.about()}


def _signatures(folder: str) -> Dict[str, Any]:
    return {
        name: {
            "inputs": _shapes(signature.structured_input_signature[1]),
            "outputs": _shapes(signature.structured_outputs),
        }
        for name, signature in load_saved_model(folder).signatures.items()
    }


def _shapes(specs) -> Dict[str, str]:
    """Name -> "float32[?,20,4]"."""
    shapes = {}
    for name, spec in sorted(specs.items()):
        sides = ",".join("?" if side is None else str(side) for side in spec.shape)
        shapes[name] = f"{spec.dtype.name}[{sides}]"
    return shapes
