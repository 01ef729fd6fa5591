"""Weights that others made: read from files in their dialects, fetched by name."""

from typing import TYPE_CHECKING

from tfmaskrcnn.support.lazy import on_use

if TYPE_CHECKING:
    from tfmaskrcnn.checkpoints.applications import load_keras_application
    from tfmaskrcnn.checkpoints.backbone_weights import load_backbone
    from tfmaskrcnn.checkpoints.fetching import fetched
    from tfmaskrcnn.checkpoints.lite_packages import load_imagenet
    from tfmaskrcnn.checkpoints.named_runs import run_of

__all__ = ["fetched", "load_backbone", "load_imagenet", "load_keras_application", "run_of"]

__getattr__, __dir__ = on_use(
    __name__,
    {
        "fetched": "fetching:fetched",
        "load_backbone": "backbone_weights:load_backbone",
        "load_imagenet": "lite_packages:load_imagenet",
        "load_keras_application": "applications:load_keras_application",
        "run_of": "named_runs:run_of",
    },
)
