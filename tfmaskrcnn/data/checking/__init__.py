"""A data set before training: what is wrong or odd, repairs, proposals, an HTML page."""

from tfmaskrcnn.data.checking.check_result import CheckResult
from tfmaskrcnn.data.checking.checker import check
from tfmaskrcnn.data.checking.page import write_page
from tfmaskrcnn.data.checking.repair import write_repaired

__all__ = ["CheckResult", "check", "write_page", "write_repaired"]
