"""A data set before training: what is wrong or odd, repairs, proposals, an HTML page."""

from tfmaskrcnn.data.checking.page import write_page
from tfmaskrcnn.data.checking.repair import write_repaired
from tfmaskrcnn.data.checking.result import CheckResult
from tfmaskrcnn.data.checking.run import check

__all__ = ["CheckResult", "check", "write_page", "write_repaired"]
