"""The exported model: a SavedModel that takes images and gives detections, without Keras."""

from tfmaskrcnn.serving.options import ExportOptions
from tfmaskrcnn.serving.saved_model import export_saved_model
from tfmaskrcnn.serving.signatures import Servable

__all__ = ["ExportOptions", "Servable", "export_saved_model"]
