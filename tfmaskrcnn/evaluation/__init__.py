"""COCO evaluation, and the report that tells why; only `CocoCallback` needs Keras."""

from typing import TYPE_CHECKING

from tfmaskrcnn.evaluation.coco_evaluator import CocoEvaluator
from tfmaskrcnn.evaluation.coco_result import CocoResult
from tfmaskrcnn.evaluation.runner import evaluate, report
from tfmaskrcnn.support.lazy import on_use

if TYPE_CHECKING:
    from tfmaskrcnn.evaluation.callback import CocoCallback
    from tfmaskrcnn.evaluation.reporting.html_page import write_page
    from tfmaskrcnn.evaluation.reporting.report import Report
    from tfmaskrcnn.evaluation.reporting.sheets import to_json, write_csv
    from tfmaskrcnn.evaluation.reporting.summary import summary

__all__ = [
    "CocoCallback",
    "CocoEvaluator",
    "CocoResult",
    "Report",
    "evaluate",
    "report",
    "summary",
    "to_json",
    "write_csv",
    "write_page",
]

__getattr__, _ = on_use(
    __name__,
    {
        "CocoCallback": "callback:CocoCallback",
        "Report": "reporting.report:Report",
        "summary": "reporting.summary:summary",
        "to_json": "reporting.sheets:to_json",
        "write_csv": "reporting.sheets:write_csv",
        "write_page": "reporting.html_page:write_page",
    },
)
