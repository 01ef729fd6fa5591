"""Mask R-CNN for TensorFlow and Keras: train with `fit`, serve a SavedModel, run on the edge.

    import tfmaskrcnn as mr

Names are loaded on first use, so that predicting with an exported model needs no Keras.
"""

from typing import TYPE_CHECKING

from tfmaskrcnn.support.keras_names import introducing as _introducing
from tfmaskrcnn.support.lazy import on_use as _on_use
from tfmaskrcnn.support.on_import import around_import as _around_import

if TYPE_CHECKING:  # what editors complete and type checkers follow; `_PUBLIC` says the same
    from tfmaskrcnn import checkpoints, data, drawing, evaluation, inference, serving, train
    from tfmaskrcnn.checkpoints.importing import from_checkpoint
    from tfmaskrcnn.config.model import ModelConfig
    from tfmaskrcnn.config.run import Config
    from tfmaskrcnn.config.yaml_files import load_config
    from tfmaskrcnn.drawing import overlays as visualize
    from tfmaskrcnn.errors import InputError
    from tfmaskrcnn.export import ExportOptions, export_saved_model
    from tfmaskrcnn.inference.loading import load
    from tfmaskrcnn.inference.opened_model import open_model as open
    from tfmaskrcnn.inference.packing import save
    from tfmaskrcnn.instances import Instances
    from tfmaskrcnn.model import weights
    from tfmaskrcnn.model.mask_rcnn import MaskRCNN

__version__ = "0.1.0"

_PUBLIC = {
    "Config": "config.run:Config",
    "ModelConfig": "config.model:ModelConfig",
    "load_config": "config.yaml_files:load_config",
    "InputError": "errors:InputError",
    "Instances": "instances:Instances",
    "MaskRCNN": "model.mask_rcnn:MaskRCNN",
    "load": "inference.loading:load",
    "open": "inference.opened_model:open_model",
    "save": "inference.packing:save",
    "from_checkpoint": "checkpoints.importing:from_checkpoint",
    "export_saved_model": "export:export_saved_model",
    "ExportOptions": "export:ExportOptions",
    "checkpoints": "checkpoints",
    "data": "data",
    "drawing": "drawing",
    "evaluation": "evaluation",
    "inference": "inference",
    "serving": "serving",
    "train": "train",
    "visualize": "drawing.overlays",
    "weights": "model.weights",
}

__all__ = [  # spelled out, because type checkers read it; a test compares it with the above
    "Config",
    "ExportOptions",
    "InputError",
    "Instances",
    "MaskRCNN",
    "ModelConfig",
    "__version__",
    "checkpoints",
    "data",
    "drawing",
    "evaluation",
    "export_saved_model",
    "from_checkpoint",
    "inference",
    "load",
    "load_config",
    "open",
    "save",
    "serving",
    "train",
    "visualize",
    "weights",
]

__getattr__, _ = _on_use(__name__, _PUBLIC)

# What a `.keras` file of ours names.
_IN_FILES = {
    "tfmaskrcnn>MaskRCNN": "tfmaskrcnn.model.mask_rcnn:MaskRCNN",
    "tfmaskrcnn>WarmupSchedule": "tfmaskrcnn.train.schedule:WarmupSchedule",
    "tfmaskrcnn>RampSchedule": "tfmaskrcnn.train.schedule:RampSchedule",
}
_around_import("keras", _introducing(_IN_FILES))


def __dir__():
    return sorted(__all__)
