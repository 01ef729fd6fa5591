"""COCO evaluation; nothing here but `CocoCallback` needs Keras, which is imported on its use."""

from tfmaskrcnn.evaluation.coco import CocoEvaluator
from tfmaskrcnn.evaluation.result import CocoResult
from tfmaskrcnn.evaluation.run import evaluate, progress_bar, saved_model_predictor

__all__ = [
    "CocoCallback",
    "CocoEvaluator",
    "CocoResult",
    "evaluate",
    "progress_bar",
    "saved_model_predictor",
]


def __getattr__(name: str):
    if name == "CocoCallback":
        from tfmaskrcnn.evaluation.callback import CocoCallback

        return CocoCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
