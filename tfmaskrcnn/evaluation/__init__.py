"""COCO evaluation; nothing here but `CocoCallback` needs Keras, which is imported on its use."""

from tfmaskrcnn.evaluation.coco_evaluator import CocoEvaluator
from tfmaskrcnn.evaluation.coco_result import CocoResult
from tfmaskrcnn.evaluation.runner import evaluate

__all__ = [
    "CocoCallback",
    "CocoEvaluator",
    "CocoResult",
    "evaluate",
]


def __getattr__(name: str):
    if name == "CocoCallback":
        from tfmaskrcnn.evaluation.callback import CocoCallback

        return CocoCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
