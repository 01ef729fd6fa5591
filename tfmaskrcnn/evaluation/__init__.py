"""COCO evaluation; nothing here but `CocoCallback` needs Keras, which is imported on its use."""

from typing import TYPE_CHECKING

from tfmaskrcnn.evaluation.coco_evaluator import CocoEvaluator
from tfmaskrcnn.evaluation.coco_result import CocoResult
from tfmaskrcnn.evaluation.runner import evaluate
from tfmaskrcnn.support.lazy import on_use

if TYPE_CHECKING:
    from tfmaskrcnn.evaluation.callback import CocoCallback

__all__ = ["CocoCallback", "CocoEvaluator", "CocoResult", "evaluate"]

__getattr__, _ = on_use(__name__, {"CocoCallback": "callback:CocoCallback"})
