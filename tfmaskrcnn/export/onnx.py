"""SavedModel -> ONNX, checked to hold standard operations only."""

import importlib
import os
from typing import Optional, Tuple

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.export.frozen import freeze
from tfmaskrcnn.export.onnx_ops import DOMAIN, handlers
from tfmaskrcnn.inference.runtimes import host_nms
from tfmaskrcnn.support.files import replaced
from tfmaskrcnn.support.interrupts import heard_at_last
from tfmaskrcnn.support.quiet import without_log_of_warnings

# RoiAlign has its half-pixel mode from 16 on; TensorRT 10 and ONNX Runtime read 17.
OPSET = 17
_NEEDED = 'install the extra: pip install -e ".[onnx]"'


def convert(
    folder: str,
    path: str,
    batch: int = 1,
    size: Optional[Tuple[int, int]] = None,
    nms: str = "graph",
) -> Tuple[int, int, int, int]:
    """Write the signature `network` of a SavedModel as an ONNX file.

    Args:
        folder: a SavedModel made by `export_saved_model`.
        path: the file to write; inputs and outputs have the signature's names.
        batch: B, fixed.
        size: (height, width), see `frozen.freeze`.
        nms: "graph" suppresses boxes by ONNX's operation; "host" writes three files that the
            suppressions lie between (`host_nms.part_paths`), to be done in NumPy.

    Returns:
        The shape (B, H, W, C) of its input `images`.

    Raises:
        InputError: tf2onnx is missing, `folder` cannot be converted, or `path` not be written.
    """
    tf2onnx, onnx = of_the_extra("tf2onnx"), of_the_extra("onnx")
    with heard_at_last():  # tf2onnx tries rewritings, and goes on after any exception
        network = freeze(folder, batch, size)
        model = _converted(tf2onnx, network, nms)
    models = [model] if nms == "graph" else _split(model)
    try:
        for each in models:
            onnx.checker.check_model(each)
    except onnx.checker.ValidationError as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{folder} holds something that ONNX has no form of: {reason}") from None
    for name, each in zip(host_nms.part_paths(path), models):
        with replaced(name) as file:
            file.write(each.SerializeToString())
    return network.shape


def _split(model):
    from tfmaskrcnn.export.onnx_parts import split  # needs the extra

    return split(model)


def _converted(tf2onnx, network, nms: str = "graph"):
    """The ONNX model of a `FrozenNetwork`, its inputs and outputs named as the signature's."""
    names = {tensor: name for name, tensor in {**network.inputs, **network.outputs}.items()}
    with without_log_of_warnings():  # it reports each rewriting that it tries
        model, _ = tf2onnx.convert.from_graph_def(
            network.graph_def,
            name="network",
            input_names=list(network.inputs.values()),
            output_names=list(network.outputs.values()),
            opset=OPSET,
            custom_op_handlers=handlers(nms),
            extra_opset=[tf2onnx.utils.make_opsetid(DOMAIN, 1)] if nms == "host" else None,
            tensors_to_rename=names,
        )
    return model


def trtexec_command(path: str) -> str:
    """The command that builds an engine of TensorRT 10 or 11 from the file at `path`.

    Each number keeps the type that it has in the file: version 10 has to be asked for it, 11 always
    does so. It names no shapes: the file's are fixed, and trtexec refuses to hear them again.
    """
    plan = f"{os.path.splitext(path)[0]}.plan"
    return f"trtexec --onnx={path} --saveEngine={plan} --stronglyTyped"


def of_the_extra(name: str):
    """A module of the extra `onnx`.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(f"Cannot import {name} ({error}); {_NEEDED}.") from None
