"""Writes artefacts that run without this package: SavedModel, ONNX, TFLite, TF-TRT."""

from typing import TYPE_CHECKING

from tfmaskrcnn.support.lazy import on_use

if TYPE_CHECKING:
    from tfmaskrcnn.export.options import ExportOptions
    from tfmaskrcnn.export.saved_model import export_saved_model
    from tfmaskrcnn.export.signatures import Servable

__all__ = [
    "ExportOptions",
    "Servable",
    "export_saved_model",
]

# Options are checked before TensorFlow is imported.
__getattr__, __dir__ = on_use(
    __name__,
    {
        "ExportOptions": "options:ExportOptions",
        "Servable": "signatures:Servable",
        "export_saved_model": "saved_model:export_saved_model",
    },
)
