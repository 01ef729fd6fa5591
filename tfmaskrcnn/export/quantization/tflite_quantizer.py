"""A TFLite file of float32 -> one whose features are in eight bits.

TFLite's own converter, given images, rounds whatever it has an integer kernel for, boxes and counts
too: of 39 objects it found 4. ai-edge-quantizer rounds the operators that it is told.
"""

import contextlib
import io
import os
import re
import sys
import warnings
from typing import Dict, Iterable, Iterator, List

import numpy as np

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.export.quantization.integer_nodes import Node, integer_nodes
from tfmaskrcnn.export.quantization.tflite_biases import make_room_for_biases
from tfmaskrcnn.export.quantization.tflite_graph import KINDS, tflite_nodes
from tfmaskrcnn.export.quantization.tflite_writing import as_bytes
from tfmaskrcnn.inference.runtimes.tflite_file import SIGNATURE
from tfmaskrcnn.support.extras import needed
from tfmaskrcnn.support.quiet import without_log_of_warnings, without_native_output

_PYTHON = (3, 10)  # ai-edge-quantizer takes no older one
_NEEDS = "Calibrating TFLite files needs"


def check_packages() -> None:
    """Raise `InputError` unless what converts is there."""
    if sys.version_info < _PYTHON:
        raise InputError(
            f"{_NEEDS} Python 3.10 or newer; leave --calibration-images out, which rounds weights "
            "alone, or export the SavedModel there."
        )
    with _unheard():
        needed("ai_edge_quantizer.quantizer", "ai-edge-quantizer", _NEEDS, "tflite-int8")


def quantize(content: bytes, feeds: Iterable[Dict[str, np.ndarray]]) -> bytes:
    """A TFLite file of float32 in eight bits, with the ranges that `feeds` give.

    Args:
        content: as `export.tflite.convert` writes it.
        feeds: inputs of the network by name, read once, one after the other.
    """
    from ai_edge_litert.tools import flatbuffer_utils as files

    model = files.read_model_from_bytearray(content)
    nodes, images = tflite_nodes(model)
    chosen = set(integer_nodes(nodes, images, KINDS).integer)
    integer = [node for node in nodes if node.name in chosen]
    ranges = _ranges(_quantizer(content, integer), feeds)
    make_room_for_biases(model, chosen, ranges)
    quantizer = _quantizer(as_bytes(model), integer)
    with _unheard():
        made = quantizer.quantize(ranges, enable_progress_report=False).quantized_model
    return as_bytes(files.read_model_from_bytearray(made))


def _quantizer(content: bytes, nodes: List[Node]):
    """A `Quantizer` that makes eight bits of these operators, a scale a channel of weights."""
    from ai_edge_quantizer import qtyping, quantizer

    with _unheard():
        made = quantizer.Quantizer(content)
    for kind in sorted({node.kind for node in nodes}):
        names = "|".join(re.escape(node.name) for node in nodes if node.kind == kind)
        made.add_static_config(f"^(?:{names});$", qtyping.TFLOperationName(kind), 8, 8)
    return made


def _ranges(quantizer, feeds) -> Dict[str, Dict[str, np.ndarray]]:
    """The least and the largest value of each tensor, by name.

    The library by itself would take a moving average, which is near the first image.
    """
    from ai_edge_quantizer.calibrator import CalibrationMode

    ranges: Dict[str, Dict[str, np.ndarray]] = {}
    for feed in feeds:
        with _unheard():
            found = quantizer.calibrate(
                {SIGNATURE: [feed]},
                num_threads=os.cpu_count() or 1,
                mode=CalibrationMode.CALIBRATION_PROFILER_BASED,  # keeps no tensor in memory
            )
        for name, new in found.items():
            old = ranges.setdefault(name, new)
            ranges[name] = {
                "min": np.minimum(old["min"], new["min"]),
                "max": np.maximum(old["max"], new["max"]),
            }
    return ranges


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Without the library's bars, remarks and warnings; its errors are exceptions."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(without_native_output())
        stack.enter_context(without_log_of_warnings())
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        yield
