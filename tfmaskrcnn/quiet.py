"""Keeps the remarks of TensorFlow's graph optimizer off the terminal.

TensorFlow 2.15 writes a warning of a thousand characters for each CropAndResize that it cannot put
a cost on (tensorflow#56904), past every log level, straight to the process's stderr.
"""

import os
import re
import sys
import threading

# absl's prefix of a warning or remark: "W0000 00:00:1795364482.53 6100 file.cc:699] ...".
_REMARK = re.compile(
    rb"^([WI]\d{4} [\d:.]+ +\d+ [\w./]+\.cc:\d+\]|WARNING: All log messages before absl::)"
)


def hide_remarks() -> None:
    """Filter absl's remarks and warnings out of what native code writes to stderr.

    Python's own `sys.stderr` keeps its direct way; errors of native code pass.
    """
    direct = os.dup(2)
    sys.stderr = os.fdopen(direct, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    read_end, write_end = os.pipe()
    os.dup2(write_end, 2)
    os.close(write_end)

    def forward():
        with os.fdopen(read_end, "rb") as lines:
            for line in lines:
                if not _REMARK.match(line):
                    os.write(direct, line)

    threading.Thread(target=forward, name="stderr-filter", daemon=True).start()
