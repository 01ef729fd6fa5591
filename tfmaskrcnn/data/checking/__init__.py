"""A data set before training: what is wrong or odd, repairs, proposals, an HTML page."""

from tfmaskrcnn.data.checking.result import CheckResult
from tfmaskrcnn.data.checking.run import check

__all__ = ["CheckResult", "check"]
