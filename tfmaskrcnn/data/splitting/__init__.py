"""One annotated set in parts: to train on, to choose by, to test with, or folds."""

from tfmaskrcnn.data.splitting.split_options import part_names
from tfmaskrcnn.data.splitting.split_result import Split, part_files
from tfmaskrcnn.data.splitting.splitter import split

__all__ = ["Split", "part_files", "part_names", "split"]
