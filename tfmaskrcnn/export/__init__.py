"""Writes artefacts that run without this package: SavedModel, ONNX, TFLite, TF-TRT."""

from tfmaskrcnn.export.options import ExportOptions
from tfmaskrcnn.export.saved_model import export_saved_model
from tfmaskrcnn.export.signatures import Servable

__all__ = ["ExportOptions", "Servable", "export_saved_model"]
