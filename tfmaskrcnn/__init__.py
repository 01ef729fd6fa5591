"""Mask R-CNN for TensorFlow and Keras: train with `fit`, serve a SavedModel, run on the edge.

    import tfmaskrcnn as mr

Names are loaded on first use, so that predicting with an exported model needs no Keras.
"""

import importlib

__version__ = "0.1.0"

# Public name -> the module that defines it; None: the module itself.
_PUBLIC = {
    "Config": "config",
    "ModelConfig": "config",
    "load_config": "config_files",
    "InputError": "errors",
    "Instances": "instances",
    "MaskRCNN": "model",
    "load": "train.loop",
    "from_checkpoint": "checkpoints.importing",
    "export_saved_model": "serving",
    "ExportOptions": "serving",
    "checkpoints": None,
    "data": None,
    "evaluation": None,
    "train": None,
    "visualize": None,
    "weights": None,
}

__all__ = [*_PUBLIC, "__version__"]


def __getattr__(name: str):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'tfmaskrcnn' has no attribute {name!r}")
    module = importlib.import_module(f"tfmaskrcnn.{_PUBLIC[name] or name}")
    return module if _PUBLIC[name] is None else getattr(module, name)


def __dir__():
    return sorted(__all__)
