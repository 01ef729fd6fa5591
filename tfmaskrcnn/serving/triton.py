"""Put exported models into a model repository of Triton, as the next version.

    python -m tfmaskrcnn.serving.triton exported/1 triton_models
    python -m tfmaskrcnn.serving.triton exported/1 triton_models --onnx model.onnx

The first serves the SavedModel. The second serves the network as ONNX, between the preprocessing of
the SavedModel and the client: an ensemble of `maskrcnn_preprocess` and `maskrcnn_network`, which is
asked as `maskrcnn`. Triton's clients and `tfmaskrcnn.serving.client.TritonClient` send image files.
"""

import argparse
import os
import re
import shutil
import sys
from typing import Any, Callable, Dict, List, Optional, Sequence

from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.inference.exported import exported_json
from tfmaskrcnn.ops.limits import MAX_BATCH as MODEL_MAX_BATCH
from tfmaskrcnn.serving.asking import MAX_BATCH
from tfmaskrcnn.serving.publish import publish_version
from tfmaskrcnn.serving.triton_config import (
    Tensor,
    Word,
    config_text,
    described,
    onnx_tensors,
    saved_model_signatures,
    saved_model_tensors,
)
from tfmaskrcnn.support.files import replaced, writable_folder
from tfmaskrcnn.support.quiet import hide_remarks
from tfmaskrcnn.support.run_folder import removed_if_empty
from tfmaskrcnn.support.shipped import shipped

# How the SavedModel is run: by TensorFlow in the server's Python, which any image can be given; or
# by the backend in C++, which NVIDIA's images have up to 25.02.
BACKENDS = ("python", "tensorflow")
_DELAY = 2000  # microseconds that a request waits for others to be merged with
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def write_model(
    exported: str, repository: str, name: str = "maskrcnn", backend: str = "python"
) -> List[str]:
    """Serve a SavedModel: image files in, detections out.

    Args:
        exported: a SavedModel folder.
        repository: Triton's, made if it is not there.
        name: what clients ask for.
        backend: one of `BACKENDS`.

    Returns:
        The folder of the version, in a list.

    Raises:
        InputError: no SavedModel of this package, or a folder that cannot be written.
    """
    signatures = saved_model_signatures(exported)
    signature = "image_bytes" if "image_bytes" in signatures else "serving_default"
    inputs, outputs = saved_model_tensors(exported, signature)
    options = exported_json(exported, "export.json").get("options", {})
    config = {
        "max_batch_size": min(MAX_BATCH, options.get("max_batch", MODEL_MAX_BATCH)),
        "input": described(inputs, batched=True),
        "output": described(outputs, batched=True),
        **_runner(backend, signature),
    }
    # Merged with others', a bad image that fails its request would fail theirs.
    if backend == "tensorflow" and options.get("on_error") == "report":
        config["dynamic_batching"] = {"max_queue_delay_microseconds": _DELAY}
    return [_written(repository, name, config, lambda to: _copy_model(exported, to, backend))]


def write_ensemble(
    exported: str, onnx: str, repository: str, name: str = "maskrcnn", backend: str = "python"
) -> List[str]:
    """Serve an ONNX file behind the preprocessing of the SavedModel that it was made of.

    Args:
        exported: the SavedModel folder, exported with a fixed size.
        onnx: a file of `tfmaskrcnn export --format onnx`.
        repository: as `write_model`, like the other arguments.

    Returns:
        The folders of the versions of preprocessing, network and ensemble.

    Raises:
        InputError: as `write_model`; or the two do not fit together.
    """
    files, ready = saved_model_tensors(exported, "preprocess")
    needed, found = onnx_tensors(onnx)
    batch = _common_batch(exported, onnx, ready, needed)
    files, ready = _of_batch(files, batch), _of_batch(ready, batch)
    image_size = [tensor for tensor in ready if tensor.name == "image_size"]
    parts = f"{name}_preprocess", f"{name}_network"
    preprocess = {
        "max_batch_size": 0,
        "input": described(files, batched=False),
        "output": described(ready, batched=False),
        **_runner(backend, "preprocess"),
    }
    network = {
        "platform": "onnxruntime_onnx",
        "max_batch_size": 0,
        "input": described(needed, batched=False),
        "output": described(found, batched=False),
    }
    ensemble = {
        "platform": "ensemble",
        "max_batch_size": 0,
        "input": described(files, batched=False),
        "output": described([*found, *image_size], batched=False),
        "ensemble_scheduling": {
            "step": [_step(parts[0], files, ready), _step(parts[1], needed, found)]
        },
    }
    return [
        _written(repository, parts[0], preprocess, lambda to: _copy_model(exported, to, backend)),
        _written(repository, parts[1], network, lambda to: _copy_file(onnx, to, "model.onnx")),
        _written(repository, name, ensemble, lambda to: _copy_labels(exported, to)),
    ]


def _runner(backend: str, signature: str) -> Dict[str, Any]:
    if backend not in BACKENDS:
        raise InputError(f"backend is {quoted(backend)}; wanted one of {', '.join(BACKENDS)}.")
    kind = {"backend": "python"} if backend == "python" else {"platform": "tensorflow_savedmodel"}
    parameter = {"key": "TF_SIGNATURE_DEF", "value": {"string_value": signature}}
    return {**kind, "parameters": [parameter]}


def _common_batch(exported: str, onnx: str, ready: List[Tensor], needed: List[Tensor]) -> int:
    """The batch of the ONNX file, if the SavedModel prepares images as the file wants them."""
    given = {tensor.name: tensor.shape for tensor in ready}
    wanted = {tensor.name: tensor.shape for tensor in needed}
    if set(wanted) != {"images", "sizes"} or len(wanted["images"]) != 4:
        raise InputError(f"{onnx} is no ONNX model of this package: its inputs are {set(wanted)}.")
    if "image_size" not in given:
        raise InputError(
            f"{exported} is of an older version, whose preprocessing does not tell the size of an "
            "image; export it again."
        )
    if None in wanted["images"] or given["images"][1:] != wanted["images"][1:]:
        raise InputError(
            f"{exported} prepares images of {_sides(given['images'])} (height x width x channels), "
            f"{onnx} takes {_sides(wanted['images'])}; export both with the same --fixed-size."
        )
    return wanted["images"][0]


def _sides(shape: Sequence[Optional[int]]) -> str:
    return " x ".join("any" if side is None else str(side) for side in shape[1:])


def _of_batch(tensors: List[Tensor], batch: int) -> List[Tensor]:
    return [tensor._replace(shape=(batch, *tensor.shape[1:])) for tensor in tensors]


def _step(model: str, inputs: List[Tensor], outputs: List[Tensor]) -> Dict[str, Any]:
    """A step of an ensemble, in which every tensor keeps its name."""

    def names(tensors):
        return [{"key": tensor.name, "value": tensor.name} for tensor in tensors]

    number = Word("-1")  # the newest version
    maps = {"input_map": names(inputs), "output_map": names(outputs)}
    return {"model_name": model, "model_version": number, **maps}


def _written(repository: str, name: str, config: Dict[str, Any], fill: Callable) -> str:
    """Write a model's configuration and its next version, which `fill(folder)` makes."""
    if not _NAME.fullmatch(name):
        raise InputError(f"{quoted(name)} is no name of a model: letters, digits, '_', '-', '.'.")
    folder = os.path.join(repository, name)
    with removed_if_empty(folder):
        writable_folder(folder)
        version = publish_version(folder, fill)
        with replaced(os.path.join(folder, "config.pbtxt"), "w") as file:
            file.write(config_text({"name": name, **config}))
    return version


def _copy_model(exported: str, folder: str, backend: str) -> None:
    os.makedirs(folder)
    shutil.copytree(exported, os.path.join(folder, "model.savedmodel"))
    if backend == "python":
        _copy_file(os.path.join(shipped("export"), "triton_model.py"), folder, "model.py")


def _copy_labels(exported: str, folder: str) -> None:
    """An ensemble has no file of its own, and some stores drop empty folders."""
    _copy_file(os.path.join(exported, "assets", "config.json"), folder, "config.json")


def _copy_file(path: str, folder: str, name: str) -> None:
    os.makedirs(folder, exist_ok=True)
    shutil.copyfile(path, os.path.join(folder, name))


def main(arguments: Optional[List[str]] = None) -> int:
    """The command line; 2 after a wrong input, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m tfmaskrcnn.serving.triton", description=__doc__.splitlines()[0]
    )
    parser.add_argument("exported", help="a SavedModel folder")
    parser.add_argument("repository", help="the folder of all models")
    parser.add_argument("--name", default="maskrcnn", help="what clients ask for (%(default)s)")
    parser.add_argument("--onnx", metavar="FILE", help="the network, made of the same run")
    parser.add_argument("--backend", choices=BACKENDS, default="python", help="(%(default)s)")
    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported
    hide_remarks()
    where = (options.repository, options.name, options.backend)
    try:
        if options.onnx:
            written = write_ensemble(options.exported, options.onnx, *where)
        else:
            written = write_model(options.exported, *where)
    except InputError as error:
        print(f"triton: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("triton: stopped.", file=sys.stderr)
        return 130
    print("\n".join(written))
    return 0


if __name__ == "__main__":
    sys.exit(main())
